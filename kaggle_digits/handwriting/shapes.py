"""Find connected shapes of ink, and measure them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.planes import Mask

if TYPE_CHECKING:
    from kaggle_digits.handwriting.pictures import Grey

MAX_DIGITS = 64
MAX_SHAPES = 2_000  # shapes before specks are removed; a photo of grass has more
MAX_BOXES = 4  # total area of all boxes, in areas of the picture
MAX_THICKNESS = 0.65  # stroke thickness over shape length; a disc has 1, the boldest 6 has 0.63
EDGE = 0.8  # share of a shape's extent on the picture's edge above which it continues outside
ALONG = 0.97  # share of the picture's edge that a bar covers
SHEET = 0.9  # share of the area left by a desk that must be one sheet of paper
RECTANGLE = 0.85  # smallest rectangularity of paper seen at an angle; a large 0 has 0.79
PINHOLE = 0.0005  # smallest hole that counts, as a share of the box
STRIP = 4  # thickness of a long strip over its mean distance to the edge

EXPECTED = (
    f"Expected up to {MAX_DIGITS} separate digits on a plain background, and little else. Crop the "
    "picture to the digits."
)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Size in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Size in pixels."""
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """The slices that cut the box out of a plane."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def around(self, other: "Box") -> "Box":
        """Return the smallest box that contains both boxes."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def gaps(self, other: "Box") -> tuple[int, int]:
        """Return the distance of two boxes in x and y; negative if they overlap."""
        return (
            max(self.left, other.left) - min(self.right, other.right),
            max(self.top, other.top) - min(self.bottom, other.bottom),
        )

    def scale(self, grey: "Grey") -> "Box":
        """Return the box in pixels of the original picture, from which ``grey`` was reduced."""
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
        box: its bounding box.
        mask: bool ``[box.height, box.width]``, its ink.

    """

    box: Box
    mask: Mask

    @property
    def area(self) -> int:
        """Number of ink pixels."""
        return int(self.mask.sum())

    def join(self, other: "Shape") -> "Shape":
        """Return the union of both shapes."""
        box = self.box.around(other.box)
        mask = np.zeros((box.height, box.width), bool)
        for piece in (self, other):
            top, left = piece.box.top - box.top, piece.box.left - box.left
            mask[top : top + piece.box.height, left : left + piece.box.width] |= piece.mask
        return Shape(box, mask)


def find_shapes(path: Path, mask: Mask) -> list[Shape]:
    """Return the connected shapes of ``mask``.

    Raises:
        InputError: there are too many shapes, or too many nested ones.

    """
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count > MAX_SHAPES:
        raise too_many(path, count)
    boxes = ndimage.find_objects(labels)
    # The cost of a shape is that of its box, however little ink it has.
    if sum(labels[box].size for box in boxes) > MAX_BOXES * mask.size:
        raise too_many(path, count)
    return [
        Shape(
            Box(columns.start, rows.start, columns.stop, rows.stop),
            labels[rows, columns] == number,
        )
        for number, (rows, columns) in enumerate(boxes, start=1)
    ]


def too_many(path: Path, count: int) -> InputError:
    """Return the error for a picture with too many shapes."""
    return InputError(f"{path} shows {count:,} shapes. {EXPECTED}")


def goes_on_outside(shape: Shape, size: tuple[int, ...]) -> bool:
    """Return whether ``shape`` lies around the paper, as a dark corner, a bar or a desk does.

    Such a shape fills an edge of the picture, or the edges at a corner, and leaves one sheet.
    """
    from scipy import ndimage

    height, width = size
    mask, box = shape.mask, shape.box
    touched = {
        "top": (box.top == 0, mask[0], box.width / width),
        "bottom": (box.bottom == height, mask[-1], box.width / width),
        "left": (box.left == 0, mask[:, 0], box.height / height),
        "right": (box.right == width, mask[:, -1], box.height / height),
    }
    contact = {name: line.mean() for name, (touches, line, _) in touched.items() if touches}
    along_an_edge = any(contact[name] * touched[name][2] > ALONG for name in contact)
    in_a_corner = len(contact) == 2 and min(contact.values()) > EDGE  # noqa: PLR2004
    if not (along_an_edge or in_a_corner):
        return False
    rest = np.ones(size, bool)
    rest[box.slices] = ~mask
    labels, _ = ndimage.label(rest)
    areas = np.bincount(labels.ravel())[1:]
    if not areas.sum() or areas.max() < SHEET * areas.sum():
        return False
    sheet = ndimage.binary_fill_holes(labels == areas.argmax() + 1)
    return measure_rectangularity(sheet) > RECTANGLE


def is_stroke(shape: Shape) -> bool:
    """Return whether the shape is as thin as a pen stroke, unlike a blot."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(shape.mask, 1)).max()
    return bool(2 * depth <= MAX_THICKNESS * max(shape.mask.shape) + 1)


def measure_thickness(mask: Mask) -> float:
    """Return the thickness of the strokes of ``mask`` in pixels."""
    from scipy import ndimage

    inside = ndimage.distance_transform_edt(np.pad(mask, 1))
    return max(1.0, STRIP * float(inside[inside > 0].mean()) - 1)


def count_holes(shape: Shape) -> int:
    """Return the number of visible holes in the shape."""
    from scipy import ndimage

    labels, _ = ndimage.label(~np.pad(shape.mask, 1))
    # The first two labels are the ink and the outside.
    return int((np.bincount(labels.ravel())[2:] > PINHOLE * shape.mask.size).sum())


def measure_rectangularity(mask: Mask) -> float:
    """Return the share of its smallest enclosing (rotated) rectangle that ``mask`` fills.

    1 for a rectangle, π/4 for an ellipse.
    """
    from scipy import spatial

    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = np.concatenate(
        [np.column_stack([x, y]) for x in (first, last) for y in (rows, rows + 1)]
    ).astype(np.float64)
    hull = corners[spatial.ConvexHull(corners).vertices]
    edges = np.roll(hull, -1, axis=0) - hull
    along = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    across = along[:, ::-1] * (-1, 1)
    # An edge of the smallest rectangle lies on an edge of the convex hull.
    areas = np.ptp(hull @ along.T, axis=0) * np.ptp(hull @ across.T, axis=0)
    return float(mask.sum() / areas.min())
