"""Operations on planes (one number per pixel): means of blocks, thresholds, runs."""

import math

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

COARSE_SIDE = 48  # blocks along the short side; a stroke is still visible in a block's mean
COARSE_BLOCKS = 12_000
NEARBY = 24  # neighbourhoods along the short side
LEAST = 1e-6  # smallest divisor, instead of 0


def otsu(values: Plane) -> float:
    """Return Otsu's threshold, which separates ``values`` into the two most distinct classes.

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


def block_side(height: int, width: int) -> int:
    """Return the side in pixels of the blocks from which the background is estimated."""
    by_side = min(height, width) / COARSE_SIDE
    by_number = math.sqrt(height * width / COARSE_BLOCKS)
    return max(1, math.ceil(max(by_side, by_number)))


def block_means(pixels: Plane, side: int) -> Plane:
    """Return the means of blocks of ``side`` x ``side`` pixels; the edge is repeated as padding."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % side), (0, -width % side)), mode="edge")
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    blocks = padded.reshape(rows, side, columns, side)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def enlarge(coarse: Plane, shape: tuple[int, ...]) -> Plane:
    """Return ``coarse`` interpolated to ``shape``."""
    from PIL import Image

    height, width = shape
    side = math.ceil(height / coarse.shape[0]) if coarse.shape[0] > 1 else height
    side = max(side, math.ceil(width / coarse.shape[1]))
    size = (coarse.shape[1] * side, coarse.shape[0] * side)
    large = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(large, np.float32)[:height, :width]


def mean_where(free: Mask, pixels: Plane, side: int) -> Plane:
    """Return the mean of the ``free`` pixels around each block, such as the background's.

    Near pixels have the largest weight; farther ones count where there are no near ones, as within
    a thick stroke.
    """
    from scipy import ndimage

    free = ndimage.binary_erosion(free, iterations=max(1, side // 2), border_value=1)
    known, weight = block_means(pixels * free, side), block_means(free.astype(np.float32), side)
    reach = min(known.shape) / NEARBY
    total, weights = np.zeros_like(known), np.full_like(known, LEAST)
    for sigma, share in ((reach, 1.0), (3 * reach, 1e-2), (10 * reach, 1e-3)):
        total += share * ndimage.gaussian_filter(known, sigma, mode="nearest")
        weights += share * ndimage.gaussian_filter(weight, sigma, mode="nearest")
    return np.asarray(total / weights, np.float32)


def open_along(mask: Mask, length: int, axis: int) -> Mask:
    """Return the runs of at least ``length`` True pixels along ``axis``."""
    from scipy import ndimage

    length |= 1  # odd, so that it has a middle
    eroded = ndimage.minimum_filter1d(mask, length, axis, mode="constant")
    return np.asarray(ndimage.maximum_filter1d(eroded, length, axis, mode="constant"), bool)


def measure_runs(mask: Mask, axis: int) -> npt.NDArray[np.int32]:
    """Return the length of the run of True pixels along ``axis`` at each pixel; 0 elsewhere."""
    ahead = _count_back(mask, axis)
    behind = np.flip(_count_back(np.flip(mask, axis), axis), axis)
    return np.where(mask, ahead + behind - 1, 0)


def _count_back(mask: Mask, axis: int) -> npt.NDArray[np.int32]:
    counts = np.cumsum(mask, axis, dtype=np.int32)
    return counts - np.maximum.accumulate(np.where(mask, 0, counts), axis)


def fill_holes(mask: Mask) -> Mask:
    """Return ``mask`` with its holes filled, like SciPy's function but fast for large holes."""
    from scipy import ndimage

    labels, _ = ndimage.label(~np.pad(mask, 1))
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0], bool)


def measure_sign(detail: Plane) -> float:
    """Return -1 if ink is darker than the background, 1 if it is lighter.

    Ink is a small part of a picture and far from the background, so it decides the third moment.
    """
    return 1.0 if float((detail.astype(np.float64) ** 3).sum()) > 0 else -1.0
