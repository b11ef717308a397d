"""``kaggle-digits predict``: apply a run or an exported model to test images or pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kaggle_digits.datasets.dataset import Images, Splits
    from kaggle_digits.handwriting import Picture
    from kaggle_digits.runs import Run

    # uint8 [n, height, width, channels] in, probabilities [n, classes] out.
    Probabilities = npt.NDArray[np.floating]
    Predicted = Callable[[Images], Probabilities]

MAX_LISTED = 3  # shapes of one kind that are listed one by one; a photo has dozens of specks


@dataclass(frozen=True)
class Source:
    """A source of probabilities: a run or an exported model.

    Attributes:
        name: the name of the CSV without its suffix.
        predicted: a function from uint8 images ``[n, height, width, channels]`` to probabilities
            ``[n, classes]``.
        run: the run of the models; None for an exported model.

    """

    name: str
    predicted: "Predicted"
    run: "Run | None"

    @property
    def trained_on(self) -> str | None:
        """The source of the training data; None if it is unknown."""
        return None if self.run is None else self.run.facts.settings.source


def command(
    named: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN [IMAGE]...",
            help="Folder of a finished run; then photos or scans of digits to read.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Exported model to use instead of RUN.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Open a SavedModel, which is a program and can read and write your files.",
            rich_help_panel=options.DATA,
        ),
    ] = False,
    input_: options.Input = Path("input"),
    submission: options.Submission = None,
    save_debug: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for drawings of the digits found in the pictures.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a CSV with a run's models, or read digits in pictures.

    Averages the probabilities of the models for the test images in --input or, if pictures are
    given, for the digits found in each IMAGE (PNG, JPEG, GIF, BMP, TIFF or WebP).
    """
    source_path, pictures = _source_and_pictures(named or [], model)
    _require_belonging(pictures, submission, save_debug)
    source = _of_run(source_path) if model is None else _of_model(source_path, trust=trust)
    if pictures:
        _pictures(source.predicted, pictures, save_debug, json=json)
        return
    _test_set(source, input_, submission, json=json)


def _source_and_pictures(named: Sequence[Path], model: Path | None) -> tuple[Path, Sequence[Path]]:
    from kaggle_digits.errors import InputError

    if model is not None:
        if named and (named[0] / "run.json").exists():
            raise InputError(
                f"received --model {model} and the run {named[0]}. Expected only one of them."
            )
        return model, named
    if not named:
        raise InputError(
            "received neither a run nor --model. Expected the folder of a finished run, as "
            "`kaggle-digits runs` lists them, or --model FILE with an exported model."
        )
    if named[0].is_file():
        raise InputError(
            f"{named[0]} is a file. Expected the folder of a finished run before the pictures, or "
            f"--model FILE:\n  kaggle-digits predict RUN {' '.join(map(str, named))}"
        )
    return named[0], named[1:]


def _of_run(folder: Path) -> Source:
    """Return the models of a finished run as a source of probabilities."""
    from kaggle_digits import runs
    from kaggle_digits.training import predicting

    run = runs.Run(folder)
    run.require_finished()
    return Source(folder.resolve().name, partial(predicting.predict_with_run, run), run)


def _of_model(path: Path, *, trust: bool) -> Source:
    """Return an exported model as a source of probabilities."""
    from kaggle_digits import exporting

    return Source(path.resolve().stem, exporting.open_model(path, trust=trust).probabilities, None)


def _require_belonging(
    pictures: Sequence[Path], submission: Path | None, save_debug: Path | None
) -> None:
    from kaggle_digits.errors import InputError

    if pictures and submission is not None:
        raise InputError(
            f"received --submission {submission} and pictures. A submission holds the labels of "
            "the test images. Omit --submission or the pictures."
        )
    if save_debug is not None and not pictures:
        raise InputError(
            f"received --save-debug {save_debug} without pictures. Expected pictures to draw: "
            "kaggle-digits predict RUN photo.png --save-debug DIR"
        )


def _test_set(source: Source, input_: Path, submission: Path | None, *, json: bool) -> None:
    """Write the CSV for the test images in ``input_``."""
    from kaggle_digits import datasets, submissions
    from kaggle_digits.runs import provenance

    splits = datasets.load(input_)
    csv = submission or options.SUBMISSIONS / f"{_name_predictions(source, splits)}.csv"
    submissions.require_target(csv)
    test = splits.test
    submissions.write(csv, test.ids, source.predicted(test.images).argmax(axis=1))
    if source.run is not None:
        origin = provenance.trace_prediction(source.run, splits)
        provenance.note(csv, origin, options.SUBMISSIONS)
    is_sample = "sample" in (splits.source, source.trained_on)
    if json:
        printing.print_json({"submission": str(csv), "rows": len(test), "sample": is_sample})
        return
    print(f"Submission   {csv} ({len(test):,} rows)")
    if is_sample:
        print(printing.FROM_SAMPLE)


def _name_predictions(source: Source, splits: "Splits") -> str:
    """Return a file's name: with its own data's name, predictions replace no others."""
    name = f"{source.name}-predicted"
    usual = source.trained_on or "kaggle"
    return name if splits.source == usual else f"{name}-{splits.source}"


def _pictures(
    predicted: "Predicted", paths: Sequence[Path], save_debug: Path | None, *, json: bool
) -> None:
    """Print the digits in the pictures. Unreadable pictures do not stop the others."""
    import numpy as np

    from kaggle_digits import handwriting
    from kaggle_digits.errors import InputError
    from kaggle_digits.handwriting import drawing

    targets = drawing.targets(save_debug, paths) if save_debug is not None else [None] * len(paths)
    pictures, faults = [], {}
    for path, target in zip(paths, targets, strict=True):
        try:
            picture = handwriting.read(path)
        except InputError as error:
            faults[str(path)] = str(error)
            continue
        pictures.append(picture)
        if target is not None:
            drawing.draw(picture, target)
    if not pictures:
        raise InputError("\n".join(faults.values()))
    probabilities = predicted(np.concatenate([picture.images for picture in pictures]))
    ends = np.cumsum([len(picture.digits) for picture in pictures])
    found = [
        _describe(picture, rows)
        for picture, rows in zip(pictures, np.split(probabilities, ends[:-1]), strict=True)
    ]
    if json:
        drawn = save_debug and str(save_debug)
        printing.print_json({"pictures": found, "faults": faults, "save_debug": drawn})
    else:
        for description in found:
            _print(description)
        if save_debug is not None:
            print(f"{save_debug}: the model's input images, and where they were found")
    if faults:
        raise InputError("\n".join(faults.values()))


def _describe(picture: "Picture", probabilities: "Probabilities") -> dict[str, Any]:
    from kaggle_digits.handwriting import SURE

    classes = probabilities.argmax(axis=1).tolist()
    return {
        "picture": str(picture.path),
        "numbers": picture.lines(classes),
        "digits": [
            {
                "digit": label,
                "probability": round(float(row[label]), 6),
                "unsure": float(row[label]) < SURE,
                "line": digit.line,
                "box": [digit.box.left, digit.box.top, digit.box.right, digit.box.bottom],
                "probabilities": [round(float(value), 6) for value in row],
            }
            for label, row, digit in zip(classes, probabilities, picture.digits, strict=True)
        ],
        "left_out": [
            {
                "kind": shape.kind.value,
                "box": [shape.box.left, shape.box.top, shape.box.right, shape.box.bottom],
            }
            for shape in picture.left_out
        ],
    }


def _print(found: dict[str, Any]) -> None:
    unsure = [digit for digit in found["digits"] if digit["unsure"]]
    mark = f"  (unsure: {len(unsure)} of {len(found['digits'])} digits)" if unsure else ""
    print(escape(f"{found['picture']}: {' / '.join(found['numbers'])}{mark}"))
    for digit in found["digits"]:
        print(
            f"  {digit['digit']}  {digit['probability']:.3f}  {_place(digit['box'])}"
            f"{'  unsure' if digit['unsure'] else ''}"
        )
    for kind, count in Counter(shape["kind"] for shape in found["left_out"]).items():
        if count > MAX_LISTED:
            print(f"  not read: {kind}, {count} shapes (--json lists them)")
            continue
        for shape in found["left_out"]:
            if shape["kind"] == kind:
                print(f"  not read: {kind}, {_place(shape['box'])}")


def _place(box: list[int]) -> str:
    left, top, right, bottom = box
    return f"{right - left}x{bottom - top} pixels at {left},{top}"
