"""``kaggle-digits data``: get the images, check them, draw them."""

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.terminal_text import escape, plain

if TYPE_CHECKING:
    from kaggle_digits.datasets import DownloadResult

FIRST = 40  # default number of images that `show` draws
INDENT = " " * 21  # aligns with the values that `check` prints

app = typer.Typer(help="Get the images, check them, draw them.", no_args_is_help=True)


@app.command()
def get(
    source: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="auto, kaggle or sample; see above for auto. mnist and cifar10 need --from.",
        ),
    ] = "auto",
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Zip, folder or file with the data of the competition, MNIST or CIFAR-10.",
        ),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="kaggle",
            help="Write labelled digits, such as MNIST, in the competition's format, and the test "
            "labels to answers.csv.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, metavar="N", help="Seed of the split of --as.  [default: 0]"),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Download again if the competition's data is already there."),
    ] = False,
    again: Annotated[bool, typer.Option("--again", hidden=True)] = False,
    input_: options.Input = Path("input"),
) -> None:
    """Put a data set into the input folder.

    The data is read and checked before it replaces anything.

    --source auto uses the first of these: the data in the folder, the path in KAGGLE_DIGITS_DATA, a
    download from Kaggle if there are credentials, the embedded sample. A download that receives
    nothing for 60 seconds is stopped; KAGGLE_DIGITS_TIMEOUT=SECONDS changes this limit.

    --as kaggle makes a rehearsal of the competition: it mixes the training and test images of
    --from, splits them 3 to 2 (42,000 and 28,000 of MNIST's 70,000), and writes the labels of the
    test images to answers.csv, for `evaluate CSV --labels input/answers.csv`. `submit` rejects the
    CSVs of a rehearsal.
    """
    from kaggle_digits import credentials, datasets

    if from_ is not None:
        _require_no_address(from_, input_)
    force = force or again
    if as_ is None and seed is None:
        download = _download if credentials.find() else None
        obtained = datasets.get(
            source, folder=input_, from_path=from_, download=download, force=force
        )
    else:
        obtained = _rehearsal(source, input_, from_, as_, seed, force=force)
    _print_obtained(obtained, input_)


def _require_no_address(path: Path, folder: Path) -> None:
    """Raise an InputError if ``path`` is a web address, with the commands that download it."""
    from kaggle_digits.datasets.advice import get_command
    from kaggle_digits.errors import InputError

    address = re.sub(r"^(https?|ftp):/+", r"\1://", str(path))
    if "://" not in address:
        return
    name = address.partition("?")[0].rpartition("/")[2]
    first, download, option = "Run instead", [], ("--source", "kaggle")
    if "kaggle.com/" not in address:
        download, option = [shlex.join(["curl", "-L", "-o", name, address])], ("--from", name)
    elif "digit-recognizer" not in address:
        first, option = "Download it in a browser, signed in, then run", ("--from", "PATH")
    commands = [*download, get_command(folder, *option, program=options.program())]
    lines = "".join(f"\n  {command}" for command in commands)
    raise InputError(
        f"--from {address}: received an address. Expected a file or a folder on this machine. "
        f"{first}:{lines}"
    )


def _print_obtained(obtained: "DownloadResult", folder: Path) -> None:
    from kaggle_digits.datasets.advice import get_command

    splits = obtained.splits
    origin = "already there" if obtained.kept else obtained.taken_from or "generated"
    print(
        f"{folder}: {splits.source} data, {len(splits.train):,} train and {len(splits.test):,} "
        f"test images ({escape(str(origin))})"
    )
    printing.print_notes(splits)
    for path in obtained.moved_aside:
        print(f"  your earlier file is now {escape(str(path))}")
    if splits.source == "rehearsal":
        print(
            "This is a rehearsal, not the competition's data: `submit` rejects CSVs made from it. "
            "Score a CSV with:\n"
            f"  {shlex.join([options.program(), 'evaluate'])} CSV "
            f"--labels {shlex.quote(str(folder / 'answers.csv'))}"
        )
    if obtained.is_sample:
        from kaggle_digits import credentials

        for problem in credentials.problems():
            typer.echo(f"Kaggle's client cannot use your credentials: {problem}.", err=True)
        typer.secho(
            "\n"
            "  THIS IS THE EMBEDDED SAMPLE, NOT THE COMPETITION'S DATA.\n"
            "  It has 1,797 small digits of scikit-learn, to try out the commands. A CSV made\n"
            "  from it is not an entry for the competition. To get the competition's data:\n"
            f"    {get_command(folder, '--source', 'kaggle', program=options.program())}\n    "
            + get_command(folder, "--from", "PATH/digit-recognizer.zip", program=options.program())
            + "\n",
            bold=True,
            err=True,
        )


def _rehearsal(
    source: str,
    folder: Path,
    from_path: Path | None,
    as_: str | None,
    seed: int | None,
    *,
    force: bool,
) -> Any:
    from kaggle_digits import datasets
    from kaggle_digits.datasets.advice import get_command
    from kaggle_digits.errors import InputError

    if as_ != "kaggle":
        received = "--seed without --as" if as_ is None else f"--as {as_}"
        raise InputError(f"received {received}. Expected --as kaggle, the only supported format.")
    if from_path is None or force:
        received = "--force" if force else "no --from"
        raise InputError(
            f"--as kaggle: received {received}. Expected the data to convert, without a download:"
            f"\n  {get_command(folder, '--from', 'PATH/mnist.npz', '--as', 'kaggle')}"
        )
    return datasets.get_rehearsal(source, folder=folder, from_path=from_path, seed=seed or 0)


def _download(folder: Path) -> Path:
    from kaggle_digits.kaggle_client.client import Kaggle

    typer.echo("Downloading digit-recognizer from Kaggle …", err=True)
    with Kaggle() as kaggle:
        return kaggle.download(folder)


@app.command()
def check(input_: options.Input = Path("input"), json: options.Json = False) -> None:
    """Count images and classes, and find duplicate images."""
    from kaggle_digits import datasets

    splits = datasets.load(input_)
    report = datasets.check(splits)
    if json:
        printing.print_json(asdict(report) | {"notes": splits.notes})
        return
    print(f"source               {report.source}")
    for note in splits.notes:
        print(f"note                 {escape(note)}")
    for name, split in (("train", report.train), ("test", report.test)):
        print(f"{name:20} {_split(split, report.class_names)}")
    counts = report.train.class_counts or ()
    if missing := [name for name, n in zip(report.class_names, counts, strict=True) if not n]:
        print(
            f"missing in train     {', '.join(missing)}\n"
            f"{INDENT}(training needs images of every class)"
        )
    print(
        f"repeated in train    {report.repeated_in_train:,} images equal an earlier image, "
        f"{report.repeated_with_other_label:,} of them with another label"
    )
    if report.repeated_in_train:
        print(f"{INDENT}(they leak between folds, so the scores of `cv` are too high)")
    print(
        f"test images in train {report.test_images_in_train:,} identical, "
        f"{report.test_images_near_train:,} within {datasets.NEAR:g} grey levels (RMS)"
    )
    if report.test_images_near_train:
        print(f"{INDENT}(a model may remember their labels)")
    if report.test_images_in_train:
        print(f"{INDENT}`submit` needs --declared-external for a CSV made from this data")


@app.command()
def show(
    split: Annotated[
        options.Split | None,
        typer.Option(metavar="train|test", help="Images to draw.  [default: train]"),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=400, metavar="N", help="Number of images to draw.  [default: 40]"),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Draw eight training images as augmented by this recipe instead.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="File to write.  [default: named after the images, in plots/]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    input_: options.Input = Path("input"),
) -> None:
    """Draw the first images, and the number of images and the mean image of each class.

    The second picture has the name of the first with -classes appended.
    """
    from kaggle_digits import datasets, plots, recipes
    from kaggle_digits.errors import InputError
    from kaggle_digits.recipes.checking import require_shape

    if augment is not None and (split or count):
        received = f"--split {split.value}" if split else f"--count {count}"
        raise InputError(
            f"received {received} and --augment {augment}. Expected one of them: --augment draws "
            "seven variants of eight training images."
        )
    if augment is not None:
        recipe = recipes.find(augment)
        path = picture or options.PLOTS / f"augmented-{recipe.name}.png"
        plots.require_png(path)
        train = datasets.load(input_).train
        require_shape(recipe, train.images)
        plots.save(path, plots.augmentation(train, recipe))
        print(f"drawn    {path}")
        return
    split = split or options.Split.TRAIN
    name = split.value
    path = picture or options.PLOTS / f"{name}.png"
    second = path.with_stem(f"{path.stem}-classes")
    for drawn in (path, second):
        plots.require_png(drawn)
    splits = datasets.load(input_)
    images = splits.train if split is options.Split.TRAIN else splits.test
    plots.save(path, plots.first_images(images, count or FIRST, name))
    print(f"drawn    {path}")
    if images.class_counts is None:
        print(f"classes  the {name} images have no labels")
        return
    plots.save(second, plots.classes(images, name))
    print(f"drawn    {second}")
    counts = _counts(images.class_counts, images.class_names).replace("\n", "\n         ")
    print(f"classes  {counts}")


def _split(split: Any, names: tuple[str, ...]) -> str:
    line = (
        f"{split.images:,} images, pixels {split.ink_min}–{split.ink_max}, mean "
        f"{split.ink_mean:.1f}, sha256 {split.fingerprint[:12]}"
    )
    if split.class_counts is None:
        return f"{line}, no labels"
    return f"{line}\n{INDENT}" + _counts(split.class_counts, names).replace("\n", f"\n{INDENT}")


def _counts(counts: tuple[int, ...], names: tuple[str, ...]) -> str:
    """Return the number of images per class: on one line for digits, on two for longer names."""
    words = [f"{plain(name)}:{count:,}" for name, count in zip(names, counts, strict=True)]
    half = len(words) if all(len(name) == 1 for name in names) else (len(words) + 1) // 2
    return "\n".join(filter(None, (" ".join(words[:half]), " ".join(words[half:]))))
