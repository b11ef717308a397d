"""How far images are moved by augmentation. Needs neither Keras nor NumPy."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Affine:
    """How images are moved. Each number is the largest of a uniform draw around none.

    Attributes:
        rotation: degrees.
        shift: share of the height and of the width.
        zoom: 0.1 scales by 0.9 … 1.1, both axes together.
        shear: degrees.
        flip: mirrors one half of the images, left to right. Not for digits.
        fill: what comes in from outside: ``constant`` is 0, the background of digits; ``nearest``
            repeats the border.

    Example:
        >>> kd.Affine(rotation=10, shift=0.1, zoom=0.1).flip
        False

    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    flip: bool = False
    fill: Literal["constant", "nearest"] = "constant"

    def without_distortion(self) -> "Affine | None":
        """Return what is left without distortion: mirroring, or nothing."""
        return Affine(flip=True) if self.flip else None
