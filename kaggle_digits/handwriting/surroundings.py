"""Replace what lies around the paper (a desk, black bars, dark corners) by plain paper."""

import math

import numpy as np

from kaggle_digits.handwriting.planes import (
    LEAST,
    Mask,
    Plane,
    block_means,
    block_side,
    enlarge,
    fill_holes,
    mean_where,
    measure_sign,
    otsu,
)
from kaggle_digits.handwriting.shapes import (
    RECTANGLE,
    Box,
    Shape,
    goes_on_outside,
    measure_rectangularity,
)

BLOCKS = 40_000  # blocks of a picture; a bar of 1/50 of its side is four blocks thick
SOFT = 1.0  # blur in blocks, against wood grain and noise
DARK = 0.5  # brightness relative to the paper below which it is not a shadow
DARK_AROUND = 0.75  # the same for areas all around the paper
SHARP = 0.2  # smallest share of the brightness difference that lies across the border itself
REACH = 6  # blocks to either side of the border that are compared
EVERYWHERE = 0.9  # share of the border that must be sharp
RIM = 6  # largest width of a soft border, in blocks
WINDOWS = 8  # the short side over the width of the window around a frame's line
MIN_DETAIL = 0.1  # smallest contrast of a frame's line
FRAME = 0.85  # smallest size of a frame relative to the picture
PAGE = 0.6  # smallest share of the picture within a frame
LINE_RIM = 2  # soft edge of a line, in pixels
MIN_PAPER = 0.15  # smallest share of the picture that is paper
MIN_FILLED = 0.7  # smallest share of the paper without ink


def remove_surroundings(pixels: Plane) -> tuple[Plane, Mask] | None:
    """Return a picture whose surroundings are replaced by paper, and which pixels were replaced.

    Args:
        pixels: float32 ``[height, width]``, 0 … 1.

    Returns:
        The picture, float32 ``[height, width]``, and a mask, bool ``[height, width]``; None if the
        paper fills the picture.

    """
    side = max(1, math.ceil(math.sqrt(pixels.size / BLOCKS)))
    coarse = block_means(pixels, side)
    outside = _find_darker(coarse)
    if outside is None:
        outside = _find_darker(1 - coarse, only_around=True)
    height, width = pixels.shape
    found = np.zeros_like(pixels, bool)
    if outside is not None:
        found = outside.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    found |= _find_frames(pixels, found)
    if not found.any():
        return None
    paper = mean_where(~found, pixels, block_side(height, width))
    return np.where(found, enlarge(paper, pixels.shape), pixels), found


def _find_frames(pixels: Plane, outside: Mask) -> Mask:
    """Return the pixels on and outside of frames around the whole page."""
    from scipy import ndimage

    window = max(3, min(pixels.shape) // WINDOWS)
    detail = pixels - ndimage.uniform_filter(pixels, window, mode="nearest")
    # A bar that was already found may close an open frame.
    lines = (measure_sign(detail) * detail > MIN_DETAIL) | outside
    labels, _ = ndimage.label(lines, np.ones((3, 3)))
    found = np.zeros_like(outside)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if min(np.array(labels[box].shape) / pixels.shape) < FRAME:
            continue
        shape = labels == number
        filled = fill_holes(shape)
        holes, _ = ndimage.label(filled & ~shape)
        largest = np.bincount(holes.ravel())[1:].max(initial=0)
        # A table has many holes, and digits may touch its lines; `rules` handles tables.
        if largest > PAGE * shape.size and measure_rectangularity(filled) > RECTANGLE:
            found |= ~filled | shape
    return np.asarray(ndimage.binary_dilation(found, np.ones((3, 3)), LINE_RIM), bool)


def _find_darker(coarse: Plane, *, only_around: bool = False) -> Mask | None:
    """Return the blocks around the paper that are darker; None if there are none."""
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(coarse, SOFT, mode="nearest")
    threshold = otsu(blurred)
    thresholds = [threshold]
    if not only_around:
        # If half of the paper lies in a shadow, the surroundings are darker still.
        thresholds.append(otsu(blurred[blurred <= threshold]))
    for dark in (blurred < most for most in thresholds):
        outside = _outside_of(blurred, dark, only_around=only_around)
        if outside.any() and _is_sheet(dark, outside):
            return _with_rim(blurred, outside, dark)
    return None


def _outside_of(blurred: Plane, dark: Mask, *, only_around: bool) -> Mask:
    """Return the ``dark`` parts that lie around the paper."""
    from scipy import ndimage

    labels, _ = ndimage.label(dark, np.ones((3, 3)))
    outside = np.zeros_like(dark)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = box
        part = Box(columns.start, rows.start, columns.stop, rows.stop)
        around = part == Box(0, 0, dark.shape[1], dark.shape[0])
        if only_around and not around:
            continue
        is_edge = goes_on_outside(Shape(part, labels[box] == number), dark.shape)
        if is_edge and _is_apart(blurred, labels == number, dark, around=around):
            outside |= labels == number
    return outside


def _is_apart(blurred: Plane, part: Mask, dark: Mask, *, around: bool) -> bool:
    """Return whether ``part`` is too dark, and its border too sharp, to be a shadow.

    The border of a shadow is gradual: brightness hardly changes within a few blocks.
    """
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~part)
    beside = (away > 0) & (away <= REACH) & ~dark
    if not beside.any():
        return False
    light, level = np.median(blurred[beside]), np.percentile(blurred[part], 25)
    if level > (DARK_AROUND if around else DARK) * light:
        return False
    border = beside & (away < 2)  # noqa: PLR2004 — the adjacent blocks
    step = _local_mean(blurred, beside)[border] - _local_mean(blurred, part)[border]
    return bool((step >= SHARP * (light - level)).mean() >= EVERYWHERE)


def _local_mean(plane: Plane, where: Mask) -> Plane:
    """Return the mean of ``plane`` around each block, over the blocks ``where``."""
    from scipy import ndimage

    weights = where.astype(np.float32)
    total, known = (
        ndimage.uniform_filter(values, 2 * REACH + 1, mode="constant")
        for values in (plane * weights, weights)
    )
    return np.asarray(total / np.maximum(known, LEAST), np.float32)


def _is_sheet(dark: Mask, outside: Mask) -> bool:
    """Return whether the area that is not ``outside`` is paper: large and light."""
    from scipy import ndimage

    labels, count = ndimage.label(~outside)
    if not count:
        return False
    sizes = np.bincount(labels.ravel())[1:]
    sheet = labels == sizes.argmax() + 1
    return bool(sheet.mean() >= MIN_PAPER and (~dark)[sheet].mean() >= MIN_FILLED)


def _with_rim(blurred: Plane, outside: Mask, dark: Mask) -> Mask:
    """Return ``outside`` with its soft border."""
    from scipy import ndimage

    light = float(np.median(blurred[~dark]))
    level = float(np.median(blurred[outside]))
    soft = outside | (~dark & (blurred < light - 0.15 * (light - level)))
    grown = ndimage.binary_dilation(outside, np.ones((3, 3)), RIM, mask=soft)
    return np.asarray(ndimage.binary_dilation(grown, np.ones((3, 3)), 2), bool)
