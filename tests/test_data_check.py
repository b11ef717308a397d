from pathlib import Path

import numpy as np

from kaggle_digits.datasets import check, load, near
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


def test_near_images_are_found_and_others_are_not() -> None:
    others = images(1200).reshape(-1, 28, 28, 1)
    noisy = others[[5, 700, 1199]].astype(np.int16)
    noisy[0] += np.where(np.arange(784).reshape(28, 28, 1) % 2, 3, -3)  # 3 in the mean square
    noisy[1, 10, 10] += 100 if noisy[1, 10, 10] < 128 else -100  # 100 / 28
    noisy[2] += np.where(noisy[2] < 128, 5, -5)
    assert near(noisy.clip(0, 255).astype(np.uint8), others, distance=4) == 2
    assert near(images(1200, seed=1).reshape(-1, 28, 28, 1), others) == 0
