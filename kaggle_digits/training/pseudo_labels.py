"""Pseudo-labels (Lee, 2013): train on test images with the class that finished runs predict.

These runs are the teachers. A test image gets a label if their mean probability of one class is
high. The model of a fold gets its labels from the teachers' models of the same fold, which were not
trained on the images that the fold holds out. The labels of the held-out images are used for one
number only, the temperature of the calibration.

A run without pseudo-labels has the same array, with no image labelled.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Dataset, Rows, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import check_probabilities, ensembling
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.runs import Run
from kaggle_digits.runs.description import REWRITTEN
from kaggle_digits.runs.safe_folder import DamagedRunError

PSEUDO_LABELS = "pseudo-labels.npy"
MIN_PROBABILITY = 0.95  # calibrated; an image with less gets no label
UNLABELLED = -1

PseudoLabels = npt.NDArray[np.int16]


def make_pseudo_labels(
    teachers: Sequence[Run],
    splits: Splits,
    held_out: Sequence[Rows],
    excluded_sha256: str | None = None,
) -> PseudoLabels:
    """Label the test images for each model of a run.

    The teachers' probabilities are averaged, and calibrated with the temperature that gives the
    lowest log loss on the images that the fold holds out. Images whose calibrated probability is
    below `MIN_PROBABILITY` get no label.

    Args:
        teachers: finished runs with the same data and the same folds; none for no labels.
        splits: the images of the run.
        held_out: for each model, the rows of the training images that it holds out, int ``[m]``.
        excluded_sha256: SHA-256 of the ids that the run excludes from training; None for none.

    Returns:
        int16 ``[models, test images]``: the class, or `UNLABELLED`.

    Raises:
        InputError: a teacher is not finished, has other data, folds or excluded images, or is
            damaged; nothing is held out; or a model would get no label.

    """
    if not teachers:
        return label_none(len(held_out), len(splits.test))
    if not all(len(rows) for rows in held_out):
        raise InputError(
            "--pseudo-labels needs held-out images to calibrate the given runs. Received "
            "--validation-split 0. Use cv, or a --validation-split above 0, for those runs and for "
            "this one."
        )
    _require_different(teachers)
    for teacher in teachers:
        _require_fit(teacher, splits, len(held_out), excluded_sha256)
    labels = np.stack(
        [_label(teachers, splits, rows, number) for number, rows in enumerate(held_out, start=1)]
    )
    if not count_labelled(labels).min():
        names = " and ".join(str(teacher.folder) for teacher in teachers)
        raise InputError(
            f"--pseudo-labels: a model of {names} gives none of the {len(splits.test):,} "
            f"test images a calibrated probability of {MIN_PROBABILITY} or more, so there is "
            "nothing to train on. Name runs with a better network or more epochs."
        )
    return labels


def label_none(models: int, test_images: int) -> PseudoLabels:
    """Return the labels of a run without pseudo-labels, int16 ``[models, test images]``."""
    return np.full((models, test_images), UNLABELLED, np.int16)


def _require_different(teachers: Sequence[Run]) -> None:
    folders = [teacher.folder.resolve() for teacher in teachers]
    for teacher, folder in zip(teachers, folders, strict=True):
        if folders.count(folder) > 1:
            raise InputError(
                f"--pseudo-labels names {teacher.folder} more than once. Expected different runs."
            )


def _require_fit(teacher: Run, splits: Splits, models: int, excluded_sha256: str | None) -> None:
    """Raise an InputError unless ``teacher`` can label test images for a run of these images."""
    teacher.require_finished()
    settings = teacher.settings
    named = f"--pseudo-labels {teacher.folder}"
    if settings.pseudo_labels_sha256 is not None:
        raise InputError(
            f"{named} was itself trained with pseudo-labels, so its probabilities of the test "
            "images are too high. Name the runs that it got its labels from."
        )
    if teacher.members != models:
        raise InputError(
            f"{named} was made by `{settings.command}` and has {teacher.members} models. Expected "
            f"{models}, as many as this run has. Use the same command, --folds and --seeds for "
            "both."
        )
    for name, data, fingerprint in (
        ("training", splits.train, settings.train_fingerprint),
        ("test", splits.test, settings.test_fingerprint),
    ):
        if data.fingerprint != fingerprint:
            raise InputError(
                f"{named} was made with other {name} images. Expected a run with the same data. "
                "Use the same --input, --limit and --seed for both."
            )
    if settings.excluded_sha256 != excluded_sha256:
        raise InputError(
            f"{named} excludes {settings.excluded_images:,} training images, this run excludes "
            "others. Use the same --exclude for both."
        )


def _label(teachers: Sequence[Run], splits: Splits, held_out: Rows, number: int) -> PseudoLabels:
    """Return the labels for the model ``number``, int16 ``[test images]``."""
    labels = splits.train.labels
    assert labels is not None  # noqa: S101 — training data is labelled by contract
    oof = ensembling.mean([_read_oof(teacher, held_out, number) for teacher in teachers])
    test = ensembling.mean([_read_test(teacher, splits, number) for teacher in teachers])
    temperatures = ensembling.find_temperatures([oof], labels[held_out])
    probabilities = ensembling.calibrate([test], temperatures)[0]
    certain = probabilities.max(axis=1) >= MIN_PROBABILITY
    return np.where(certain, probabilities.argmax(axis=1), UNLABELLED).astype(np.int16)


def _read_oof(teacher: Run, held_out: Rows, number: int) -> ensembling.Probabilities:
    """Return the teacher's probabilities of the held-out images, float ``[m, classes]``."""
    fold = teacher.fold_arrays(number, "oof", advice=_advise(teacher))
    if not np.array_equal(fold["rows"], held_out):
        raise InputError(
            f"--pseudo-labels {teacher.folder} holds out other images in fold {number} than this "
            "run. Its labels would tell the model about images that it is scored on. Use the same "
            "--folds, --seeds, --seed and --validation-split for both."
        )
    return _check(teacher, number, "oof", fold["probabilities"])


def _read_test(teacher: Run, splits: Splits, number: int) -> ensembling.Probabilities:
    """Return the teacher's probabilities of the test images, float ``[test images, classes]``."""
    fold = teacher.fold_arrays(number, "test", len(splits.test), _advise(teacher))
    return _check(teacher, number, "test", fold["probabilities"])


def _check(
    teacher: Run, number: int, name: str, probabilities: ensembling.Probabilities
) -> ensembling.Probabilities:
    path = teacher.fold(number) / f"{name}.npz"
    check_probabilities(probabilities, name=f"--pseudo-labels: probabilities in {path}")
    return probabilities


def _advise(teacher: Run) -> str:
    return (
        f"--pseudo-labels needs this file. Remove its folder and repeat the command that made "
        f"{teacher.folder}: {teacher.facts.command}"
    )


def add_pseudo_labelled(train: Dataset, test: Dataset, labels: PseudoLabels) -> Dataset:
    """Append the test images that have a label to the training images.

    Args:
        train: labelled images.
        test: the test images; labels of their own are not used.
        labels: int16 ``[test images]``, a row of `make_pseudo_labels`.

    """
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    rows = np.flatnonzero(labels != UNLABELLED)
    if not len(rows):
        return train  # without a copy of its images
    return Dataset(
        np.concatenate([train.images, test.images[rows]]),
        np.concatenate([train.labels, labels[rows].astype(np.uint8)]),
        np.concatenate([train.ids, test.ids[rows]]),
        train.class_names,
    )


def read_pseudo_labels(run: Run, test_images: int) -> PseudoLabels:
    """Return the pseudo-labels of ``run``, int16 ``[models, test images]``.

    Raises:
        InputError: the file is missing or damaged.

    """
    settings = run.settings
    if not settings.pseudo_labelled_images:
        return label_none(settings.members, test_images)
    form = Form("int16", (settings.members, test_images))
    path = run.inside(PSEUDO_LABELS)
    labels: PseudoLabels = read_array(path, form, advice=REWRITTEN)
    if hash_pseudo_labels(labels) != settings.pseudo_labels_sha256:
        reason = "it has other labels than run.json was written for"
        raise DamagedRunError(path, reason, REWRITTEN)
    return labels


def count_labelled(labels: PseudoLabels) -> npt.NDArray[np.intp]:
    """Return the number of labelled test images of each model, int ``[models]``."""
    return np.asarray((labels != UNLABELLED).sum(axis=1))


def describe_pseudo_labels(labels: PseudoLabels) -> str | None:
    """Describe how many test images get a label; None if none does."""
    counts = count_labelled(labels)
    if not counts.any():
        return None
    few, many = f"{counts.min():,}", f"{counts.max():,}"
    number = few if few == many else f"{few} to {many}"
    return f"each model is also trained on {number} of the {labels.shape[1]:,} test images."


def hash_pseudo_labels(labels: PseudoLabels) -> str | None:
    """Return the SHA-256 of the labels, the same on every machine; None if no image has one."""
    if not count_labelled(labels).any():
        return None
    return hashlib.sha256(labels.astype("<i2").tobytes()).hexdigest()
