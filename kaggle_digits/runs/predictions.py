"""Read the predictions of finished runs, of one image or of all. NumPy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.runs.folder import Run

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of several runs for the same images.

    Attributes:
        ids: int64 ``[n]``.
        probabilities: float ``[k, n, classes]``, one row per run: float32 out-of-fold, float64 for
            test images, as means of several models.
        labels: uint8 ``[n]``; None for test images without known labels.

    """

    ids: Array
    probabilities: Array
    labels: Array | None


@dataclass(frozen=True, eq=False)
class OutOfFold(Predictions):
    """Predictions of several runs for images that all of them held out, with known labels."""

    labels: Array


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction of one run for one image.

    Attributes:
        id: id of the image in the data set.
        probabilities: float ``[classes]``: float32 of a held-out image, float64 of a test image.
        label: the true class; None if it is unknown.

    """

    id: int
    probabilities: Array
    label: int | None

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


def find_image(run: Run, split: str, image: int) -> Prediction:
    """Find the prediction of ``run`` for one image.

    Args:
        run: a finished run.
        split: ``train`` for the held-out training images, or ``test``.
        image: id of the image.

    Raises:
        InputError: the run has no prediction of that image.

    """
    name, what = {"train": ("oof", "held-out train"), "test": ("test", "test")}[split]
    run.require_finished()
    if split == "train" and not run.has_held_out:
        raise InputError(
            f"{run.folder} has no predictions of {what} images: no image was held out. Expected a "
            "run of `cv`, or of `train` with a validation split."
        )
    arrays = run.arrays(name)
    ids = arrays["ids"]
    rows = np.flatnonzero(ids == image)
    if not len(rows):
        some = ", ".join(map(str, ids[:5].tolist()))
        raise InputError(
            f"{run.folder} has no {what} image with the id {image}. Expected one of its "
            f"{len(ids):,} ids from {ids.min()} to {ids.max()}, such as {some}."
        )
    row = int(rows[0])
    label = int(arrays["labels"][row]) if "labels" in arrays else None
    return Prediction(image, arrays["probabilities"][row], label)


def read_test(runs: list[Run]) -> Predictions:
    """Read the runs' test probabilities, and the labels if all runs have the same.

    Raises:
        InputError: a run is not finished, or predicts other test images.

    """
    members = [run.arrays("test") for run in runs]
    prints = [run.test_fingerprint for run in runs]
    for run, member, print_ in zip(runs, members, prints, strict=True):
        if print_ != prints[0]:
            raise InputError(
                f"{run.folder} predicts other test images than {runs[0].folder}: fingerprints "
                f"{print_[:12]}… and {prints[0][:12]}…. Expected runs on the same data."
            )
        if not np.array_equal(member["ids"], members[0]["ids"]):
            raise InputError(
                f"{run.folder} has other ids of test images than {runs[0].folder}, but the same "
                "fingerprint: one of the two was changed. Expected unchanged runs; train again."
            )
        _require_same_classes(run, member, members[0])
    stack = np.stack([member["probabilities"] for member in members])
    known = [member["labels"] for member in members if "labels" in member]
    same = len(known) == len(runs) and all(np.array_equal(labels, known[0]) for labels in known)
    return Predictions(members[0]["ids"], stack, known[0] if same else None)


def read_out_of_fold(runs: list[Run]) -> OutOfFold | None:
    """Read the out-of-fold probabilities of the images that all runs held out.

    Returns:
        The predictions; None if the runs share no held-out images with the same pixels and labels.

    """
    members = [run.arrays("oof") for run in runs if run.has_held_out]
    if len(members) < len(runs):
        return None
    for run, member in zip(runs, members, strict=True):
        _require_same_classes(run, member, members[0])
    ids = members[0]["ids"]
    for member in members[1:]:
        ids = np.intersect1d(ids, member["ids"])
    # In the order of the first run's ids: runs may hold the same images out in different orders.
    ids = members[0]["ids"][np.isin(members[0]["ids"], ids)]
    rows = [find_rows(member["ids"], ids) for member in members]
    labels = [member["labels"][row] for member, row in zip(members, rows, strict=True)]
    if not len(ids) or not _are_equal(labels) or not _are_same_images(runs, rows):
        return None
    stack = np.stack([m["probabilities"][row] for m, row in zip(members, rows, strict=True)])
    return OutOfFold(ids, stack, labels[0])


def _are_same_images(runs: list[Run], rows: list[Array]) -> bool:
    """Return whether the runs held the same images out, as far as they recorded hashes."""
    if len(runs) == 1:
        return True
    recorded = zip([run.hash_held_out() for run in runs], rows, strict=True)
    return _are_equal([hashes[row] for hashes, row in recorded if hashes is not None])


def _are_equal(arrays: list[Array]) -> bool:
    return all(np.array_equal(array, arrays[0]) for array in arrays)


def find_rows(ids: Array, wanted: Array) -> Array:
    """Return the row of each of ``wanted`` in ``ids``: int ``[m]``. All are there, once."""
    by_id = np.argsort(ids)
    return by_id[np.searchsorted(ids, wanted, sorter=by_id)]


def _require_same_classes(run: Run, member: dict[str, Array], first: dict[str, Array]) -> None:
    classes, expected = member["probabilities"].shape[1], first["probabilities"].shape[1]
    if classes != expected:
        raise InputError(
            f"{run.folder} knows {classes} classes. Expected {expected}, as in the first run. "
            "Choose runs on the same data."
        )
