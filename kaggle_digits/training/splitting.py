"""Split the training images into folds, or hold out a share of them; all parts are stratified."""

import numpy as np
import numpy.typing as npt

from kaggle_digits.backend import hiding
from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.dataset import Dataset, Labels, Rows
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Integers
from kaggle_digits.formats.arrays import Form

FoldIds = npt.NDArray[np.int16]
FOLD_IDS = Form("int16", ("seeds", "images"))


def assign_folds(labels: Labels, folds: int, seeds: int, seed: int) -> FoldIds:
    """Return the fold (1 … folds) that holds each image out.

    Each seed shuffles differently, so each repetition has other folds.

    Args:
        labels: uint8 ``[n]``.
        folds: number of folds.
        seeds: number of repetitions.
        seed: the first seed; repetition ``k`` uses ``seed + k``.

    Returns:
        int16 ``[seeds, n]``.

    Raises:
        InputError: a class has fewer images than there are folds.

    """
    with hiding("pandas"):
        from sklearn.model_selection import StratifiedKFold

    require_images_for_folds(labels, folds)
    assignment = np.zeros((seeds, len(labels)), np.int16)
    for row in range(seeds):
        split = StratifiedKFold(folds, shuffle=True, random_state=seed + row)
        for fold, (_, held_out) in enumerate(split.split(labels, labels), start=1):
            assignment[row, held_out] = fold
    return assignment


def assign_holdout(labels: Labels, share: float, seed: int) -> FoldIds:
    """Hold out a stratified share of the images.

    Args:
        labels: uint8 ``[n]``.
        share: share of the images to hold out, 0-1.
        seed: seed of the shuffling.

    Returns:
        int16 ``[1, n]``: 1 for held-out images, 0 for the others.

    Raises:
        InputError: a class would be missing in one part.

    """
    assignment = np.zeros((1, len(labels)), np.int16)
    if share:
        _require_images_a_class(labels, 2, "a validation split needs")
        classes = len(np.unique(labels))
        if min(share, 1 - share) * len(labels) < classes:
            raise InputError(
                f"--validation-split {share} of {len(labels)} images leaves one part with fewer "
                f"images than the {classes} classes. Use more images or a share nearer to 0.5."
            )
        _, held_out = _split_in_two(labels, seed, test_size=share)
        assignment[0, held_out] = 1
    return assignment


def _split_in_two(labels: Labels, seed: int, **size: float) -> tuple[Rows, Rows]:
    """Return the rows of two stratified parts; ``size`` is ``train_size`` or ``test_size``."""
    with hiding("pandas"):
        from sklearn.model_selection import train_test_split

    first, second = train_test_split(
        np.arange(len(labels)), stratify=labels, random_state=seed, **size
    )
    return first, second


def exclude(assignment: FoldIds, rows: Rows, folds: int) -> FoldIds:
    """Mark images that no model is trained on. They are held out and scored like the others.

    Args:
        assignment: int16 ``[seeds, n]``, from `assign_folds` or `assign_holdout`.
        rows: int ``[m]``, the places of these images.
        folds: number of folds per seed.

    Returns:
        int16 ``[seeds, n]``: negative for these images.

    """
    marked = assignment.copy()
    never_held_out = folds + 1  # there is no such fold, and 0 has no negative
    marked[:, rows] = -np.where(assignment[:, rows] == 0, never_held_out, assignment[:, rows])
    return marked


def select_trained(assignment: Integers, fold: int) -> npt.NDArray[np.bool_]:
    """Return which images the models of ``fold`` (1 … folds) are trained on, bool as `assignment`.

    Args:
        assignment: int16 ``[…, n]``, from `assign_folds`, `assign_holdout` or `exclude`.
        fold: the fold that is held out.

    """
    return np.asarray((assignment >= 0) & (assignment != fold))


def split_rows(assignment: FoldIds, folds: int, number: int) -> tuple[Rows, Rows]:
    """Return the rows that the model ``number`` is trained on, and those that it holds out.

    Args:
        assignment: int16 ``[seeds, n]``, from `assign_folds`, `assign_holdout` or `exclude`.
        folds: number of folds per seed.
        number: number of the model, 1 … folds × seeds.

    """
    repeat, fold = divmod(number - 1, folds)
    trained = select_trained(assignment[repeat], fold + 1)
    return np.flatnonzero(trained), np.flatnonzero(np.abs(assignment[repeat]) == fold + 1)


def subsample(train: Dataset, limit: int | None, seed: int) -> Dataset:
    """Return a stratified subset of ``limit`` images in their original order; all for None.

    Raises:
        InputError: ``limit`` leaves fewer images than classes, in the subset or outside it, or a
            class has a single image.

    """
    if limit is None or limit == len(train):
        return train
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    classes = len(np.unique(train.labels))
    if not classes <= limit <= len(train) - classes:
        raise InputError(
            f"--limit {limit} does not fit the data. Expected {classes} (one image per class) to "
            f"{len(train) - classes}, or no --limit for all {len(train)} images."
        )
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    if 1 in counts:
        name = train.class_names[int(np.flatnonzero(counts == 1)[0])]
        raise InputError(
            f"--limit needs two or more images of each class; the data has one of class {name}. "
            "Add images of this class, or omit --limit."
        )
    chosen, _ = _split_in_two(train.labels, seed, train_size=limit)
    return train.take(np.sort(chosen))


def require_images_for_folds(labels: Labels, folds: int) -> None:
    """Raise an InputError unless every class has at least one image for each fold."""
    _require_images_a_class(labels, folds, f"{folds} folds need")


def require_all_classes(train: Dataset) -> None:
    """Raise a DataError unless ``train`` has images of every class."""
    counts = train.class_counts
    assert counts is not None  # noqa: S101 — training data is labelled by contract
    counted = list(zip(train.class_names, counts, strict=True))
    if missing := [name for name, count in counted if not count]:
        present = [f"{name} ({count:,} images)" for name, count in counted if count]
        raise DataError(
            f"the training images lack {len(missing)} of {len(counted)} classes: "
            f"{', '.join(missing)}. Received {', '.join(present)}. Expected images of every class."
        )


def _require_images_a_class(labels: Labels, needed: int, who: str) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < needed:
        less = "fewer folds, " if "folds" in who else ""
        raise InputError(
            f"{who} at least {needed} images per class; the data has {counts.min()} of class "
            f"{classes[counts.argmin()]}. Use {less}more images or a larger --limit."
        )
