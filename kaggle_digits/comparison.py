"""Where `ImageId,Label` files differ, id by id. NumPy alone: starts at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.submissions import CLASSES, Ids, Labels, Submission, check


@dataclass(frozen=True)
class DigitPair:
    """How many images one file calls ``a_label`` and the other ``b_label``."""

    a_label: int
    b_label: int
    count: int


@dataclass(frozen=True)
class Difference:
    """Where two files differ.

    Attributes:
        a: name of the one that was given first.
        b: name of the other.
        differing: number of ids on which they differ.
        digits: the labels they differ by, most frequent first.

    """

    a: str
    b: str
    differing: int
    digits: tuple[DigitPair, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How k files judge the same n images.

    Attributes:
        names: k names, in the order given.
        ids: int64 ``[n]``, ascending.
        labels: uint8 ``[k, n]``, what each file says about ``ids``.
        agreement: float64 ``[k, k]``, share of the ids on which both files agree.
        differences: one for each pair of files, ``k * (k - 1) / 2`` in all.
        majority: uint8 ``[n]``, the label that most files give; of tied labels the one that the
            earliest file among those tied gives.
        disputed: intp ``[m]``, rows of ``ids`` on which not all agree: the fewest votes for the
            majority first, then the smallest id.

    """

    names: tuple[str, ...]
    ids: Ids
    labels: Labels
    agreement: npt.NDArray[np.float64]
    differences: tuple[Difference, ...]
    majority: Labels
    disputed: npt.NDArray[np.intp]

    @property
    def disputed_ids(self) -> Ids:
        """Int64 ``[m]``: the ids at ``disputed``, the most split first."""
        return self.ids[self.disputed]


def compare(submissions: Sequence[tuple[str, Submission]]) -> Comparison:
    """Return how the named submissions agree, id by id, whatever the order of their rows.

    Raises:
        InputError: fewer than two submissions, or their ids are not the same set.

    """
    least = 2
    if len(submissions) < least:
        raise InputError(f"received {len(submissions)} files to compare. Expected 2 or more.")
    names = tuple(name for name, _ in submissions)
    ids, labels = aligned(submissions)
    agreement = np.eye(len(names))
    differences = []
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            difference = difference_of(names[a], names[b], labels[a], labels[b])
            differences.append(difference)
            agreement[a, b] = agreement[b, a] = 1 - difference.differing / len(ids)
    majority, votes = majority_of(labels)
    disputed = np.flatnonzero(votes < len(names))
    return Comparison(
        names=names,
        ids=ids,
        labels=labels,
        agreement=agreement,
        differences=tuple(differences),
        majority=majority,
        disputed=disputed[np.argsort(votes[disputed], kind="stable")],
    )


def aligned(submissions: Sequence[tuple[str, Submission]]) -> tuple[Ids, Labels]:
    """Return the common ids, int64 ``[n]`` ascending, and the labels, uint8 ``[k, n]``."""
    first_name, first = submissions[0]
    ids = np.sort(first.ids)
    labels = np.empty((len(submissions), len(ids)), np.uint8)
    for row, (name, submission) in enumerate(submissions):
        order = np.argsort(submission.ids)
        if not np.array_equal(submission.ids[order], ids):
            check(submission, ids, name=name, source=first_name)
        labels[row] = submission.labels[order]
    return ids, labels


def difference_of(a: str, b: str, a_labels: Labels, b_labels: Labels) -> Difference:
    """Return where two files differ, from labels (uint8 ``[n]``) of the same ids."""
    counts = np.bincount(a_labels.astype(np.intp) * CLASSES + b_labels, minlength=CLASSES**2)
    counts[:: CLASSES + 1] = 0  # the diagonal: both say the same
    cells = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    digits = tuple(
        DigitPair(int(cell) // CLASSES, int(cell) % CLASSES, int(counts[cell])) for cell in cells
    )
    return Difference(a, b, int(counts.sum()), digits)


def majority_of(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Return the majority's labels, uint8 ``[n]``, and how many of the k files gave each."""
    votes = np.stack([(labels == digit).sum(axis=0) for digit in range(CLASSES)])
    support = np.take_along_axis(votes, labels.astype(np.intp), axis=0)  # [k, n]
    earliest = support.argmax(axis=0)[np.newaxis]  # of equal maxima argmax takes the first file
    majority = np.take_along_axis(labels, earliest, axis=0)[0]
    return majority, support.max(axis=0)
