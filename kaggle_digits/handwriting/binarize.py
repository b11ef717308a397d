"""Find the ink of a picture: estimate the background and subtract it, dark or light."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.planes import (
    LEAST,
    Mask,
    Plane,
    block_means,
    block_side,
    enlarge,
    mean_where,
    measure_sign,
    otsu,
)


@dataclass(frozen=True, eq=False)
class Ink:
    """The ink of a picture, at the resolution of `Grey.pixels`.

    Attributes:
        strength: float32 ``[height, width]``, from 0 (background) to 1 (full ink).
        mask: bool ``[height, width]``, True for ink.

    """

    strength: Plane
    mask: Mask


MIN_CONTRAST = 0.08  # contrast to the background; a pencil has 0.3, uneven light leaves 0.04
MIN_OVER_NOISE = 5.0  # standard deviations; less occurs by chance in a million pixels
CLEAR_OVER_NOISE = 10.0
BLURS = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0)  # pixels; the first that makes the ink clear is used
STRONG = 0.6  # strength that a stroke must reach somewhere
WEAK = 0.35  # strength to which a stroke extends
DARKEST = 0.1  # brightness of the darkest background on which ink is visible
SHADOW = 0.35  # brightness of the darkest shadow, relative to the rest
HUG = 50  # the short side over the width of the strip along the paper's border
HUGGING = 0.6  # share of a shape within that strip above which it is the border's shadow
FLAT = 0.5  # share of pixels with exactly the background's brightness: a drawing
SIGMAS_PER_MAD = 1.4826  # in normally distributed noise


def ink_of(path: Path, pixels: Plane, outside: Mask | None = None) -> Ink:
    """Return the ink of a picture.

    Args:
        path: the picture's path, for messages.
        pixels: float32 ``[height, width]``, 0 … 1.
        outside: bool ``[height, width]``, True for pixels outside the paper.

    Raises:
        InputError: the picture has no ink.

    """
    from scipy import ndimage

    found = _clearest(_without_ground(pixels))
    if found.level < max(MIN_CONTRAST, MIN_OVER_NOISE * found.noise):
        raise InputError(
            f"{path} shows only its background. Expected digits that stand out from it: use darker "
            "ink or more light, or crop the picture to the digits."
        )
    low = max(WEAK * found.level, 3 * found.noise)
    mask = ndimage.binary_propagation(
        found.detail > max(STRONG * found.level, low),
        structure=np.ones((3, 3), bool),
        mask=found.detail > low,
    )
    if outside is not None:
        mask = _on_paper(mask, outside)
    return Ink(np.clip(found.detail / found.level, 0, 1), mask)


def _on_paper(mask: Mask, outside: Mask) -> Mask:
    """Return ``mask`` without shapes along the paper's border, which are its shadow."""
    from scipy import ndimage

    labels, count = ndimage.label(mask & ~outside, np.ones((3, 3)))
    reach = max(2, min(mask.shape) // HUG)
    hugging = ndimage.distance_transform_edt(~outside) <= reach
    share = ndimage.mean(hugging, labels, np.arange(count + 1))
    return np.asarray((labels > 0) & (share[labels] < HUGGING), bool)


@dataclass(frozen=True, eq=False)
class _Detail:
    """Distance of pixels from the background: ``level`` for full ink, ``noise`` elsewhere."""

    detail: Plane
    level: float
    noise: float

    @property
    def clearness(self) -> float:
        return self.level / max(self.noise, LEAST)


def _measure(detail: Plane) -> _Detail:
    noise = _noise(detail)
    return _Detail(detail, _level(detail, noise), noise)


def _clearest(detail: Plane) -> _Detail:
    """Return ``detail`` with the smallest blur that separates ink from noise."""
    from scipy import ndimage

    tried = []
    for blur in BLURS:
        tried.append(_measure(ndimage.gaussian_filter(detail, blur, mode="nearest")))
        if tried[-1].clearness > CLEAR_OVER_NOISE:
            break
    return max(tried, key=lambda attempt: attempt.clearness)


def _level(detail: Plane, noise: float) -> float:
    """Return the level of full ink: the median above the background; 0 if there is none."""
    ink = detail[detail > max(otsu(detail), 4 * noise)]
    return float(np.median(ink)) if len(ink) else 0.0


def _noise(detail: Plane) -> float:
    """Return the background's standard deviation, from the side that has no ink."""
    beyond = detail[detail <= 0]
    return SIGMAS_PER_MAD * float(np.median(-beyond)) if len(beyond) else 0.0


def find_flat_ground(pixels: Plane) -> float | None:
    """Return the brightness that the ground has everywhere, as in a drawing; None if it varies.

    Args:
        pixels: float32 ``[height, width]``, 0 … 1.

    """
    ground = pixels[0, 0]
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    if not all((edge == ground).all() for edge in edges):
        return None
    return float(ground) if (pixels == ground).mean() > FLAT else None


def _without_ground(pixels: Plane) -> Plane:
    """Return each pixel's distance from the background towards ink, float32 ``[height, width]``."""
    flat_ground = find_flat_ground(pixels)
    if flat_ground is not None:
        ground = np.full_like(pixels, flat_ground)
        return _relative(pixels, ground, measure_sign(pixels - ground))
    blocks = block_side(*pixels.shape)
    coarse = block_means(pixels, blocks)
    side = min(coarse.shape)
    flat, bow = np.zeros_like(coarse), _bow(coarse)
    # A fitted surface fails at a shadow's edge, and a median fails in uneven light. Where a bold
    # digit fills the picture, the widest median still finds the background.
    grounds = [
        base + _medians(coarse - base, window)
        for base, window in ((flat, side), (bow, side), (flat, 2 * side))
    ]
    ground = min(grounds, key=lambda ground: _mean_along_edges(np.abs(coarse - ground)))
    sign = measure_sign(coarse - ground)
    ground = _without_ink(ground, sign)
    for _ in range(2):
        found = _measure(_relative(pixels, enlarge(ground, pixels.shape), sign))
        free = found.detail < max(WEAK * max(found.level, MIN_CONTRAST), 3 * found.noise)
        rest = pixels - enlarge(ground, pixels.shape)
        ground = ground + mean_where(free, rest, blocks)
    return _relative(pixels, enlarge(ground, pixels.shape), sign)


def _medians(coarse: Plane, window: int) -> Plane:
    """Return the median of the surroundings of each block; edges are repeated as padding."""
    from scipy import ndimage

    # Every fourth block per axis suffices and is sixteen times as fast.
    reach = max(1, window // 8)
    among = np.zeros((8 * reach + 1,) * 2, bool)
    among[::4, ::4] = True
    return np.asarray(ndimage.median_filter(coarse, footprint=among, mode="nearest"))


def _bow(coarse: Plane) -> Plane:
    """Return a robustly fitted quadratic surface, which models light that falls off."""
    height, width = coarse.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = coarse.ravel().astype(np.float64)
    near = np.ones(len(values), bool)
    for _ in range(8):
        weights, *_ = np.linalg.lstsq(terms[near], values[near], rcond=None)
        off = np.abs(values - terms @ weights)
        near = off <= 2 * np.median(off)
    bow = (terms @ weights).reshape(height, width)
    return np.asarray(bow, np.float32)


def _relative(pixels: Plane, ground: Plane, sign: float) -> Plane:
    """Return the distance of ``pixels`` from ``ground`` relative to black (-1) or white (1).

    A shadow darkens ink and paper by the same factor, so a relative distance is unaffected.
    """
    room = np.maximum(ground if sign < 0 else 1 - ground, DARKEST)
    return (np.float32(sign) * (pixels - ground) / room).astype(np.float32)


def _without_ink(ground: Plane, sign: float) -> Plane:
    """Return ``ground`` limited to the deepest shadow, so that a blot is not its own background."""
    room = ground if sign < 0 else 1 - ground
    room = np.maximum(room, SHADOW * np.median(room))
    return np.asarray(room if sign < 0 else 1 - room, np.float32)


def _mean_along_edges(coarse: Plane) -> float:
    edges = (coarse[0], coarse[-1], coarse[:, 0], coarse[:, -1])
    return float(np.mean([edge.mean() for edge in edges]))
