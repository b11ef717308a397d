"""Which ink is one digit: connected shapes, specks and lines dropped, pieces joined, in order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.ink import Ink, Mask

if TYPE_CHECKING:
    from kaggle_digits.handwriting.pictures import Grey

MAX_DIGITS = 64
MAX_SHAPES = 2_000  # before specks are dropped: a photo of grass has more
MAX_BOXES = 4  # pictures that all shapes' boxes would fill
MAX_INK = 0.6  # of a picture, cut out as tightly as it may be
MAX_THICKNESS = 0.5  # of a stroke, in lengths of the shape: a disc has 1, a bold digit 0.25
MAX_HOLES = 5  # an 8 has 2, one with flourishes 4; shapes in photos have from 6 to 30
PINHOLE = 0.0005  # of the box
EDGE_TO_EDGE = 0.97

# Heights of the tallest stroke: what is too small to count, lower than a digit, small enough to
# be a piece of one, near enough to belong to it.
SPECK = 0.12
LOWEST = 0.3
SMALL = 0.6
NEAR = 0.15

FLAT = 3.0  # times as wide as high: a dash, an underline
STACKED = 0.12  # of their common height lies between two halves of one digit
SHARED = 0.5  # of the narrower's width
SAME_LINE = 0.35  # of the lower's height


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    def around(self, other: "Box") -> "Box":
        """Return the smallest box with both in it."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def scaled(self, grey: "Grey") -> "Box":
        """Return the box in pixels of the picture of which ``grey`` may be a smaller copy."""
        width, height = grey.size
        by = grey.shrunk
        return Box(
            round(self.left * by),
            round(self.top * by),
            min(width, round(self.right * by)),
            min(height, round(self.bottom * by)),
        )


@dataclass(frozen=True, eq=False)
class Shape:
    """The ink of one digit, or a piece of it.

    Attributes:
        box: where it lies.
        mask: bool ``[box.height, box.width]``, its own ink in there.
        line: as in `Digit`.

    """

    box: Box
    mask: Mask
    line: int = 0

    @property
    def area(self) -> int:
        """How many pixels are ink."""
        return int(self.mask.sum())

    def joined(self, other: "Shape") -> "Shape":
        """Return both as one."""
        box = self.box.around(other.box)
        mask = np.zeros((box.height, box.width), bool)
        for piece in (self, other):
            top, left = piece.box.top - box.top, piece.box.left - box.left
            mask[top : top + piece.box.height, left : left + piece.box.width] |= piece.mask
        return Shape(box, mask)


def shapes_of(path: Path, ink: Ink) -> list[Shape]:
    """Return the digits' shapes, line by line from left to right; at least one.

    Raises:
        InputError: there are too many or none, or they are no strokes.

    """
    if ink.mask.mean() > MAX_INK:
        raise InputError(NO_PEN.format(path))
    mask = _without_rules(ink.mask)
    pieces = _without_frames(_pieces(path, mask), *mask.shape)
    # Not by a stain: next to one, digits would pass for specks.
    tallest = max((piece.box.height for piece in pieces if _is_stroke(piece)), default=0)
    pieces = [piece for piece in pieces if _counts(piece, tallest)]
    found = [shape for shape in _joined(pieces, tallest) if _is_digit(shape, tallest)]
    shapes = [shape for shape in found if _holes(shape) <= MAX_HOLES]
    most = 2 * sum(shape.area for shape in shapes) > sum(shape.area for shape in found)
    if not most:
        raise InputError(NO_PEN.format(path))
    if len(shapes) > MAX_DIGITS:
        raise InputError(_too_many(path, len(shapes)))
    return _in_order(shapes)


EXPECTED = (
    f"Expected up to {MAX_DIGITS} separate digits on a plain ground, and little else; cut the "
    "picture down to them."
)


NO_PEN = f"{{}} shows no shape that a pen would leave. {EXPECTED}"


def _too_many(path: Path, count: int) -> str:
    return f"{path} shows {count:,} shapes. {EXPECTED}"


def _pieces(path: Path, mask: Mask) -> list[Shape]:
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count > MAX_SHAPES:
        raise InputError(_too_many(path, count))
    boxes = ndimage.find_objects(labels)
    # Shapes within shapes: each costs as much as its box, however little ink it has.
    if sum(labels[box].size for box in boxes) > MAX_BOXES * mask.size:
        raise InputError(_too_many(path, count))
    return [
        Shape(
            Box(columns.start, rows.start, columns.stop, rows.stop),
            labels[rows, columns] == number,
        )
        for number, (rows, columns) in enumerate(boxes, start=1)
    ]


def _without_rules(mask: Mask) -> Mask:
    """Return ``mask`` without level lines from edge to edge, such as ruled paper has.

    Where a line crosses a digit, the digit's stroke is kept. What hugs the upper or lower edge
    stays: it may be the base of a 2 that was cut out tightly.
    """
    from scipy import ndimage

    height = len(mask)
    margin = max(1, height // 20)
    rows = np.flatnonzero(mask.mean(axis=1) > EDGE_TO_EDGE)
    rows = rows[(rows >= margin) & (rows < height - margin)]
    if not len(rows):
        return mask
    ruled = np.zeros(height, bool)
    ruled[rows] = True
    # The line's own rim is not full from edge to edge.
    ruled = ndimage.binary_dilation(ruled)
    left = mask & ~ruled[:, None]
    if not left.any():
        return mask
    thickness = max(stop - start for start, stop in _runs(ruled))
    # A stroke goes on above and below the line that crosses it.
    rim = thickness + 1
    bridged = ndimage.binary_closing(np.pad(left, rim), np.ones((rim + 1, 1)))
    return np.asarray(left | (mask & bridged[rim:-rim, rim:-rim]), bool)


def _runs(flags: Mask) -> list[tuple[int, int]]:
    """Return start and stop of each run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in steps.reshape(-1, 2)]


def _without_frames(pieces: Sequence[Shape], height: int, width: int) -> list[Shape]:
    """Return ``pieces`` without what reaches from edge to edge: margins, the table around a page.

    A digit that was cut out tightly does so, too: but then there is little else.
    """
    inner = [piece for piece in pieces if not _is_frame(piece.box, height, width)]
    enough = max((piece.box.height for piece in inner), default=0) > NEAR * height
    return inner if enough else list(pieces)


def _is_frame(box: Box, height: int, width: int) -> bool:
    across, along = box.width >= EDGE_TO_EDGE * width, box.height >= EDGE_TO_EDGE * height
    thin = (1 - EDGE_TO_EDGE) * max(box.height, box.width)
    return (across and along) or ((across or along) and min(box.height, box.width) < thin)


def _is_stroke(shape: Shape) -> bool:
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(shape.mask, 1)).max()
    return bool(2 * depth <= MAX_THICKNESS * max(shape.mask.shape) + 1)


def _holes(shape: Shape) -> int:
    """Return how many holes the shape has that can be seen."""
    from scipy import ndimage

    labels, _ = ndimage.label(~np.pad(shape.mask, 1))
    # The first two numbers are those of the ink and of what lies outside.
    return int((np.bincount(labels.ravel())[2:] > PINHOLE * shape.mask.size).sum())


def _counts(piece: Shape, tallest: int) -> bool:
    """Return whether ``piece`` may be a digit or a part of one: no speck, no stain."""
    large = max(piece.mask.shape) > SPECK * tallest
    return large and (piece.box.height < SMALL * tallest or _is_stroke(piece))


def _is_digit(shape: Shape, tallest: int) -> bool:
    height, width = shape.mask.shape
    return height >= LOWEST * tallest and width <= FLAT * height and _is_stroke(shape)


def _joined(pieces: Sequence[Shape], tallest: int) -> list[Shape]:
    """Return the pieces with those joined that belong to one digit, such as a 5 and its hat."""
    whole: list[Shape] = []
    for piece in sorted(pieces, key=lambda one: -one.box.height):
        near = [k for k, other in enumerate(whole) if _belongs(piece.box, other.box, tallest)]
        if near:
            nearest = min(near, key=lambda k: _distance(piece.box, whole[k].box))
            whole[nearest] = whole[nearest].joined(piece)
        else:
            whole.append(piece)
    return whole


def _gaps(a: Box, b: Box) -> tuple[int, int]:
    """Return how far two boxes are apart in x and y; below 0 where they overlap."""
    return (
        max(a.left, b.left) - min(a.right, b.right),
        max(a.top, b.top) - min(a.bottom, b.bottom),
    )


def _distance(a: Box, b: Box) -> int:
    return sum(max(gap, 0) for gap in _gaps(a, b))


def _belongs(piece: Box, body: Box, tallest: int) -> bool:
    """Return whether ``piece`` is a part of the digit ``body``, which is not lower."""
    across, down = _gaps(piece, body)
    above = -across >= SHARED * min(piece.width, body.width)
    if above and down <= STACKED * piece.around(body).height and down > -SHARED * piece.height:
        return True
    small = piece.height < SMALL * tallest
    return small and max(across, down) <= NEAR * tallest


def _in_order(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes line by line; neighbours in a line lie beside each other."""
    lines: list[list[Shape]] = []
    for shape in sorted(shapes, key=lambda one: one.box.left):
        fitting = [line for line in lines if _beside(line[-1].box, shape.box)]
        if fitting:
            max(fitting, key=lambda line: line[-1].box.right).append(shape)
        else:
            lines.append([shape])
    lines.sort(key=lambda line: np.mean([one.box.top + one.box.bottom for one in line]))
    return [replace(shape, line=number) for number, line in enumerate(lines) for shape in line]


def _beside(a: Box, b: Box) -> bool:
    _, down = _gaps(a, b)
    return -down >= SAME_LINE * min(a.height, b.height)
