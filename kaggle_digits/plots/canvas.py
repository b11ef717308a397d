"""Shared parts of all plots: size, colours, placement in inches, reproducible files.

matplotlib is imported inside the functions, and only its parts that need no display.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.datasets.dataset import DIGITS
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]

# Inches. At 160 dots per inch a plot is as wide as a README's column on a high-density screen.
WIDTH, DOTS = 9.6, 160
LINE = 0.18
MARGIN = 0.15

# Blue, vermilion, green and purple of Okabe and Ito, which can be distinguished with any colour
# vision. Colour only repeats what position or text shows, so that plots are readable in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499")
BLUE, VERMILION, *_ = COLOURS
QUIET = "#555555"
FAINT = "#BBBBBB"

NAME_CHARACTERS = 110


def head_height(lines: int) -> float:
    """Return the height in inches of a title with ``lines`` of text below it."""
    return 2 * MARGIN + 0.25 + LINE * lines


def make_figure(height: float, title: str, *lines: str) -> "Figure":
    """Return a figure of ``height`` inches with a title and lines of text below it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    write(figure, MARGIN, height - MARGIN, title, fontsize=12, fontweight="bold")
    for row, line in enumerate(lines):
        write(figure, MARGIN, height - MARGIN - 0.3 - LINE * row, line, fontsize=9, color=QUIET)
    return figure


def write(figure: "Figure", left: float, top: float, text: str, **style: Any) -> None:
    """Write ``text`` at a position in inches; dollar signs do not start a formula."""
    width, height = figure.get_size_inches()
    style = {"va": "top"} | style
    figure.text(left / width, top / height, text, parse_math=False, **style)


def axes_at(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Return new axes at a position in inches, with spines only at the left and below."""
    whole, total = figure.get_size_inches()
    axes = figure.add_axes((left / whole, bottom / total, width / whole, height / total))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(FAINT)
    axes.tick_params(labelsize=9, color=FAINT)
    axes.xaxis.label.set_fontsize(9.5)
    axes.yaxis.label.set_fontsize(9.5)
    return axes


def show_image(
    figure: "Figure",
    image: Pixels,
    left: float,
    bottom: float,
    size: float,
    *,
    full: float = 255,
    frame: str = FAINT,
) -> None:
    """Draw ``image`` (uint8 ``[height, width, channels]``) as a framed square; grey is ink.

    Args:
        figure: the figure to draw on.
        image: the pixels.
        left: left edge of the square in inches.
        bottom: lower edge of the square in inches.
        size: side of the square in inches.
        full: the pixel value of a grey image that is drawn as black.
        frame: colour of the frame.

    """
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, size / width, size / height))
    grey = image.shape[-1] == 1
    pixels = image[..., 0] if grey else image
    axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=full, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=frame, linewidth=0.6 if frame == FAINT else 1.6)


def name_class(name: str, names: tuple[str, ...]) -> str:
    """Return the title of an image of the class ``name``, one of ``names``."""
    return f"Digit: {name}" if names == DIGITS else name


def cut_start(name: str) -> str:
    """Return ``name`` shortened at its beginning to `NAME_CHARACTERS`."""
    return name if len(name) <= NAME_CHARACTERS else "…" + name[1 - NAME_CHARACTERS :]


def require_png(path: Path) -> None:
    """Raise InputError unless ``path`` ends in .png and no file of another kind is there."""
    if path.suffix.lower() != ".png":
        raise InputError(f"received {path} for a picture. Expected a name that ends in .png.")
    files.require_replaceable(path, "a PNG picture", b"\x89PNG")


def save(path: Path, figure: "Figure") -> None:
    """Write ``figure`` atomically as PNG or SVG (by its suffix), with the same bytes each time.

    Raises:
        InputError: ``path`` is not writable.

    """
    from matplotlib import rc_context

    unstamped = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    with (
        files.replacing(path) as temporary,
        warnings.catch_warnings(),
        rc_context({"svg.hashsalt": "kaggle-digits"}),  # without it, the ids in an SVG are random
    ):
        # File names may contain characters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(temporary, dpi=DOTS, metadata=unstamped)
