"""Folds, splits and limits."""

import numpy as np
import pytest

from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from kaggle_digits.recipes.checking import require_shape
from kaggle_digits.training.splitting import assign_folds, assign_holdout, subsample


def unequal_labels() -> np.ndarray:
    return np.repeat(np.arange(10), range(10, 20)).astype(np.uint8)


def dataset(labels: np.ndarray) -> Dataset:
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Dataset(np.tile(images, (1, 28, 28, 1)), labels, np.arange(1, len(labels) + 1))


def test_every_image_is_held_out_once_a_seed_and_classes_are_even():
    labels = unequal_labels()
    folds = assign_folds(labels, folds=5, seeds=2, seed=0)
    assert folds.shape == (2, len(labels))
    assert folds.dtype == np.int16
    for row in folds:
        counts = [np.bincount(labels[row == fold], minlength=10) for fold in range(1, 6)]
        assert np.ptp(counts, axis=0).max() <= 1
    assert not np.array_equal(folds[0], folds[1])  # each seed gives another split


def test_same_seed_same_folds():
    labels = unequal_labels()
    np.testing.assert_array_equal(assign_folds(labels, 5, 1, 7), assign_folds(labels, 5, 1, 7))
    # the second of two seeds is the first of a run that starts there
    np.testing.assert_array_equal(
        assign_folds(labels, 5, 2, 7)[1], assign_folds(labels, 5, 1, 8)[0]
    )


def test_holdout_is_stratified():
    labels = np.repeat(np.arange(10), 10).astype(np.uint8)
    split = assign_holdout(labels, 0.2, seed=0)
    assert split.shape == (1, 100)
    assert (np.bincount(labels[split[0] == 1]) == 2).all()
    assert not assign_holdout(labels, 0.0, seed=0).any()


@pytest.mark.parametrize("share", [0.01, 0.995])
def test_holdout_too_small_for_the_classes(share):
    with pytest.raises(InputError, match="leaves one part with fewer images than the 10 classes"):
        assign_holdout(np.repeat(np.arange(10), 10).astype(np.uint8), share, seed=0)


def test_more_folds_than_images_of_a_class():
    with pytest.raises(InputError, match=r"11 folds need at least 11 images .* has 10 of class 0"):
        assign_folds(unequal_labels(), 11, 1, 0)


def test_limit_is_stratified_and_keeps_the_order():
    chosen = subsample(dataset(np.tile(np.arange(10), 10).astype(np.uint8)), 30, seed=0)
    assert chosen.labels is not None
    assert (np.bincount(chosen.labels) == 3).all()
    assert (np.diff(chosen.ids) > 0).all()
    assert (chosen.images[:, 0, 0, 0] == chosen.ids - 1).all()


def test_limit_of_a_class_with_one_image():
    single = dataset(np.array([0] * 99 + [1], np.uint8))
    with pytest.raises(InputError, match=r"--limit needs two .* has one of class 1\."):
        subsample(single, 20, seed=0)


@pytest.mark.parametrize("limit", [9, 91, 101])
def test_limit_that_does_not_fit(limit):
    data = dataset(np.tile(np.arange(10), 10).astype(np.uint8))
    with pytest.raises(InputError, match=rf"--limit {limit} does not fit the data. Expected 10"):
        subsample(data, limit, seed=0)
    assert subsample(data, 100, seed=0) is data
    assert subsample(data, None, seed=0) is data


def test_images_of_another_shape():
    with pytest.raises(InputError, match=r"'bn20' takes images of \(28, 28, 1\); .*\(32, 32, 3\)"):
        require_shape(find("bn20"), np.zeros((1, 32, 32, 3), np.uint8))
