"""Write labelled digits in the competition's format, to rehearse the competition offline.

MNIST's 70,000 images become 42,000 train and 28,000 test images, as many as the competition's.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from kaggle_digits.datasets.columns import PIXELS, SIDE
from kaggle_digits.datasets.dataset import DIGITS, Splits
from kaggle_digits.datasets.kaggle_csv import EXAMPLE, write
from kaggle_digits.errors import InputError

SOURCE = "rehearsal"
ANSWERS = "answers.csv"
BESIDE = (EXAMPLE, ANSWERS)  # written beside train.csv and test.csv
TRAIN, ALL = 3, 5  # three of five images are for training: 42,000 of 70,000
ANSWER_COLUMNS = ("ImageId", "Label")


def writers(splits: Splits, seed: int, name: str) -> dict[str, Callable[[Path], object]]:
    """Return a function that writes each file, by the file's name.

    The files are train.csv, sample_submission.csv, answers.csv and test.csv. Both splits are merged
    and split again, 3 to 2. The same ``seed`` gives the same bytes.

    Args:
        splits: labelled digits, uint8 ``[n, 28, 28, 1]`` in both splits.
        seed: seed of the permutation.
        name: the name of the data in messages.

    Raises:
        InputError: the test images have no labels, or the images are not grey 28×28 digits.

    """
    train, test = splits.train, splits.test
    shape = train.images.shape[1:]
    if shape != (SIDE, SIDE, 1) or train.class_names != DIGITS:
        raise InputError(
            f"--as kaggle: {name} holds {splits.source} data, images of shape {shape} with the "
            f"classes {', '.join(train.class_names[:3])}, … The competition's format holds only "
            f"grey digits of shape ({SIDE}, {SIDE}, 1), such as MNIST's. Omit --as."
        )
    if train.labels is None or test.labels is None:
        raise InputError(
            f"--as kaggle: {name} holds {splits.source} data, whose test images have no labels. "
            "A rehearsal needs test labels. Expected data such as mnist.npz."
        )
    images = np.concatenate([train.images, test.images]).reshape(-1, len(PIXELS))
    labels = np.concatenate([train.labels, test.labels])
    order = np.random.default_rng(seed).permutation(len(labels))
    learned, asked = np.split(order, [len(order) * TRAIN // ALL])
    ids = np.arange(1, len(asked) + 1)
    rows = {
        "train.csv": (("label", *PIXELS), np.column_stack([labels[learned], images[learned]])),
        EXAMPLE: (ANSWER_COLUMNS, np.column_stack([ids, ids * 0])),
        ANSWERS: (ANSWER_COLUMNS, np.column_stack([ids, labels[asked]])),
        "test.csv": (PIXELS, images[asked]),
    }
    return {
        file: partial(write, columns=columns, rows=row) for file, (columns, row) in rows.items()
    }
