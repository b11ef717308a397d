"""Blend pairs of training images and their targets (mixup, Zhang et al. 2018). NumPy alone."""

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Images

Targets = npt.NDArray[np.float32]

CHUNK = 4096  # images blended at once: bounds the float32 copy to 13 MB of 28×28 images


def mixup(
    images: Images, targets: Targets, alpha: float, rng: np.random.Generator
) -> tuple[Images, Targets]:
    """Blend every image with another one of the batch, and its target alike.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.

    Args:
        images: uint8 ``[n, h, w, c]``.
        targets: float32 ``[n, classes]``.
        alpha: both parameters of the Beta distribution from which the shares are drawn.
        rng: draws the shares and the pairs.

    Returns:
        the blended images, uint8 ``[n, h, w, c]`` (rounded), and targets, float32 ``[n, classes]``.

    """
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    share = np.minimum(share, 1 - share)  # an image stays the larger part of itself
    other = rng.permutation(len(images))
    blended = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        weight = share[rows, None, None, None]
        blend = images[rows] * (1 - weight) + images[other[rows]] * weight
        blended[rows] = np.rint(blend)
    weight = share[:, None]
    return blended, targets * (1 - weight) + targets[other] * weight
