"""Find the digits among shapes, join the pieces of a digit, and order digits into lines."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.planes import Mask
from kaggle_digits.handwriting.shapes import (
    EXPECTED,
    MAX_DIGITS,
    Box,
    Shape,
    count_holes,
    find_shapes,
    goes_on_outside,
    is_stroke,
    measure_thickness,
    too_many,
)

MAX_INK = 0.7  # largest share of ink in a picture; a tightly cropped bold 8 has 0.62
MAX_HOLES = 5  # an 8 has 2, one with flourishes 4; shapes in photos have from 6 to 30

# When a piece belongs to the main part (body) of a digit. Lengths are in heights of the body.
LOW = 0.6  # a lower piece may be a part; a higher one may be half of a digit
SPECK = 0.2  # largest size of a point
FLAT_PIECE = 1.2  # smallest width over height of a horizontal bar
TOP = 0.4  # upper part of the body, where the bar of a 5 lies
WIDEST_HAT = 2.5  # largest width of a top bar over the body's
WIDEST_BASE = 1.25  # largest width of a base over the body's; a wider line underlines the digit
SHARED = 0.5  # smallest overlap in x of pieces above each other, over the narrower's width
OVERLAP = 0.2  # the same for two tall pieces of one digit, such as a 4
# Largest distance between two pieces, in heights of both together.
BROKEN = 0.05  # a gap in a stroke
HAT = 0.2
BASE = 0.15  # the base of a 2
BESIDE = 0.1  # a bar that continues sideways
HALF = 0.1
HALVES = 1.6  # largest height over width of two joined halves; two digits are higher

# Heights relative to the tallest shape in the same line.
LOWEST = 0.18  # lowest digit, such as a small zero between tall digits
LOWEST_IN_PICTURE = 0.08  # lowest digit of another line, which may have smaller digits
SMALL = 0.45  # a lower shape must be longer than a point
LONG = 4.0  # length over thickness that distinguishes a small digit from a point or comma
FLAT = 3.0  # width over height of a dash or line
FLAT_AND_LOW = 1.8  # the same for shapes lower than SMALL

MIN_STROKE = 8  # smallest height of a digit in pixels; noise may be long but not so high
AROUND = 0.5  # largest height of strokes within a frame, over the height of the frame
ENOUGH = 0.15  # smallest height of digits beside a dark edge, over the picture's height
SAME_LINE = 0.35  # smallest overlap in y of neighbours in a line, over the lower's height


class Kind(enum.StrEnum):
    """The kind of a shape that is not a digit."""

    SPECK = "speck"  # a speck or a point
    DASH = "dash"  # a dash, a minus sign or a line
    BLOT = "blot"
    TANGLE = "tangle"  # too many holes
    RULE = "rule"  # a printed line, a box, a table, a frame
    EDGE = "edge"  # a dark corner or bar at the picture's edge


@dataclass(frozen=True)
class LeftOut:
    """A shape that is not read as a digit.

    Attributes:
        box: its bounding box, in pixels of `Grey.pixels`.
        kind: its kind.

    """

    box: Box
    kind: Kind


@dataclass(frozen=True, eq=False)
class _Body:
    """A shape with cached measurements."""

    shape: Shape

    @property
    def box(self) -> Box:
        return self.shape.box

    @cached_property
    def is_stroke(self) -> bool:
        return is_stroke(self.shape)

    @cached_property
    def is_long(self) -> bool:
        thickness = measure_thickness(self.shape.mask)
        return self.shape.area >= LONG * thickness**2

    def is_flat(self, times: float) -> bool:
        return self.box.width > times * self.box.height


def arrange(path: Path, mask: Mask) -> tuple[list[list[Shape]], list[LeftOut]]:
    """Return the shapes of the digits, line by line from left to right, and the other shapes.

    Args:
        path: the picture's path, for messages.
        mask: bool ``[height, width]``, True for ink.

    Raises:
        InputError: there are too many shapes or no digits, or the shapes are not strokes.

    """
    if mask.mean() > MAX_INK:
        raise InputError(NO_PEN.format(path))
    shapes, edges = _without_edges(find_shapes(path, mask), mask.shape)
    around = [shape for shape in shapes if _is_around(shape, shapes)]
    shapes = [shape for shape in shapes if not any(shape is other for other in around)]
    bodies = [_Body(shape) for shape in _join(shapes)]
    judged = _judge(bodies)
    digits = [body.shape for body, kind in zip(bodies, judged, strict=True) if kind is None]
    left_out = [LeftOut(shape.box, Kind.EDGE) for shape in edges]
    left_out += [LeftOut(shape.box, Kind.RULE) for shape in around]
    left_out += [
        LeftOut(body.box, kind)
        for body, kind in zip(bodies, judged, strict=True)
        if kind is not None
    ]
    tangled = sum(b.shape.area for b, k in zip(bodies, judged, strict=True) if k is Kind.TANGLE)
    if sum(shape.area for shape in digits) <= tangled:
        raise InputError(NO_PEN.format(path))
    if len(digits) > MAX_DIGITS:
        raise too_many(path, len(digits))
    return _in_lines(digits), left_out


NO_PEN = f"{{}} shows no shape that looks like a pen stroke. {EXPECTED}"


# ------------------------------------------------------------------- the picture's edges


def _without_edges(
    shapes: Sequence[Shape], size: tuple[int, ...]
) -> tuple[list[Shape], list[Shape]]:
    """Return ``shapes`` without dark corners and bars, and the removed shapes.

    A tightly cropped digit may look like a bar, but then there is little else in the picture.
    """
    edges = [shape for shape in shapes if goes_on_outside(shape, size)]
    inner = [shape for shape in shapes if not any(shape is edge for edge in edges)]
    enough = max((shape.box.height for shape in inner), default=0) > ENOUGH * size[0]
    return (inner, edges) if enough else (list(shapes), [])


def _is_around(shape: Shape, shapes: Sequence[Shape]) -> bool:
    """Return whether several strokes lie in the box of ``shape``, as for a part of a frame."""
    within = [
        other
        for other in shapes
        if other is not shape
        and shape.box.around(other.box) == shape.box
        and MIN_STROKE <= other.box.height < AROUND * shape.box.height
    ]
    return len(within) > 1 and sum(_Body(other).is_long for other in within) > 1


# -------------------------------------------------------------------- pieces of one digit


def _join(pieces: Sequence[Shape]) -> list[Shape]:
    """Return the shapes after joining the pieces of a digit, such as a 5 and its top bar."""
    whole: list[Shape] = []
    for piece in sorted(pieces, key=lambda shape: -shape.box.height):
        near = [k for k, other in enumerate(whole) if _belongs(piece, other)]
        if near:
            nearest = min(near, key=lambda k: _distance(piece, whole[k]))
            whole[nearest] = whole[nearest].join(piece)
        else:
            whole.append(piece)
    return whole


def _belongs(piece: Shape, body: Shape) -> bool:  # noqa: PLR0911 — one return per kind of piece
    """Return whether ``piece`` is a part of the digit ``body``, which is at least as high."""
    a, b = piece.box, body.box
    both = a.around(b)
    across, down = a.gaps(b)
    if max(across, down) > HAT * both.height:
        return False
    flat = a.width > FLAT_PIECE * a.height
    above = -across >= SHARED * min(a.width, b.width)
    beside = -down >= SHARED * a.height
    if a.height >= LOW * b.height:
        if beside:
            return -across >= OVERLAP * min(a.width, b.width) and _near(piece, body, BROKEN)
        are_flat = flat and b.width > FLAT_PIECE * b.height
        gap = HAT if are_flat else HALF
        return above and down <= gap * both.height and both.height <= HALVES * both.width
    if above and beside:
        return True
    if max(a.width, a.height) < SPECK * b.height:
        return False
    if flat and a.width <= WIDEST_HAT * b.width and a.bottom <= b.top + TOP * b.height:
        return _near(piece, body, HAT)
    if flat and a.width <= WIDEST_BASE * b.width:
        return _near(piece, body, BASE if above else BESIDE)
    return _near(piece, body, BROKEN)


def _near(piece: Shape, body: Shape, share: float) -> bool:
    """Return whether the distance of two shapes is at most ``share`` of their joint height."""
    return _distance(piece, body) <= share * piece.box.around(body.box).height + 1


def _distance(piece: Shape, body: Shape) -> float:
    """Return the distance between the ink of two shapes in pixels."""
    from scipy import ndimage

    both = piece.box.around(body.box)
    planes = []
    for shape in (piece, body):
        plane = np.zeros((both.height, both.width), bool)
        top, left = shape.box.top - both.top, shape.box.left - both.left
        plane[top : top + shape.box.height, left : left + shape.box.width] = shape.mask
        planes.append(plane)
    away = ndimage.distance_transform_edt(~planes[1])
    return float(away[planes[0]].min()) - 1


# ------------------------------------------------------------------- what is not a digit


def _judge(bodies: Sequence[_Body]) -> list[Kind | None]:
    """Return the kind of each shape; None for digits.

    Each shape is compared with the tallest shape in its line.
    """
    strokes = [body for body in bodies if body.is_stroke and not body.is_flat(FLAT)]
    if not strokes:
        return [_kind_alone(body) for body in bodies]
    tops = np.array([body.box.top for body in strokes])
    bottoms = np.array([body.box.bottom for body in strokes])
    heights = bottoms - tops
    kinds = []
    for body in bodies:
        middle = (body.box.top + body.box.bottom) / 2
        level = heights[(tops <= middle) & (middle <= bottoms)]
        tallest = int(level.max(initial=body.box.height))
        kinds.append(_kind(body, tallest, int(heights.max())))
    return kinds


def _kind_alone(body: _Body) -> Kind:
    return Kind.DASH if body.is_flat(FLAT) else Kind.BLOT


def _kind(body: _Body, tallest: int, tallest_of_all: int) -> Kind | None:
    height = body.box.height
    low = height < SMALL * tallest
    if body.is_flat(FLAT_AND_LOW if low else FLAT):
        return Kind.DASH if body.box.width > SPECK * tallest else Kind.SPECK
    if height < LOWEST * tallest or height < LOWEST_IN_PICTURE * tallest_of_all:
        return Kind.SPECK
    if (low or height < SMALL * tallest_of_all) and not body.is_long:
        return Kind.SPECK
    if not body.is_stroke:
        return Kind.BLOT
    return Kind.TANGLE if count_holes(body.shape) > MAX_HOLES else None


# ---------------------------------------------------------------------------- lines


def _in_lines(shapes: Sequence[Shape]) -> list[list[Shape]]:
    """Return the shapes grouped by lines; neighbours in a line overlap vertically."""
    lines: list[list[Shape]] = []
    for shape in sorted(shapes, key=lambda shape: shape.box.left):
        shares = [_share_beside(line[-1].box, shape.box) for line in lines]
        best = max(shares, default=0.0)
        if best >= SAME_LINE:
            lines[shares.index(best)].append(shape)
        else:
            lines.append([shape])
    return sorted(
        lines, key=lambda line: np.mean([shape.box.top + shape.box.bottom for shape in line])
    )


def _share_beside(a: Box, b: Box) -> float:
    """Return the vertical overlap of two boxes as a share of the lower's height."""
    return -a.gaps(b)[1] / min(a.height, b.height)
