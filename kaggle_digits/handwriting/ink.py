"""What was written: the ground is estimated and taken away, whichever of the two is darker."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.pictures import Grey, Plane

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ink:
    """What was written, in the pixels of `Grey.pixels`.

    Attributes:
        strength: float32 ``[height, width]``, 0 is ground, 1 is full ink.
        mask: bool ``[height, width]``, which pixels are ink.

    """

    strength: Plane
    mask: Mask


COARSE_SIDE = 48  # blocks along the short side: a stroke's share of a block still shows
COARSE_BLOCKS = 12_000
NEARBY = 24  # of these make up the short side
MIN_CONTRAST = (
    0.08  # of ground to black or white; a pencil has 0.3, the light's fall-off leaves 0.04
)
MIN_OVER_NOISE = 5.0  # standard deviations: less of them occur by chance in a million pixels
CLEAR_OVER_NOISE = 10.0
BLURS = (0.0, 0.7, 1.0, 1.5, 2.0, 3.0)  # pixels; the first with which ink is clear
STRONG = 0.6  # a stroke must reach this share of the full ink somewhere
WEAK = 0.35  # and goes as far as this
DARKEST = 0.1  # of a ground on which ink still shows
LEAST = 1e-6  # instead of 0, to divide by
SIGMAS_PER_MAD = 1.4826  # in normally distributed noise


def ink_of(path: Path, grey: Grey) -> Ink:
    """Return the ink of a picture.

    Raises:
        InputError: there is nothing but ground.

    """
    from scipy import ndimage

    found = _clearest(_without_ground(grey.pixels))
    if found.level < max(MIN_CONTRAST, MIN_OVER_NOISE * found.noise):
        raise InputError(
            f"{path} shows nothing but its ground. Expected digits that stand out from it: darker "
            "ink, more light, or a picture of their part alone."
        )
    low = max(WEAK * found.level, 3 * found.noise)
    mask = ndimage.binary_propagation(
        found.detail > max(STRONG * found.level, low),
        structure=np.ones((3, 3), bool),
        mask=found.detail > low,
    )
    return Ink(np.clip(found.detail / found.level, 0, 1), mask)


@dataclass(frozen=True, eq=False)
class _Detail:
    """How far pixels are from the ground: ``level`` where ink is, ``noise`` where it is not."""

    detail: Plane
    level: float
    noise: float

    @property
    def clearness(self) -> float:
        return self.level / max(self.noise, LEAST)


def _measured(detail: Plane) -> _Detail:
    noise = _noise(detail)
    return _Detail(detail, _level(detail, noise), noise)


def _clearest(detail: Plane) -> _Detail:
    """Return ``detail`` blurred no more than it takes to tell ink from noise."""
    from scipy import ndimage

    tried = []
    for blur in BLURS:
        tried.append(_measured(ndimage.gaussian_filter(detail, blur, mode="nearest")))
        if tried[-1].clearness > CLEAR_OVER_NOISE:
            break
    return max(tried, key=lambda one: one.clearness)


def otsu(values: Plane) -> float:
    """Return the threshold that parts ``values`` into the two most distinct classes.

    Source: Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, moment = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (moment[-1] * below / below[-1] - moment) ** 2 / (below * above)
    parts = (below > 0) & (above > 0)
    return float(middles[np.where(parts, between, -1).argmax()]) if parts.any() else edges[-1]


def _level(detail: Plane, noise: float) -> float:
    """Return what full ink has: the middle of what lies above the ground; 0 if nothing does."""
    ink = detail[detail > max(otsu(detail), 4 * noise)]
    return float(np.median(ink)) if len(ink) else 0.0


def _noise(detail: Plane) -> float:
    """Return the standard deviation of the ground, by the half of it that no ink reaches."""
    beyond = detail[detail <= 0]
    return SIGMAS_PER_MAD * float(np.median(-beyond)) if len(beyond) else 0.0


def _without_ground(pixels: Plane) -> Plane:
    """Return float32 ``[height, width]``: how far each pixel is from the ground towards ink."""
    blocks = _block_side(*pixels.shape)
    coarse = _blocks(pixels, blocks)
    side = min(coarse.shape)
    flat, bow = np.zeros_like(coarse), _bow(coarse)
    # A shadow's edge spoils a surface, and light that falls off spoils a median. Where a bold digit
    # fills the picture, the one that reaches far beyond the edges still finds the ground.
    grounds = [
        base + _medians(coarse - base, window)
        for base, window in ((flat, side), (bow, side), (flat, 2 * side))
    ]
    ground = min(grounds, key=lambda one: _mean_along_edges(np.abs(coarse - one)))
    sign = _sign(coarse - ground)
    for _ in range(2):
        found = _measured(_relative(pixels, _as_large(ground, pixels.shape), sign))
        free = found.detail < max(WEAK * max(found.level, MIN_CONTRAST), 3 * found.noise)
        rest = pixels - _as_large(ground, pixels.shape)
        ground = ground + _mean_where(free, rest, blocks)
    return _relative(pixels, _as_large(ground, pixels.shape), sign)


def _medians(coarse: Plane, window: int) -> Plane:
    """Return the median of the surroundings of each block; beyond the edges, edges go on."""
    from scipy import ndimage

    # Every fourth block of a window tells as much, sixteen times as fast.
    reach = max(1, window // 8)
    among = np.zeros((8 * reach + 1,) * 2, bool)
    among[::4, ::4] = True
    return np.asarray(ndimage.median_filter(coarse, footprint=among, mode="nearest"))


def _bow(coarse: Plane) -> Plane:
    """Return the quadratic surface that most blocks lie near: light that falls off to the sides."""
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
    """Return how far ``pixels`` are from ``ground`` on the way to black (-1) or white (1).

    In a shadow, ink and paper are darker by the same factor: so their difference is made equal.
    """
    room = np.maximum(ground if sign < 0 else 1 - ground, DARKEST)
    return (np.float32(sign) * (pixels - ground) / room).astype(np.float32)


def _sign(detail: Plane) -> float:
    """Return -1 where ink is darker than the ground, 1 where it is lighter.

    Ink is the smaller part of a picture and far from the ground: it decides the third moment.
    """
    return 1.0 if float((detail.astype(np.float64) ** 3).sum()) > 0 else -1.0


def _mean_along_edges(coarse: Plane) -> float:
    edges = (coarse[0], coarse[-1], coarse[:, 0], coarse[:, -1])
    return float(np.mean([edge.mean() for edge in edges]))


def _mean_where(free: Mask, pixels: Plane, side: int) -> Plane:
    """Return the mean of the ``free`` pixels around each block: of the ground, for what is no ink.

    Near ones count most; where there are none, as within a thick stroke, farther ones do.
    """
    from scipy import ndimage

    free = ndimage.binary_erosion(free, iterations=max(1, side // 2), border_value=1)
    known, weight = _blocks(pixels * free, side), _blocks(free.astype(np.float32), side)
    reach = min(known.shape) / NEARBY
    total, weights = np.zeros_like(known), np.full_like(known, LEAST)
    for sigma, share in ((reach, 1.0), (3 * reach, 1e-2), (10 * reach, 1e-3)):
        total += share * ndimage.gaussian_filter(known, sigma, mode="nearest")
        weights += share * ndimage.gaussian_filter(weight, sigma, mode="nearest")
    return np.asarray(total / weights, np.float32)


def _block_side(height: int, width: int) -> int:
    by_side = min(height, width) / COARSE_SIDE
    by_number = math.sqrt(height * width / COARSE_BLOCKS)
    return max(1, math.ceil(max(by_side, by_number)))


def _blocks(pixels: Plane, side: int) -> Plane:
    """Return the means of blocks of ``side`` x ``side``; the last ones repeat the edge."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % side), (0, -width % side)), mode="edge")
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    blocks = padded.reshape(rows, side, columns, side)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _as_large(coarse: Plane, shape: tuple[int, ...]) -> Plane:
    """Return ``coarse`` interpolated to ``shape``."""
    from PIL import Image

    height, width = shape
    side = math.ceil(height / coarse.shape[0]) if coarse.shape[0] > 1 else height
    side = max(side, math.ceil(width / coarse.shape[1]))
    size = (coarse.shape[1] * side, coarse.shape[0] * side)
    large = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(large, np.float32)[:height, :width]
