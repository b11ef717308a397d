"""Where `ImageId,Label` files differ, id by id, and what follows from it. NumPy alone.

What follows: a majority vote and, where the labels are known, whether one set of answers is better
than another by more than chance.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.submissions.csv_file import CLASSES, Ids, Labels, Submission, check

Flags = npt.NDArray[np.bool_]

NORMAL_QUANTILE = 1.959964  # 95 % of a normal distribution lie within so many deviations


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
    def differing(self) -> npt.NDArray[np.intp]:
        """Intp ``[k, k]``: the number of ids on which two files differ."""
        return np.rint((1 - self.agreement) * len(self.ids)).astype(np.intp)

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
    ids, labels = align(submissions)
    agreement = np.eye(len(names))
    differences = []
    for a, b in itertools.combinations(range(len(names)), 2):
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


def align(submissions: Sequence[tuple[str, Submission]]) -> tuple[Ids, Labels]:
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


# -------------------------------------------------------------------------- with known labels


@dataclass(frozen=True)
class Paired:
    """Two sets of answers about the same images, whose labels are known.

    Attributes:
        a: name of the one.
        b: name of the other.
        images: how many.
        accuracy_a: share of them that ``a`` gets right.
        accuracy_b: share of them that ``b`` gets right.
        only_a: images that ``a`` alone gets right.
        only_b: images that ``b`` alone gets right.
        difference: ``accuracy_a - accuracy_b``.
        lowest: lower end of the difference's 95 % confidence interval.
        highest: its upper end.
        p_value: of McNemar's exact test, two-sided: how often two equally good ones would differ
            by so much or more.

    """

    a: str
    b: str
    images: int
    accuracy_a: float
    accuracy_b: float
    only_a: int
    only_b: int
    difference: float
    lowest: float
    highest: float
    p_value: float


def compare_pair(a: str, b: str, a_right: Flags, b_right: Flags) -> Paired:
    """Return whether ``a`` or ``b`` is better, from which images each gets right (bool ``[n]``).

    Being about the same images makes this much sharper than comparing two standard errors. It
    holds what another sample of images would change, not what another training seed would.

    The interval is Bonett's and Price's, https://doi.org/10.1348/000711011X626402: it keeps its
    95 % where few images tell the two apart, and has a width where none does.
    """
    images = len(a_right)
    if len(b_right) != images or not images:
        raise InputError(
            f"received answers to {images:,} and {len(b_right):,} images. "
            "Expected the same images, at least one."
        )
    only_a = int(np.count_nonzero(a_right & ~b_right))
    only_b = int(np.count_nonzero(b_right & ~a_right))
    share_a, share_b = (only_a + 1) / (images + 2), (only_b + 1) / (images + 2)
    centre = share_a - share_b
    reach = NORMAL_QUANTILE * math.sqrt((share_a + share_b - centre**2) / (images + 2))
    return Paired(
        a=a,
        b=b,
        images=images,
        accuracy_a=float(a_right.mean()),
        accuracy_b=float(b_right.mean()),
        only_a=only_a,
        only_b=only_b,
        difference=(only_a - only_b) / images,
        lowest=max(-1.0, centre - reach),
        highest=min(1.0, centre + reach),
        p_value=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: a fair coin's, in whole numbers.

    What ``scipy.stats.binomtest(only_a, only_a + only_b).pvalue`` gives, without the seconds that
    its import takes.
    """
    tosses = only_a + only_b
    ways = total = 1
    for heads in range(min(only_a, only_b)):
        ways = ways * (tosses - heads) // (heads + 1)
        total += ways
    return float(min(1, 2 * total / 2**tosses))
