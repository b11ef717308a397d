"""Blend pairs of training images and their targets (mixup). NumPy only."""

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Images

Targets = npt.NDArray[np.float32]

CHUNK = 4096  # images blended at once: bounds the float32 copy to 13 MB of 28×28 images


def mixup(
    images: Images, targets: Targets, alpha: float, rng: np.random.Generator
) -> tuple[Images, Targets]:
    """Blend every image and its target with another image and its target.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.

    Args:
        images: uint8 ``[n, h, w, c]``.
        targets: float32 ``[n, classes]``.
        alpha: both parameters of the Beta distribution of the shares.
        rng: random generator of the shares and the pairs.

    Returns:
        Blended images, uint8 ``[n, h, w, c]`` (rounded), and targets, float32 ``[n, classes]``.

    """
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    share = np.minimum(share, 1 - share)  # an image keeps the larger share of itself
    other = rng.permutation(len(images))
    blended = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        weight = share[rows, None, None, None]
        blend = images[rows] * (1 - weight) + images[other[rows]] * weight
        blended[rows] = np.rint(blend)
    weight = share[:, None]
    return blended, targets * (1 - weight) + targets[other] * weight
