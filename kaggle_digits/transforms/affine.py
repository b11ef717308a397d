"""Settings of the affine augmentation. Needs neither Keras nor NumPy."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Affine:
    """Random affine augmentation. Each number is the limit of a uniform distribution around 0.

    Attributes:
        rotation: largest angle in degrees.
        shift: largest shift, as a share of the height and of the width.
        zoom: largest change of the scale: 0.1 scales by 0.9 … 1.1, both axes together.
        shear: largest shear angle in degrees.
        flip: whether to mirror half of the images, left to right. Not for digits.
        fill: value of pixels from outside the image: ``constant`` is 0, the background of digits;
            ``nearest`` repeats the border.

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
        """Return the augmentation without distortion: mirroring only, or None."""
        return Affine(flip=True) if self.flip else None
