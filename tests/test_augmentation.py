"""One affine resampling, checked against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from kaggle_digits.augmentation import CHUNK, augmented, random_maps
from kaggle_digits.backend import start_keras
from kaggle_digits.recipes import Affine

STRONG = Affine(rotation=20, shift=0.2, zoom=0.2, shear=10)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


def digits(count: int) -> np.ndarray:
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, 6:22, 12:16] = 255  # a one …
    images[:, 6:10, 10:16] = 200  # … with a flag, so that no turn of it looks like another
    return images


def test_agrees_with_scipy():
    images = digits(16)
    moved = augmented(images, STRONG, np.random.default_rng(3))
    maps = random_maps(STRONG, 16, (28, 28), np.random.default_rng(3))
    for image, result, (a0, a1, a2, b0, b1, b2, *_) in zip(images, moved, maps, strict=True):
        # scipy's coordinates are (row, column): (y, x)
        expected = ndimage.affine_transform(
            image[..., 0].astype(np.float32), [[b1, b0], [a1, a0]], [b2, a2], order=1
        )
        difference = np.abs(result[..., 0] - expected)
        # Scipy cuts off a pixel's width earlier at the edges, where the digit is not.
        assert difference[1:-1, 1:-1].max() <= 1


def test_no_movement_is_the_identity():
    images = digits(3)
    np.testing.assert_array_equal(augmented(images, Affine(), np.random.default_rng(0)), images)


def test_shift_moves_by_whole_pixels_at_most():
    images = np.zeros((200, 28, 28, 1), np.uint8)
    images[:, 14, 14] = 255
    moved = augmented(images, Affine(shift=0.1), np.random.default_rng(0))
    rows, columns = np.nonzero(moved.sum(axis=(0, 3)))
    assert rows.min() >= 11
    assert rows.max() <= 17
    assert columns.min() >= 11
    assert columns.max() <= 17
    assert len(np.unique(rows)) >= 5


def test_zoom_and_rotation_keep_the_centre():
    images = np.zeros((50, 29, 29, 1), np.uint8)
    images[:, 14, 14] = 255
    moved = augmented(images, Affine(rotation=45, zoom=0.2, shear=20), np.random.default_rng(0))
    assert (moved[:, 14, 14, 0] == 255).all()


def test_zoom_above_one_enlarges():
    images = digits(400)
    ink = augmented(images, Affine(zoom=0.2), np.random.default_rng(0)).sum(axis=(1, 2, 3))
    scale = 1 / random_maps(Affine(zoom=0.2), 400, (28, 28), np.random.default_rng(0))[:, 0]
    assert np.corrcoef(ink, scale)[0, 1] > 0.9
    assert 0.8 <= scale.min() < 0.85
    assert 1.15 < scale.max() <= 1.2


def test_same_generator_same_pictures_and_every_image_moves_differently():
    images = digits(CHUNK + 5)  # more than one chunk
    first = augmented(images, STRONG, np.random.default_rng(7))
    second = augmented(images, STRONG, np.random.default_rng(7))
    np.testing.assert_array_equal(first, second)
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    assert len(np.unique(first.reshape(len(first), -1), axis=0)) > 0.99 * len(first)
