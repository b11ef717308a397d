"""Find test images that are also training images, by their pixels. Needs only NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Images

Hashes = npt.NDArray[np.uint64]


def hash_images(images: Images) -> Hashes:
    """Return a 64-bit BLAKE2b hash of each image's pixels.

    The probability that any of the 1.2 · 10⁹ pairs of different images in the competition's data
    share a hash is about 10⁻¹⁰. Hashing takes about 1 µs per 28×28 image.

    Args:
        images: uint8 ``[n, height, width, channels]``.

    Returns:
        uint64 ``[n]``.

    """
    pixels = np.ascontiguousarray(images).reshape(len(images), -1)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in pixels)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def count_repeats(test: Images, train: Images) -> int:
    """Return how many of ``test`` occur in ``train``, pixel for pixel.

    Args:
        test: uint8 ``[n, height, width, channels]``.
        train: uint8 ``[m, height, width, channels]``.

    """
    if test.shape[1:] != train.shape[1:]:  # the hashes ignore the shape
        return 0
    return count_hashed(test, hash_images(train))


def count_hashed(test: Images, train: Hashes) -> int:
    """Return how many of ``test`` have a hash in ``train``.

    Args:
        test: uint8 ``[n, height, width, channels]``.
        train: uint64 ``[m]`` from `hash_images`, in any order.

    """
    return int(np.isin(hash_images(test), train).sum())
