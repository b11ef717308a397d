"""Remove printed lines from the ink: form fields, combs, tables, ruled paper and frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits.handwriting.binarize import Ink
from kaggle_digits.handwriting.planes import Mask, measure_runs, open_along
from kaggle_digits.handwriting.shapes import Box, Shape, find_shapes, measure_rectangularity

# Share of a shape's extent that a line spans; no digit has such strokes in both directions.
SPAN = 0.8
WIDE = 1.25  # width over height above which a shape may be several boxes that digits connect
MAX_LINE = 0.12  # largest thickness over length of a line; strokes of bold digits are thicker
ARC = 0.2  # thickness over width above which an arc of a circle looks like a line over SPAN
MAX_TILT = 0.09  # slope of a line in pixels per pixel: five degrees
TILTS = 181
MAX_POINTS = 20_000  # pixels of a shape that are used to measure its tilt
RULE = 1.8  # length of a line over height of its shape; no digit is so wide
EDGE_TO_EDGE = 0.9
MIN_SIDE = 8  # pixels
RECTANGLE = 0.85  # smallest `measure_rectangularity` of a drawn or printed box
TEETH = 3
ALIKE = 0.2  # largest relative deviation of the heights of a comb's teeth


@dataclass(frozen=True, eq=False)
class _Lines:
    """The straight lines of a shape in one direction.

    Attributes:
        mask: bool ``[height, width]``, pixels of the lines.
        count: number of lines.
        longest: length of the longest line in pixels.
        thickness: thickness of the line at each pixel, in pixels.
        extent: extent of the straightened shape across the lines, in pixels.

    """

    mask: Mask
    count: int
    longest: int
    thickness: npt.NDArray[np.float32]
    extent: int


def remove_rules(path: Path, ink: Ink) -> tuple[Ink, list[Box]]:
    """Return ``ink`` without printed lines, and the boxes of the shapes that had such lines.

    Strokes that cross a line are kept.

    Raises:
        InputError: there are too many shapes.

    """
    kept = ink.mask.copy()
    found = []
    for shape in find_shapes(path, ink.mask):
        ruled = _rules_of(shape, ink.mask.shape[1])
        if ruled is not None:
            found.append(shape.box)
            kept[shape.box.slices] &= ~ruled
    shapes = find_shapes(path, kept)
    for shape in _enclosures(shapes):
        if not any(_within(shape.box, box) for box in found):
            found.append(shape.box)
        kept[shape.box.slices] &= ~shape.mask
    if not found:
        return ink, []
    return replace(ink, mask=kept, strength=np.where(ink.mask & ~kept, 0, ink.strength)), found


def _within(inner: Box, outer: Box) -> bool:
    return inner.around(outer) == outer


def _enclosures(shapes: Sequence[Shape]) -> list[Shape]:
    """Return hand-drawn rectangles: those with content but without straight lines."""
    from scipy import ndimage

    found = []
    for shape in shapes:
        inner = [
            other.box
            for other in shapes
            if other is not shape
            and _within(other.box, shape.box)
            and other.box.height > INNER * shape.box.height
        ]
        if not inner:
            continue
        filled = ndimage.binary_fill_holes(shape.mask)
        enclosed = any(
            filled[
                (box.top + box.bottom) // 2 - shape.box.top,
                (box.left + box.right) // 2 - shape.box.left,
            ]
            for box in inner
        )
        if enclosed and measure_rectangularity(filled) > RECTANGLE:
            found.append(shape)
    return found


INNER = 0.05


def _rules_of(shape: Shape, page_width: int) -> Mask | None:
    """Return the pixels of ``shape`` that are printed lines; None if it has none."""
    from scipy import ndimage

    mask = shape.mask
    if min(mask.shape) < MIN_SIDE:
        return None
    height, width = mask.shape
    level = _level_lines(mask, SPAN * min(width, WIDE * height))
    upright = _transpose(_level_lines(mask.T, SPAN * height))
    long = width >= EDGE_TO_EDGE * page_width
    wide = upright.extent >= RULE * level.extent
    _, corners = ndimage.label(level.mask & upright.mask, np.ones((3, 3)))
    is_box = level.count >= 2 and upright.count >= 2 and corners >= 4  # noqa: PLR2004
    is_comb = level.count >= 1 and upright.count >= TEETH and corners >= TEETH
    across = level.longest >= SPAN * width
    is_ruled = across and (wide or (long and level.count >= TEETH))
    if not (is_box or is_comb or is_ruled):
        return None
    if not (is_box or is_comb):
        upright = replace(upright, mask=np.zeros_like(mask))
    thin_upright = _thin(mask.T, _transpose(upright), level.mask.T).T
    removed = _thin(mask, level, upright.mask) | thin_upright | (level.mask & upright.mask)
    removed |= _rims(mask & ~removed, removed)
    left = mask & ~removed
    removed &= ~(_bridges(left, level) | _bridges(left.T, _transpose(upright)).T)
    return removed if is_box or is_comb else removed | _teeth(mask & ~removed, removed, level)


def _transpose(lines: _Lines) -> _Lines:
    return replace(lines, mask=lines.mask.T, thickness=lines.thickness.T)


def _level_lines(mask: Mask, length: float) -> _Lines:
    """Return the lines in ``mask`` of at least ``length`` pixels, which may be tilted."""
    from scipy import ndimage

    rows, columns = np.nonzero(mask)
    slope = _slope(rows, columns)
    shift = np.round(slope * np.arange(mask.shape[1])).astype(int)
    shift -= shift.min()
    away = shift.max() - shift
    upright = np.zeros((mask.shape[0] + away.max(), mask.shape[1]), bool)
    upright[rows + away[columns], columns] = True
    held = np.flatnonzero(upright.any(axis=1))
    extent = int(held[-1] - held[0] + 1)
    # A tilted line has steps, and a faint line has gaps.
    smeared = ndimage.maximum_filter(upright, 3)
    runs = open_along(smeared, round(length), axis=1) & upright
    labels, count = ndimage.label(runs, np.ones((3, 3)))
    numbers = np.arange(count + 1)
    # Not the median, because a digit may cross most of a short line.
    thick = ndimage.labeled_comprehension(
        measure_runs(upright, 0), labels, numbers, lambda of: np.percentile(of, 25), np.float32, 0
    )
    along = mask.shape[1]
    thin = (numbers > 0) & (thick <= min(MAX_LINE * along, ARC * along - 3))
    chosen = thin[labels] & runs
    boxes = [
        box for box, is_line in zip(ndimage.find_objects(labels), thin[1:], strict=True) if is_line
    ]
    longest = max((across.stop - across.start for _, across in boxes), default=0)
    back = rows + away[columns]
    lines, thickness = np.zeros_like(mask), np.zeros(mask.shape, np.float32)
    lines[rows, columns] = chosen[back, columns]
    thickness[rows, columns] = thick[labels][back, columns]
    return _Lines(lines, int(thin.sum()), longest, thickness, extent)


def _slope(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> float:
    """Return the slope along which most pixels share a row."""
    step = max(1, len(rows) // MAX_POINTS)
    y, x = rows[::step], columns[::step]
    slopes = np.linspace(-MAX_TILT, MAX_TILT, TILTS)
    moved = np.round(y - slopes[:, None] * x).astype(int)
    moved -= moved.min()
    height = int(moved.max()) + 1
    keys = moved + height * np.arange(TILTS)[:, None]  # each slope counts in rows of its own
    counts = np.bincount(keys.ravel(), minlength=TILTS * height).reshape(TILTS, height)
    sharpness = (counts.astype(np.float64) ** 2).sum(axis=1)
    best = np.flatnonzero(sharpness >= sharpness.max() * 0.999)
    return float(slopes[best[np.abs(slopes[best]).argmin()]])


def _thin(mask: Mask, lines: _Lines, others: Mask) -> Mask:
    """Return the pixels of horizontal ``lines`` without ink above or below them."""
    if not lines.mask.any():
        return lines.mask
    return lines.mask & (measure_runs(mask & ~others, 0) <= 2 * lines.thickness + 1)


def _bridges(left: Mask, lines: _Lines) -> Mask:
    """Return the parts of horizontal lines that connect strokes above and below them."""
    from scipy import ndimage

    if not lines.mask.any():
        return lines.mask
    rim = round(float(lines.thickness[lines.mask].max())) + 3
    closed = ndimage.binary_closing(np.pad(left, rim), np.ones((rim + 1, 1)))
    return np.asarray(closed[rim:-rim, rim:-rim] & lines.mask & ~left, bool)


def _rims(left: Mask, removed: Mask) -> Mask:
    """Return the soft edges of ``removed`` lines: ink beside them that is one pixel thin."""
    from scipy import ndimage

    strokes = ndimage.binary_opening(np.pad(left, 2, mode="edge"), np.ones((2, 2)))[2:-2, 2:-2]
    return np.asarray(ndimage.binary_dilation(removed, np.ones((3, 3))) & left & ~strokes, bool)


def _teeth(left: Mask, removed: Mask, level: _Lines) -> Mask:
    """Return the teeth of a comb whose base was removed: vertical bars of equal height."""
    from scipy import ndimage

    labels, _ = ndimage.label(left, np.ones((3, 3)))
    beside = ndimage.binary_dilation(removed, np.ones((5, 5)))
    touching = np.unique(labels[beside & left])
    most = 2 * float(np.median(level.thickness[level.mask])) + 2
    boxes = ndimage.find_objects(labels)
    thin = [
        number
        for number in touching.tolist()
        if number and boxes[number - 1][1].stop - boxes[number - 1][1].start <= most
    ]
    heights = np.array([boxes[number - 1][0].stop - boxes[number - 1][0].start for number in thin])
    if len(thin) < TEETH:
        return np.zeros_like(left)
    middle = float(np.median(heights))
    alike = [
        number
        for number, height in zip(thin, heights.tolist(), strict=True)
        if abs(height - middle) <= max(1, ALIKE * middle)
    ]
    return np.isin(labels, alike) if len(alike) >= TEETH else np.zeros_like(left)
