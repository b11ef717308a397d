"""Digits with known answers in the competition's own format, so that it can be rehearsed offline.

MNIST's 70,000 images become 42,000 train and 28,000 test images, as many as the competition's.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from kaggle_digits.datasets.dataset import DIGITS, Splits
from kaggle_digits.datasets.kaggle_csv import EXAMPLE, PIXELS, SIDE, write
from kaggle_digits.errors import InputError

SOURCE = "rehearsal"
ANSWERS = "answers.csv"
BESIDE = (EXAMPLE, ANSWERS)  # what lies there beside train.csv and test.csv
TRAIN, ALL = 3, 5  # of five images three are for training: 42,000 of 70,000
ANSWER_COLUMNS = ("ImageId", "Label")


def writers(splits: Splits, seed: int, name: str) -> dict[str, Callable[[Path], object]]:
    """Return what writes each file: train.csv, sample_submission.csv, answers.csv, test.csv.

    Both splits are merged and split again, 3 to 2. The same ``seed`` gives the same bytes.

    Args:
        splits: both labelled, grey 28×28 digits.
        seed: of the permutation.
        name: what a message calls the data.

    Raises:
        InputError: the test images have no labels, or the images cannot be written so.

    """
    train, test = splits.train, splits.test
    shape = train.images.shape[1:]
    if shape != (SIDE, SIDE, 1) or train.class_names != DIGITS:
        raise InputError(
            f"--as kaggle: {name} holds {splits.source} data, images of {shape} of "
            f"{', '.join(train.class_names[:3])}, … The competition's format has room for grey "
            f"digits of ({SIDE}, {SIDE}, 1) alone, such as MNIST's; leave out --as."
        )
    if train.labels is None or test.labels is None:
        raise InputError(
            f"--as kaggle: {name} holds {splits.source} data, whose test images have no labels. "
            "A rehearsal needs the answers: expected data such as mnist.npz."
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
