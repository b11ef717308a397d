"""Which shapes are digits, in which lines; pieces of one digit are joined, the rest is left out."""

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

MAX_INK = 0.7  # of a picture: a bold 8 that was cut out tightly has 0.62
MAX_HOLES = 5  # an 8 has 2, one with flourishes 4; shapes in photos have from 6 to 30

# What makes a piece part of a body, in heights of the body.
LOW = 0.6  # lower than that, it may be a piece; higher, it may be a half
SPECK = 0.2  # no longer than that, it is a point
FLAT_PIECE = 1.2  # times as wide as high
TOP = 0.4  # of the body: as high lies the hat of a 5
WIDEST_HAT = 2.5  # times as wide as its body
WIDEST_BASE = 1.25  # what is wider underlines the digit
SHARED = 0.5  # of the narrower's width, where one lies above the other
OVERLAP = 0.2  # the same for two tall pieces of one digit, such as a 4
# How far apart they may be, in heights of both together.
BROKEN = 0.05  # a stroke that ran dry
HAT = 0.2
BASE = 0.15  # the base of a 2
BESIDE = 0.1  # a bar that goes on sideways
HALF = 0.1
HALVES = 1.6  # times as high as wide is what two halves make; two digits are higher

# Heights of the tallest shape in the same line.
LOWEST = 0.18  # of a digit, a zero between tall ones
LOWEST_IN_PICTURE = 0.08  # a line of its own may be of smaller digits
SMALL = 0.45  # so low, it must be longer than a point
LONG = 4.0  # times as long as thick: a small digit, and no point or comma
FLAT = 3.0  # times as wide as high: a dash, a line
FLAT_AND_LOW = 1.8  # the same for what is lower than SMALL

MIN_STROKE = 8  # pixels: noise may be as long, but not as high
AROUND = 0.5  # of the height of what lies around them have strokes within it
ENOUGH = 0.15  # of the picture's height
SAME_LINE = 0.35  # of the lower's height


class Kind(enum.StrEnum):
    """What a shape is that is no digit."""

    SPECK = "speck"  # or a point
    DASH = "dash"  # or a minus sign, a line
    BLOT = "blot"
    TANGLE = "tangle"  # too many holes
    RULE = "rule"  # a printed line, a box, a table, a frame
    EDGE = "edge"  # a dark corner or bar at the picture's edge


@dataclass(frozen=True)
class LeftOut:
    """A shape that was not read.

    Attributes:
        box: where it lies, in pixels of `Grey.pixels`.
        kind: what it was taken for.

    """

    box: Box
    kind: Kind


@dataclass(frozen=True, eq=False)
class _Body:
    """A shape with what is asked of it more than once."""

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
    """Return the digits' shapes, line by line from left to right, and what else there is.

    Args:
        path: the picture's, for messages.
        mask: bool ``[height, width]``, its ink.

    Raises:
        InputError: there are too many shapes or no digits, or they are no strokes.

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


NO_PEN = f"{{}} shows no shape that a pen would leave. {EXPECTED}"


# ------------------------------------------------------------------- the picture's edges


def _without_edges(
    shapes: Sequence[Shape], size: tuple[int, ...]
) -> tuple[list[Shape], list[Shape]]:
    """Return ``shapes`` without dark corners and bars, and those.

    A digit that was cut out tightly may look like one, but then there is little else.
    """
    edges = [shape for shape in shapes if goes_on_outside(shape, size)]
    inner = [shape for shape in shapes if not any(shape is edge for edge in edges)]
    enough = max((shape.box.height for shape in inner), default=0) > ENOUGH * size[0]
    return (inner, edges) if enough else (list(shapes), [])


def _is_around(shape: Shape, shapes: Sequence[Shape]) -> bool:
    """Return whether several strokes lie within the box of ``shape``: it is a part of a frame."""
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
    """Return the pieces with those joined that belong to one digit, such as a 5 and its hat."""
    whole: list[Shape] = []
    for piece in sorted(pieces, key=lambda one: -one.box.height):
        near = [k for k, other in enumerate(whole) if _belongs(piece, other)]
        if near:
            nearest = min(near, key=lambda k: _distance(piece, whole[k]))
            whole[nearest] = whole[nearest].join(piece)
        else:
            whole.append(piece)
    return whole


def _belongs(piece: Shape, body: Shape) -> bool:  # noqa: PLR0911 — one kind of piece, one return
    """Return whether ``piece`` is a part of the digit ``body``, which is not lower."""
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
    """Return whether the ink of two shapes is no farther apart than ``share`` of their height."""
    return _distance(piece, body) <= share * piece.box.around(body.box).height + 1


def _distance(piece: Shape, body: Shape) -> float:
    """Return how far the ink of two shapes is apart, in pixels."""
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
    """Return what each shape is that is no digit; None for digits.

    Each is held against the tallest in its own line.
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
    """Return the shapes line by line; neighbours in a line lie beside each other."""
    lines: list[list[Shape]] = []
    for shape in sorted(shapes, key=lambda one: one.box.left):
        shares = [_share_beside(line[-1].box, shape.box) for line in lines]
        best = max(shares, default=0.0)
        if best >= SAME_LINE:
            lines[shares.index(best)].append(shape)
        else:
            lines.append([shape])
    return sorted(lines, key=lambda line: np.mean([one.box.top + one.box.bottom for one in line]))


def _share_beside(a: Box, b: Box) -> float:
    """Return which share of the lower's height two boxes have in common."""
    return -a.gaps(b)[1] / min(a.height, b.height)
