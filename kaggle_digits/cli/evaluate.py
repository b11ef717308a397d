"""``kaggle-digits evaluate``: score a run on its held-out images, or a CSV against labels."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import evaluate_image, evaluate_suspects, options, printing
from kaggle_digits.terminal_text import escape_lines, plain

if TYPE_CHECKING:
    import pandas as pd

    from kaggle_digits.evaluation import Calibration, Scores, WorstImage
    from kaggle_digits.plots import Drawn
    from kaggle_digits.report import Written as PageFiles
    from kaggle_digits.runs import Run


def command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|CSV", help="Folder of a finished run, or a CSV with ImageId,Label."
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with the true ImageId,Label, to score a CSV with.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    worst: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Number of worst images to list.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = 10,
    plots: Annotated[
        bool,
        typer.Option(
            "--plots",
            help="Draw learning curves and more into the run's plots/, as PNG and SVG.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    show: Annotated[
        int | None,
        typer.Option(
            metavar="ID",
            help="Show one image and its ten probabilities.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    split: Annotated[
        options.Split | None,
        typer.Option(
            metavar="train|test",
            help="Images of --show: held-out training images, or test images.  [default: train]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    suspects: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Also list the held-out images whose label the run contradicts, with a picture.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    input_: options.Input = Path("input"),
    html: options.Html = None,
    json: options.Json = False,
) -> None:
    """Score a run on its held-out images, or a CSV against labels.

    Prints accuracy, log loss, the confusion matrix and the worst images. A CSV with --labels has no
    log loss; its wrong labels are listed.

    --plots draws learning curves, the confusion matrix, a reliability diagram and, if the run's
    data is in --input, the worst images. --show needs the data only to draw the image.
    --html writes all of this as one page. --suspects writes a list that `cv --exclude` takes.
    """
    _require_belonging(folder, plots=plots, show=show, split=split, suspects=suspects)
    if html is not None:
        _require_page(html, folder, show)
    if folder.is_file():
        from kaggle_digits.cli.evaluate_csv import judge_csv

        judge_csv(folder, labels, worst, as_json=json)
        return
    from kaggle_digits import runs

    if labels is not None:
        _refuse_labels(labels, folder)
    run = runs.Run(folder)
    if show is not None:
        chosen = (split or options.Split.TRAIN).value
        evaluate_image.show(run, chosen, show, input_, as_json=json)
        return
    # Without its out-of-fold predictions, --plots still draws the learning curves.
    judged = None if plots and not run.has("oof.npz") else _judge(run, worst)
    tested = run.read_scores("test")
    drawn = _drawn(run, input_) if plots else None
    no_other_output = tested is None and drawn is None and html is None
    if judged is None and (no_other_output or suspects is not None):
        _refuse(run)
    listed = None
    if judged is not None and suspects is not None:
        listed = evaluate_suspects.write(run, judged.suspects, suspects, input_)
    page = None if html is None else _write_page(run, html, input_)
    if json:
        files = {"html": html and str(html), "suspects": listed and str(listed.csv)}
        printing.print_json(_describe(run, judged, tested, drawn) | files)
        return
    for line in chain(
        _held_out(judged, _printable_names(run)),
        [f"\ntest      {printing.describe_scores(tested)}"] if tested else (),
        _written(drawn),
        evaluate_suspects.describe(listed) if listed else (),
        _written_page(page),
    ):
        print(escape_lines(line))


def _require_belonging(
    folder: Path,
    *,
    plots: bool,
    show: int | None,
    split: options.Split | None,
    suspects: Path | None,
) -> None:
    from kaggle_digits.errors import InputError, suggest_path

    if folder.suffix == ".csv" and not folder.exists():
        raise InputError(
            f"{folder} does not exist.{suggest_path(folder)} Expected a CSV with labels, or the "
            "folder of a finished run."
        )
    if folder.is_file() and (plots or show is not None or suspects is not None):
        raise InputError(
            f"{folder} is a file, but --plots, --show and --suspects need the probabilities of a "
            "run. Give the folder of a run, or omit these options."
        )
    if suspects is not None:
        if show is not None:
            raise InputError(
                f"received --suspects {suspects} and --show {show}. Expected one of them: "
                "--suspects lists images, --show draws one."
            )
        evaluate_suspects.require_target(suspects)
    if split is not None and show is None:
        raise InputError(
            f"received --split {split.value} without --show ID. --split only chooses the images of "
            "--show. Scores are always those of the held-out images, and of labelled test images."
        )
    if plots and show is not None:
        raise InputError(
            f"received --plots and --show {show}. Expected one of them: --plots draws a run, "
            "--show one image."
        )


def _require_page(html: Path, folder: Path, show: int | None) -> None:
    from kaggle_digits import report
    from kaggle_digits.errors import InputError

    if folder.is_file() or show is not None:
        what, advice = f"the file {folder}", "Give a run's folder instead of a file."
        if show is not None:
            what, advice = f"--show {show}", "Omit one of them."
        raise InputError(f"received --html {html} and {what}. The page describes a run. {advice}")
    report.require_target(html)


def _write_page(run: "Run", html: Path, data: Path) -> "PageFiles":
    from kaggle_digits import report

    entries = printing.open_ledger().entries()
    return report.write_report(html, [run], data=data, title=str(run.folder), entries=entries)


@dataclass(frozen=True, eq=False)
class Judged:
    """Evaluation of a run on its held-out images."""

    scores: "Scores"
    calibration: "Calibration"
    table: "pd.DataFrame"
    worst: "tuple[WorstImage, ...]"
    suspects: "tuple[WorstImage, ...]"


def _judge(run: "Run", worst: int) -> Judged | None:
    """Evaluate ``run`` on its held-out images; return None if there are none."""
    from kaggle_digits import evaluation
    from kaggle_digits.runs import predictions

    run.require_finished()
    oof = predictions.read_out_of_fold([run])
    if oof is None:
        return None
    probabilities = oof.probabilities[0]
    return Judged(
        evaluation.scores(probabilities, oof.labels),
        evaluation.calibration(probabilities, oof.labels),
        evaluation.confusion_matrix(probabilities, oof.labels, run.class_names),
        evaluation.find_worst_images(probabilities, oof.labels, oof.ids, worst),
        evaluation.find_suspects(probabilities, oof.labels, oof.ids),
    )


def _drawn(run: "Run", data: Path) -> "Drawn":
    from kaggle_digits import plots

    return plots.draw_run(run, data)


def _refuse_labels(labels: Path, folder: Path) -> None:
    from kaggle_digits.errors import InputError

    raise InputError(
        f"--labels {labels}: {folder} is not a file. Expected a CSV to score against the labels. A "
        "run is scored on its held-out images, without --labels."
    )


def _refuse(run: "Run") -> None:
    from kaggle_digits.errors import InputError

    raise InputError(
        f"{run.folder} has no held-out images, so it has no scores. Expected a run of `cv`, or of "
        "`train` with a --validation-split above 0. --plots draws the learning curves."
    )


def _held_out(judged: Judged | None, names: tuple[str, ...]) -> Iterator[str]:
    if judged is None:
        yield "no held-out images"
        return
    scores, calibration = judged.scores, judged.calibration
    yield f"accuracy  {scores.accuracy:.5f} ± {scores.standard_error:.5f} (standard error)"
    yield f"log loss  {scores.log_loss:.5f}"
    yield f"errors    {scores.errors:,} in {scores.images:,} held-out images"
    yield (f"ECE       {calibration.error:.5f} (expected calibration error)\n")
    yield judged.table.rename(index=plain, columns=plain).to_string()
    if judged.worst:
        width = max(9, *map(len, names))
        yield "\nworst images, by the probability of their label"
        yield f"id      {'label':<{width}}  {'predicted':<{width}}  p(label)  p(predicted)"
    for image in judged.worst:
        yield (
            f"{image.id:<7} {names[image.label]:<{width}}  {names[image.predicted]:<{width}}  "
            f"{image.probability_of_label:<9.4f} {image.probability_of_predicted:.4f}"
        )


def _printable_names(run: "Run") -> tuple[str, ...]:
    return tuple(map(plain, run.class_names))


def _written(drawn: "Drawn | None") -> Iterator[str]:
    if drawn is None:
        return
    yield ""
    for path in drawn.written:
        yield f"drawn     {path}"
    for name, reason in drawn.left_out:
        yield f"omitted   {name}: {reason}"


def _written_page(page: "PageFiles | None") -> Iterator[str]:
    if page is not None:
        yield f"\npage      {page.html}"
        for reason in page.left_out:
            yield f"omitted   {reason}"


def _describe(
    run: "Run", judged: Judged | None, tested: "Scores | None", drawn: "Drawn | None"
) -> dict[str, Any]:
    return {
        "scores": judged and asdict(judged.scores),
        "confusion_matrix": judged and judged.table.to_numpy().tolist(),
        "worst": [asdict(image) for image in judged.worst] if judged else [],
        "class_names": run.class_names,
        "calibration": judged and asdict(judged.calibration),
        "test": tested and asdict(tested),
        "plots": drawn
        and {"written": list(map(str, drawn.written)), "left_out": dict(drawn.left_out)},
    }
