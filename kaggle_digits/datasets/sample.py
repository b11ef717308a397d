"""Write the embedded sample: scikit-learn's handwritten digits in the competition's format.

1,797 images of 8 by 8 with values 0…16 (E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI, 1998), which scikit-learn includes. They replace the competition's data
where it is not available; a submission made from them is not an entry for the competition.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.columns import PIXELS, SIDE
from kaggle_digits.datasets.kaggle_csv import EXAMPLE, write

SMALL, LARGE = 8, 20  # MNIST's digits also fill 20 by 20 pixels inside a border of 4
WHITE, FULL_INK = 16, 255
TEST_EVERY = 5


def writers() -> dict[str, Callable[[Path], object]]:
    """Return a function that writes each file: train.csv, test.csv and sample_submission.csv.

    The bytes are the same on every machine: the arithmetic uses integers, and the split needs no
    random numbers.
    """
    images, labels = _sample_images()
    is_test = _test_rows(labels)
    pixels = images.reshape(len(images), -1)
    ids = np.arange(1, int(is_test.sum()) + 1)
    train = np.column_stack([labels, pixels])[~is_test]
    return {
        "train.csv": partial(write, columns=("label", *PIXELS), rows=train),
        "test.csv": partial(write, columns=PIXELS, rows=pixels[is_test]),
        EXAMPLE: partial(write, columns=("ImageId", "Label"), rows=np.column_stack([ids, ids * 0])),
    }


def _sample_images() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return images int64 [1797, 28, 28] with values 0…255, and labels int64 [1797]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = digits.images.astype(np.int64)
    weights = _bilinear_tenths()
    large = weights @ small @ weights.T  # each axis leaves a factor of 10
    full = 10 * 10 * WHITE
    large = (large * FULL_INK + full // 2) // full
    border = (SIDE - LARGE) // 2
    return (
        np.pad(large, ((0, 0), (border, border), (border, border))),
        digits.target.astype(np.int64),
    )


def _bilinear_tenths() -> npt.NDArray[np.int64]:
    """Return the weights int64 [20, 8] of each small pixel in each large one, in tenths.

    The centre of large pixel i lies at (i + ½) · 8/20 - ½ = (4i - 3)/10 small pixels.
    """
    weights = np.zeros((LARGE, SMALL), np.int64)
    for i in range(LARGE):
        left, tenths = divmod(4 * i - 3, 10)
        weights[i, max(left, 0)] += 10 - tenths
        weights[i, min(left + 1, SMALL - 1)] += tenths
    return weights


def _test_rows(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return bool [n]: every fifth image of each class."""
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        is_test[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return is_test
