"""Scale a digit as in MNIST: within 20x20, with its centre of mass in the middle of 28x28.

Source: LeCun, Cortes, Burges, The MNIST database: "size normalized to fit in a 20x20 pixel box
while preserving their aspect ratio", then "centered in a 28x28 image by computing the center of
mass of the pixels, and translating the image so as to position this point at the center".
"""

import math

import numpy as np
import numpy.typing as npt

from kaggle_digits.handwriting.binarize import Ink
from kaggle_digits.handwriting.planes import Plane
from kaggle_digits.handwriting.shapes import Shape, measure_thickness

SIDE = 28
BOX = 20
MIDDLE = 14.0  # pixels; the mean centre of 42,000 of MNIST's digits is (13.99, 14.00)

# MNIST's strokes are 3.1 pixels thick in the median; 1 in 20 digits is thinner than 2.2.
THINNEST = 2.2
THICKENED = 2.6
RIM = 1.5  # pixels; width of a stroke's soft edge
NEXT_TO_NOTHING = 0.2


def field_of(shape: Shape, ink: Ink) -> npt.NDArray[np.uint8]:
    """Return the digit as uint8 ``[28, 28]``, from 0 (background) to 255 (full ink)."""
    plane = _plane_of(shape, ink)
    small = _within_box(plane)
    field = np.zeros((SIDE, SIDE), np.uint8)
    height, width = small.shape
    top = _offset(small.sum(axis=1), height)
    left = _offset(small.sum(axis=0), width)
    field[top : top + height, left : left + width] = np.round(255 * small / small.max())
    return field


def _plane_of(shape: Shape, ink: Ink) -> Plane:
    """Return only the digit's ink, 0 … 1, with thin strokes thickened to a pen's width."""
    from scipy import ndimage

    unit = max(shape.box.height, shape.box.width) / BOX
    thickness = measure_thickness(shape.mask)
    grow = max(0.0, (THICKENED * unit - thickness) / 2) if thickness < THINNEST * unit else 0.0
    rim = math.ceil(grow + RIM)
    mask = np.pad(shape.mask, rim)
    outside = ndimage.distance_transform_edt(~mask)
    grown = np.clip(grow + 0.5 - outside, 0, 1) if grow else np.zeros(mask.shape)
    # The soft edge of the stroke lies around the mask.
    own = _strength(shape, ink, rim) * (outside <= RIM)
    return _trim(np.maximum(own, grown).astype(np.float32))


def _strength(shape: Shape, ink: Ink, rim: int) -> Plane:
    """Return `Ink.strength` in the shape's box with a margin of ``rim`` pixels."""
    padded = np.pad(ink.strength, rim)
    box = shape.box
    return padded[box.top : box.bottom + 2 * rim, box.left : box.right + 2 * rim]


def _trim(plane: Plane) -> Plane:
    """Return ``plane`` without the rows and columns at its edges that have almost no ink."""
    held = plane > NEXT_TO_NOTHING
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    return plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _within_box(plane: Plane) -> Plane:
    """Return ``plane`` resized so that its longer side has 20 pixels."""
    from PIL import Image

    height, width = plane.shape
    by = BOX / max(height, width)
    size = (max(1, round(width * by)), max(1, round(height * by)))
    small = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC), np.float32)
    return np.clip(small, 0, 1)


def _offset(mass: npt.NDArray[np.floating], length: int) -> int:
    """Return the offset that puts the centre of ``mass`` (``[length]``) in the middle."""
    centre = float((mass * np.arange(length)).sum() / mass.sum())
    return min(max(round(MIDDLE - centre), 0), SIDE - length)
