from pathlib import Path

import numpy as np

from kaggle_digits.datasets import check, load
from kaggle_digits.datasets.dataset import Dataset, Splits
from tests.helpers import images, labels, write_competition


def test_counts(tmp_path: Path) -> None:
    splits = load(write_competition(tmp_path, train=25, test=5))
    report = check(splits)
    assert report.source == "csv"
    assert report.train.images == 25
    assert report.train.class_counts == (3, 3, 3, 3, 3, 2, 2, 2, 2, 2)
    assert report.test.class_counts is None
    assert report.test.fingerprint == splits.test.fingerprint
    assert (report.train.ink_min, report.train.ink_max) == (0, 255)
    assert report.train.ink_mean == splits.train.images.mean()
    assert report.repeated_in_train == 0
    assert report.repeated_with_other_label == 0
    assert report.test_images_in_train == 0
    assert report.test_images_near_train == 0


def test_duplicates() -> None:
    pixels = images(20).reshape(-1, 28, 28, 1)
    pixels[[13, 14]] = pixels[3]  # labels 3 and 4: one of the two repeats has another label
    train = Dataset(pixels, labels(20), np.arange(1, 21))
    test = Dataset(np.concatenate([pixels[:2], 255 - pixels[:3]]), None, np.arange(1, 6))
    report = check(Splits("csv", train, test))
    assert report.repeated_in_train == 2
    assert report.repeated_with_other_label == 1
    assert report.test_images_in_train == 2
    assert report.test_images_near_train == 2
