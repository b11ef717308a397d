"""Find the digits in photos and scans, and bring them into MNIST's format.

A picture passes these files in order: `pictures` opens it as grey, `surroundings` removes what lies
around the paper, `binarize` finds the ink, `rules` removes printed lines, `shapes` and `layout`
find the digits, `normalize` scales each digit to 28x28, and `drawing` draws the result.
"""

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kaggle_digits.datasets.dataset import Images
from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.binarize import find_flat_ground, ink_of
from kaggle_digits.handwriting.layout import Kind, LeftOut, arrange
from kaggle_digits.handwriting.normalize import field_of
from kaggle_digits.handwriting.pictures import Grey, open_picture
from kaggle_digits.handwriting.planes import Mask, Plane
from kaggle_digits.handwriting.rules import remove_rules
from kaggle_digits.handwriting.shapes import Box, find_shapes
from kaggle_digits.handwriting.surroundings import remove_surroundings

__all__ = ["SURE", "Box", "Digit", "Kind", "LeftOut", "Picture", "read"]


# A digit below this probability is marked as unsure: 86 % of the wrong answers of `fast` for 8,400
# held-out digits, and 3 % of the right ones (mean of five seeds).
SURE = 0.8


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit of a picture.

    Attributes:
        image: uint8 ``[28, 28, 1]``, 0 is background, 255 full ink, as in the competition's data.
        box: bounding box of its ink, in pixels of the displayed picture (EXIF applied).
        line: number of its line, from 0 at the top.

    """

    image: Images
    box: Box
    line: int


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its digits, line by line from left to right. There is at least one."""

    path: Path
    grey: Grey
    digits: tuple[Digit, ...]
    left_out: tuple[LeftOut, ...]

    @cached_property
    def images(self) -> Images:
        """The digits as input for a network, uint8 ``[n, 28, 28, 1]``."""
        return np.stack([digit.image for digit in self.digits])

    def lines(self, classes: list[int]) -> list[str]:
        """Return ``classes`` (one per digit) as text, one string per line of the picture."""
        texts = [""] * (self.digits[-1].line + 1)
        for digit, name in zip(self.digits, classes, strict=True):
            texts[digit.line] += str(name)
        return texts


def read(path: Path, content: bytes | None = None) -> Picture:
    """Return the digits in the picture at ``path``.

    Args:
        path: the file; only its name, for messages, if ``content`` is given.
        content: the bytes of the file, if they are not on the disk.

    Raises:
        InputError: it is not a readable picture, or does not show digits on a plain background: it
            is empty, or has too many shapes, or no shape that looks like a pen stroke.

    """
    grey = open_picture(path, content)
    # Nothing lies around a drawing: its ground is the same at all edges.
    is_drawing = find_flat_ground(grey.pixels) is not None
    paper = None if is_drawing else remove_surroundings(grey.pixels)
    if paper is not None:
        # If nothing is found on the paper, the paper may have been a bold digit.
        with contextlib.suppress(InputError):
            return _read(path, grey, *paper)
    return _read(path, grey, grey.pixels)


def _read(path: Path, grey: Grey, pixels: Plane, outside: Mask | None = None) -> Picture:
    ink, ruled = remove_rules(path, ink_of(path, pixels, outside))
    lines, left_out = arrange(path, ink.mask)
    left_out += [LeftOut(box, Kind.RULE) for box in ruled]
    if outside is not None:
        left_out += [LeftOut(shape.box, Kind.EDGE) for shape in find_shapes(path, outside)]
    digits = tuple(
        Digit(field_of(shape, ink)[..., None], shape.box.scale(grey), number)
        for number, line in enumerate(lines)
        for shape in line
    )
    return Picture(
        path, grey, digits, tuple(LeftOut(shape.box.scale(grey), shape.kind) for shape in left_out)
    )
