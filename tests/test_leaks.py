import numpy as np

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
