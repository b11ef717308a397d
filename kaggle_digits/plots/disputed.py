"""Plot the images on which CSVs disagree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kaggle_digits.plots import canvas
from kaggle_digits.plots.canvas import COLOURS, LINE, MARGIN, QUIET, Pixels, cut_start, write
from kaggle_digits.runs.predictions import find_rows
from kaggle_digits.submissions.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kaggle_digits.datasets import Dataset

COLUMNS = 8
CELL = canvas.WIDTH / COLUMNS  # inches

NAMED_FILES = 8  # files listed in the title; more would move the digits off the screen
FILE_CHARACTERS = 14  # characters of file numbers that fit beside a label


@dataclass(frozen=True, eq=False)
class Cell:
    """One disputed digit.

    Attributes:
        id: its ImageId.
        image: uint8 ``[height, width, channels]``.
        answers: each predicted label and the files that predict it, the most frequent first.

    """

    id: int
    image: Pixels
    answers: tuple[tuple[int, str], ...]


def disputed_digits(path: Path, compared: Comparison, test: "Dataset", *, most: int = 24) -> int:
    """Plot the images on which the files disagree most, with the label of every file.

    Args:
        path: the PNG to write.
        compared: the result of `comparison.compare`.
        test: the compared images and their ids.
        most: largest number of images to draw.

    Returns:
        The number of drawn images. If all files agree it is 0, and no file is written.

    Raises:
        InputError: ``path`` does not end in .png or is not writable.

    """
    canvas.require_png(path)
    rows = compared.disputed[:most]
    if not len(rows):
        return 0
    places = find_rows(test.ids, compared.ids[rows])
    cells = [
        Cell(int(compared.ids[row]), test.images[place], answers_to(compared.labels[:, row]))
        for row, place in zip(rows, places, strict=True)
    ]
    canvas.save(path, figure_of(cells, compared.names, disputed=len(compared.disputed)))
    return len(cells)


def answers_to(labels: npt.NDArray[np.uint8]) -> tuple[tuple[int, str], ...]:
    """Return each of the labels (uint8 ``[k]``) with its files, the most frequent label first.

    Among equally frequent labels, that of the earliest file comes first, as in
    `Comparison.majority`.
    """
    votes = np.bincount(labels)
    order = sorted(dict.fromkeys(labels.tolist()), key=lambda label: -votes[label])
    return tuple((label, format_count(np.flatnonzero(labels == label) + 1)) for label in order)


def format_count(numbers: npt.NDArray[np.intp]) -> str:
    """Return ascending numbers as ``[1–3, 5]``, or the number of files if that is too long."""
    parts = []
    # Within consecutive numbers, number minus position is constant.
    for _, run in groupby(enumerate(numbers.tolist()), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        pair = 2
        parts.append(
            f"{members[0]}–{members[-1]}" if len(members) > pair else ", ".join(map(str, members))
        )
    text = f"[{', '.join(parts)}]"
    return text if len(text) <= FILE_CHARACTERS else f"{len(numbers)} files"


def figure_of(cells: Sequence[Cell], names: Sequence[str], *, disputed: int) -> "Figure":
    """Plot ``cells`` with a title, a legend of the file numbers, and the digits."""
    legend = [f"[{number}] {cut_start(name)}" for number, name in enumerate(names, start=1)]
    if len(names) > NAMED_FILES:
        legend = [f"{len(names)} files, numbered in the given order"]
    head = canvas.head_height(len(legend))
    height = CELL + LINE * (0.8 + max(len(cell.answers) for cell in cells))
    total = head + height * math.ceil(len(cells) / COLUMNS)
    what = f"{disputed:,} disputed digits" if disputed > 1 else "1 disputed digit"
    title = f"{what}, the most split first"
    if len(cells) < disputed:
        title = f"{len(cells)} of {title}"
    figure = canvas.make_figure(total, title, *legend)
    for number, cell in enumerate(cells):
        row, column = divmod(number, COLUMNS)
        _draw(figure, cell, column * CELL, total - head - row * height)
    return figure


def _draw(figure: "Figure", cell: Cell, left: float, top: float) -> None:
    """Draw ``cell``; ``left`` and ``top`` are inches from the figure's lower left corner."""
    size = CELL - 2 * MARGIN
    left += MARGIN
    write(figure, left, top, f"ImageId {cell.id}", fontsize=8.5)
    bottom = top - LINE - size
    canvas.show_image(figure, cell.image, left, bottom, size)
    for line, (label, given_by) in enumerate(cell.answers):
        top = bottom - 0.04 - LINE * line
        colour = COLOURS[min(line, len(COLOURS) - 1)]
        write(figure, left, top, str(label), fontsize=10.5, fontweight="bold", color=colour)
        write(figure, left + 0.17, top - 0.015, given_by, fontsize=8.5, color=QUIET)
