import numpy as np
import pytest

from kaggle_digits.datasets.leaks import count_hashed, count_repeats, hash_images
from tests.helpers import images


def test_repeats_are_counted_pixel_for_pixel():
    train = images(300).reshape(-1, 28, 28, 1)
    test = images(50, seed=1).reshape(-1, 28, 28, 1)
    assert count_repeats(test, train) == 0
    test[[3, 4, 40]] = train[[299, 0, 0]]  # an image that occurs twice counts twice
    assert count_repeats(test, train) == 3
    test[4, 27, 27] ^= 1  # a single grey level in a single pixel
    assert count_repeats(test, train) == 2


def test_hashes_are_enough_to_count():
    train = images(30).reshape(-1, 28, 28, 1)
    hashes = hash_images(train)
    assert hashes.dtype == np.uint64
    assert hashes.shape == (30,)
    assert count_hashed(train[::-1], np.sort(hashes)) == 30


def test_images_of_another_shape_are_others():
    blank = np.zeros((2, 28, 28, 1), np.uint8)
    assert count_repeats(blank, np.zeros((2, 32, 32, 3), np.uint8)) == 0
    assert count_repeats(blank, blank) == 2
    for shape in ((2, 14, 56, 1), (2, 14, 14, 4)):  # as many bytes
        assert count_repeats(blank, blank.reshape(shape)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_count_is_that_of_comparing_every_pair(seed):
    random = np.random.default_rng(seed)
    # So few different images that many are equal, also within one split.
    test = random.integers(0, 2, (60, 2, 2, 1), np.uint8)
    train = random.integers(0, 2, (9, 2, 2, 1), np.uint8)
    equal = sum(any(np.array_equal(image, other) for other in train) for image in test)
    assert 0 < count_repeats(test, train) == equal < 60


def test_blank_images_count_each():
    blank = np.zeros((7, 28, 28, 1), np.uint8)
    assert count_repeats(blank, blank[:2]) == 7
    assert count_repeats(blank[:2], blank) == 2


def test_images_may_be_views():
    mirrored = images(20).reshape(-1, 28, 28, 1)[:, :, ::-1]
    assert count_repeats(mirrored, np.ascontiguousarray(mirrored[::2])) == 10
    assert count_repeats(mirrored, mirrored[:, :, ::-1]) == 0
