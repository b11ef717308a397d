"""Pictures. matplotlib is imported inside the functions, and only its parts that need no screen."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.comparison import Comparison
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kaggle_digits.datasets import Dataset

Pixels = npt.NDArray[np.uint8]

# Inches. At 160 dots each the picture is as wide as a README's column on a sharp screen.
WIDTH, DOTS = 9.6, 160
COLUMNS = 8
CELL = WIDTH / COLUMNS
LINE = 0.18
MARGIN = 0.15

NAMED_FILES = 8  # more would push the digits off the screen
NAME_CHARACTERS = 110
FILE_CHARACTERS = 14  # of the numbers that fit beside an answer

# Blue, vermilion, green and purple of Okabe and Ito: told apart with any colour vision. The colour
# only repeats the order of the answers, so that nothing is lost in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499")
QUIET = "#555555"


@dataclass(frozen=True, eq=False)
class Cell:
    """One disputed digit.

    Attributes:
        id: its ImageId.
        image: uint8 ``[height, width, channels]``.
        answers: each label that is given, and by which files; the most frequent first.

    """

    id: int
    image: Pixels
    answers: tuple[tuple[int, str], ...]


def disputed_digits(path: Path, compared: Comparison, test: "Dataset", *, most: int = 24) -> int:
    """Draw the images that the files disagree about most, each with every file's answer.

    Args:
        path: the PNG to write, whole or not at all.
        compared: what `comparison.compare` returned.
        test: the images, with an id for each that was compared.
        most: how many to draw at most.

    Returns:
        How many were drawn: 0 where all files agree, and then nothing was written.

    Raises:
        InputError: the name does not end in .png, or it cannot be written.

    """
    require_png(path)
    rows = compared.disputed[:most]
    if not len(rows):
        return 0
    by_id = np.argsort(test.ids)
    places = by_id[np.searchsorted(test.ids, compared.ids[rows], sorter=by_id)]
    cells = [
        Cell(int(compared.ids[row]), test.images[place], answers_to(compared.labels[:, row]))
        for row, place in zip(rows, places, strict=True)
    ]
    save(path, figure_of(cells, compared.names, disputed=len(compared.disputed)))
    return len(cells)


def require_png(path: Path) -> None:
    """Raise InputError unless ``path`` is a name for a PNG."""
    if path.suffix.lower() != ".png":
        raise InputError(f"received {path} for a picture. Expected a name that ends in .png.")


def save(path: Path, figure: "Figure") -> None:
    """Write ``figure`` as PNG, whole or not at all, the same bytes each time."""
    with files.replacing(path) as temporary, warnings.catch_warnings():
        # A file's name may hold letters that the font lacks; it shows boxes for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(temporary, dpi=DOTS, metadata={"Software": None})


def answers_to(labels: npt.NDArray[np.uint8]) -> tuple[tuple[int, str], ...]:
    """Return each of the labels (uint8 ``[k]``) with its files, the most frequent label first.

    Of equally frequent ones that of the earliest file comes first, as in `Comparison.majority`.
    """
    votes = np.bincount(labels)
    order = sorted(dict.fromkeys(labels.tolist()), key=lambda label: -votes[label])
    return tuple((label, numbered(np.flatnonzero(labels == label) + 1)) for label in order)


def numbered(numbers: npt.NDArray[np.intp]) -> str:
    """Return ascending numbers as ``[1–3, 5]``, or how many files it is where that is too long."""
    parts = []
    # Within a row of consecutive numbers, number minus position stays the same.
    for _, run in groupby(enumerate(numbers.tolist()), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        pair = 2
        parts.append(
            f"{members[0]}–{members[-1]}" if len(members) > pair else ", ".join(map(str, members))
        )
    text = f"[{', '.join(parts)}]"
    return text if len(text) <= FILE_CHARACTERS else f"{len(numbers)} files"


def figure_of(cells: Sequence[Cell], names: Sequence[str], *, disputed: int) -> "Figure":
    """Return the picture of ``cells``: a title, what the numbers stand for, and the digits."""
    from matplotlib.figure import Figure

    legend = [f"[{number}] {shortened(name)}" for number, name in enumerate(names, start=1)]
    if len(names) > NAMED_FILES:
        legend = [f"{len(names)} files, numbered in the order in which they were given"]
    head = 2 * MARGIN + 0.25 + LINE * len(legend)
    height = CELL + LINE * (0.8 + max(len(cell.answers) for cell in cells))
    total = head + height * math.ceil(len(cells) / COLUMNS)
    figure = Figure(figsize=(WIDTH, total), facecolor="white")
    what = f"{disputed:,} disputed digits" if disputed > 1 else "1 disputed digit"
    title = f"{what}, the most split first"
    if len(cells) < disputed:
        title = f"{len(cells)} of {title}"
    _write(figure, MARGIN, total - MARGIN, title, fontsize=12, fontweight="bold")
    for row, line in enumerate(legend):
        _write(figure, MARGIN, total - MARGIN - 0.3 - LINE * row, line, fontsize=9, color=QUIET)
    for number, cell in enumerate(cells):
        row, column = divmod(number, COLUMNS)
        _draw(figure, cell, column * CELL, total - head - row * height)
    return figure


def shortened(name: str) -> str:
    """Return ``name``, without its beginning where it is longer than the picture is wide."""
    return name if len(name) <= NAME_CHARACTERS else "…" + name[1 - NAME_CHARACTERS :]


def _draw(figure: "Figure", cell: Cell, left: float, top: float) -> None:
    """Draw ``cell``; ``left`` and ``top`` are inches from the figure's lower left corner."""
    size = CELL - 2 * MARGIN
    left += MARGIN
    _write(figure, left, top, f"ImageId {cell.id}", fontsize=8.5)
    bottom = top - LINE - size
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, size / width, size / height))
    grey = cell.image.shape[-1] == 1
    axes.imshow(cell.image[..., 0] if grey else cell.image, cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#BBBBBB", linewidth=0.6)
    for line, (label, given_by) in enumerate(cell.answers):
        top = bottom - 0.04 - LINE * line
        colour = COLOURS[min(line, len(COLOURS) - 1)]
        _write(figure, left, top, str(label), fontsize=10.5, fontweight="bold", color=colour)
        _write(figure, left + 0.17, top - 0.015, given_by, fontsize=8.5, color=QUIET)


def _write(figure: "Figure", left: float, top: float, text: str, **style: Any) -> None:
    """Put ``text`` at a place in inches; a dollar in a file's name is no formula."""
    width, height = figure.get_size_inches()
    figure.text(left / width, top / height, text, va="top", parse_math=False, **style)
