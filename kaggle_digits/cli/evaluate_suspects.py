"""List the training images whose label a run contradicts, for ``evaluate --suspects``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaggle_digits.runs import Run


@dataclass(frozen=True)
class Listed:
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
    from kaggle_digits import files
    from kaggle_digits.errors import InputError

    if csv.suffix.lower() != ".csv":
        raise InputError(
            f"--suspects {csv} is not the name of a CSV. Expected a name that ends in .csv; the "
            "picture beside it has the same name with .png."
        )
    files.require_writable(csv)


def write(run: "Run", csv: Path, data: Path) -> Listed | None:
    """Write the list and its picture; return None if the run has no held-out images."""
    from kaggle_digits import evaluation, plots
    from kaggle_digits.errors import InputError
    from kaggle_digits.runs import predictions

    oof = predictions.read_out_of_fold([run])
    if oof is None or oof.labels is None:
        return None
    found = evaluation.find_suspects(oof.probabilities[0], oof.labels, oof.ids)
    evaluation.write_suspects(csv, found, run.class_names)
    if not found:
        return Listed(csv, 0, None, "there are no such images")
    picture = csv.with_suffix(".png")
    try:
        plots.draw_suspects(picture, run, found, data)
    except InputError as error:
        return Listed(csv, len(found), None, str(error))
    return Listed(csv, len(found), picture)


def describe(listed: Listed | None) -> Iterator[str]:
    """Yield lines for the terminal."""
    if listed is None:
        return
    yield f"\nsuspects  {listed.csv} ({listed.images:,} images with another label than predicted)"
    if listed.picture is not None:
        yield f"drawn     {listed.picture}"
    else:
        yield f"omitted   the picture: {listed.reason}"
