"""Pseudo-labels (Lee, 2013): train on the test images whose class finished runs are sure of.

The model of a fold gets its labels from the models of the same fold alone. These did not see the
images that the fold holds out either, so out-of-fold scores stay honest.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import ensembling
from kaggle_digits.formats.arrays import Form
from kaggle_digits.runs import Run

SURE = 0.95  # least calibrated probability of an image that gets a label
UNSURE = -1

PseudoLabels = npt.NDArray[np.int16]
Rows = npt.NDArray[np.intp]


def make_pseudo_labels(
    teachers: Sequence[Run], splits: Splits, held_out: Sequence[Rows]
) -> PseudoLabels:
    """Label the test images for each model of a run.

    The teachers' probabilities are averaged, and calibrated with the temperature that gives the
    lowest log loss on the images that the fold holds out. Images whose calibrated probability is
    below `SURE` get no label.

    Args:
        teachers: finished runs with the same data and the same folds.
        splits: the images of the run.
        held_out: for each model, the rows of the training images that it holds out, int ``[m]``.

    Returns:
        int16 ``[models, test images]``: the class, or `UNSURE`.

    Raises:
        InputError: a teacher is not finished, has other data or other folds, or is damaged; or
            nothing is held out.

    """
    if not all(len(rows) for rows in held_out):
        raise InputError(
            "--pseudo-labels needs held-out images, which tell how sure the given runs are. "
            "Received a run that holds out none. Use cv, or train with a --validation-split above "
            "0, for both."
        )
    for teacher in teachers:
        _require_same_data(teacher, splits, len(held_out))
    return np.stack(
        [_label(teachers, splits, rows, number) for number, rows in enumerate(held_out, start=1)]
    )


def _require_same_data(teacher: Run, splits: Splits, models: int) -> None:
    teacher.require_finished()
    settings = teacher.settings
    if teacher.members != models:
        raise InputError(
            f"--pseudo-labels {teacher.folder} has {teacher.members} models. Expected {models}, as "
            "many as this run has. Use the same --folds and --seeds for both."
        )
    for name, data, fingerprint in (
        ("training", splits.train, settings.train_fingerprint),
        ("test", splits.test, settings.test_fingerprint),
    ):
        if data.fingerprint != fingerprint:
            raise InputError(
                f"--pseudo-labels {teacher.folder} was made with other {name} images. Expected a "
                "run with the same data. Use the same --input and --limit for both."
            )


def _label(teachers: Sequence[Run], splits: Splits, held_out: Rows, number: int) -> PseudoLabels:
    """Return the labels for the model ``number``, int16 ``[test images]``."""
    labels = splits.train.labels
    assert labels is not None  # noqa: S101 — training data is labelled by contract
    classes = len(splits.train.class_names)
    oof_forms = {
        "rows": Form("integer", ("images",)),
        "probabilities": Form("floating", ("images", classes)),
    }
    test_forms = {"probabilities": Form("floating", (len(splits.test), classes))}
    oof, test = [], []
    for teacher in teachers:
        fold = teacher.fold_arrays(number, "oof", oof_forms)
        if not np.array_equal(fold["rows"], held_out):
            raise InputError(
                f"--pseudo-labels {teacher.folder} holds out other images in fold {number} than "
                "this run, which would score its models on images that their teacher was trained "
                "on. Expected the same folds. Use the same --folds, --seeds and --seed for both."
            )
        oof.append(fold["probabilities"])
        test.append(teacher.fold_arrays(number, "test", test_forms)["probabilities"])
    temperatures = ensembling.find_temperatures([ensembling.mean(oof)], labels[held_out])
    sure = ensembling.calibrate([ensembling.mean(test)], temperatures)[0]
    return np.where(sure.max(axis=1) >= SURE, sure.argmax(axis=1), UNSURE).astype(np.int16)


def add_pseudo_labelled(train: Dataset, test: Dataset, labels: PseudoLabels) -> Dataset:
    """Append the test images that have a label to the training images.

    Args:
        train: labelled images.
        test: the test images; labels of their own are not used.
        labels: int16 ``[test images]``, a row of `make_pseudo_labels`.

    """
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    rows = np.flatnonzero(labels != UNSURE)
    return Dataset(
        np.concatenate([train.images, test.images[rows]]),
        np.concatenate([train.labels, labels[rows].astype(np.uint8)]),
        np.concatenate([train.ids, test.ids[rows]]),
        train.class_names,
    )


def count_labelled(labels: PseudoLabels) -> npt.NDArray[np.intp]:
    """Return the number of labelled test images of each model, int ``[models]``."""
    return np.asarray((labels != UNSURE).sum(axis=1))


def describe_pseudo_labels(labels: PseudoLabels) -> str:
    """Describe how many test images get a label."""
    counts = count_labelled(labels)
    few, many = f"{counts.min():,}", f"{counts.max():,}"
    number = few if few == many else f"{few} to {many}"
    return (
        f"each model is also trained on {number} of the {labels.shape[1]:,} test images, those "
        "with a sure pseudo-label."
    )


def hash_pseudo_labels(labels: PseudoLabels) -> str:
    """Return the SHA-256 of the labels, the same on every machine."""
    return hashlib.sha256(labels.astype("<i2").tobytes()).hexdigest()
