"""``kaggle-digits submit``: a CSV that Kaggle will take, and the command that pushes it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import options


def command(
    csv: Annotated[Path, typer.Argument(metavar="CSV", help="A file with ImageId,Label.")],
    message: Annotated[
        str | None, typer.Option(help="What the list of submissions says of it.")
    ] = None,
    input_: options.Input = Path("input"),
) -> None:
    """Check a CSV against the test images and print the command that pushes it.

    This version does not push: nothing leaves the machine.
    """
    from kaggle_digits import datasets, submissions

    splits = datasets.load(input_)
    answers = submissions.read(csv)
    submissions.check(answers, splits.test.ids, name=str(csv), source=f"test images in {input_}")
    print(
        f"{csv}: {len(answers):,} rows, one for each test image in {input_}. Kaggle would take it."
    )
    if not splits.is_competition:
        print(
            f"Not for the competition: {input_} holds {splits.source} data, not its "
            "28,000 test images. Get those with:\n"
            "  kaggle-digits data get --from PATH/digit-recognizer.zip"
        )
        return
    text = message or f"kaggle-digits {csv.stem}"
    push = ["kaggle", "competitions", "submit", "-c", "digit-recognizer", "-f", str(csv)]
    print("Nothing was pushed. To push it with the official client:")
    print(f"  {shlex.join([*push, '-m', text])}")
