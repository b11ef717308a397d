"""List the training images whose label a run contradicts, for ``evaluate --suspects``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaggle_digits.evaluation import WorstImage
    from kaggle_digits.runs import Run


@dataclass(frozen=True)
class SuspectFiles:
    """The written files.

    Attributes:
        csv: the list.
        images: number of images in it.
        picture: the plot of the first images; None if it was not drawn.
        reason: why it was not drawn.

    """

    csv: Path
    images: int
    picture: Path | None
    reason: str = ""


def require_target(csv: Path) -> None:
    """Raise an InputError unless ``csv`` can be written, before anything else is done."""
    from kaggle_digits import plots
    from kaggle_digits.errors import InputError
    from kaggle_digits.evaluation import suspects

    if csv.suffix.lower() != ".csv":
        raise InputError(
            f"--suspects {csv} is not the name of a CSV. Expected a name that ends in .csv; the "
            "picture beside it has the same name with .png."
        )
    suspects.require_target(csv)
    plots.require_png(csv.with_suffix(".png"))


def write(run: "Run", suspects: "Sequence[WorstImage]", csv: Path, data: Path) -> SuspectFiles:
    """Write the list, and its picture if the run's data is in the folder ``data``."""
    from kaggle_digits import evaluation, plots
    from kaggle_digits.errors import InputError

    evaluation.write_suspects(csv, suspects, run.class_names)
    if not suspects:
        return SuspectFiles(csv, 0, None, "there are no such images")
    picture = csv.with_suffix(".png")
    try:
        plots.draw_suspects(run, suspects, data, picture)
    except InputError as error:
        return SuspectFiles(csv, len(suspects), None, str(error))
    return SuspectFiles(csv, len(suspects), picture)


def describe(written: SuspectFiles) -> Iterator[str]:
    """Yield lines for the terminal."""
    yield f"\nsuspects  {written.csv} ({written.images:,} images with another label than predicted)"
    if written.picture:
        yield f"drawn     {written.picture}"
    else:
        yield f"omitted   the picture: {written.reason}"
