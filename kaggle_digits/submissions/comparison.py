"""Compare `ImageId,Label` files image by image. NumPy only.

The comparison also gives the majority vote and, if the labels are known, tests whether one file is
significantly better than another.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.submissions.submission import CLASSES, Ids, Labels, Submission, check

Flags = npt.NDArray[np.bool_]

NORMAL_QUANTILE = 1.959964  # 95 % of a normal distribution lie within this many standard deviations


@dataclass(frozen=True)
class DigitPair:
    """Number of images with ``a_label`` in one file and ``b_label`` in the other."""

    a_label: int
    b_label: int
    count: int


@dataclass(frozen=True)
class Difference:
    """Differences between two files.

    Attributes:
        a: name of the first file.
        b: name of the second file.
        differing: number of ids with different labels.
        digits: the pairs of different labels, most frequent first.

    """

    a: str
    b: str
    differing: int
    digits: tuple[DigitPair, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of k files with the same n images.

    Attributes:
        names: the k names, in the order given.
        ids: int64 ``[n]``, ascending.
        labels: uint8 ``[k, n]``, each file's labels of ``ids``.
        agreement: float64 ``[k, k]``, share of ids with the same label in both files, 0-1.
        differences: one for each pair of files, ``k * (k - 1) / 2`` in all.
        majority: uint8 ``[n]``, the most frequent label. A tie goes to the label of the earliest
            of the tied files.
        disputed: intp ``[m]``, the rows of ``ids`` on which not all files agree, sorted by the
            votes for the majority, then by id.

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
        """Int64 ``[m]``: the ids at ``disputed``, the fewest votes for the majority first."""
        return self.ids[self.disputed]


def compare(submissions: Sequence[tuple[str, Submission]]) -> Comparison:
    """Compare the named submissions by id. The order of their rows does not matter.

    Raises:
        InputError: there are fewer than two submissions, or their sets of ids differ.

    """
    minimum = 2
    if len(submissions) < minimum:
        files = f"{len(submissions)} file{'' if len(submissions) == 1 else 's'}"
        raise InputError(f"received {files} to compare. Expected 2 or more.")
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
    """Return the differences between two files from labels (uint8 ``[n]``) of the same ids."""
    counts = np.bincount(a_labels.astype(np.intp) * CLASSES + b_labels, minlength=CLASSES**2)
    counts[:: CLASSES + 1] = 0  # the diagonal: equal labels
    cells = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    digits = tuple(
        DigitPair(int(cell) // CLASSES, int(cell) % CLASSES, int(counts[cell])) for cell in cells
    )
    return Difference(a, b, int(counts.sum()), digits)


def majority_of(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Return the majority labels, uint8 ``[n]``, and the number of votes for each, ``[n]``."""
    votes = np.stack([(labels == digit).sum(axis=0) for digit in range(CLASSES)])
    support = np.take_along_axis(votes, labels.astype(np.intp), axis=0)  # [k, n]
    earliest = support.argmax(axis=0)[np.newaxis]  # of equal maxima argmax takes the first file
    majority = np.take_along_axis(labels, earliest, axis=0)[0]
    return majority, support.max(axis=0)


# -------------------------------------------------------------------------- with known labels


@dataclass(frozen=True)
class Paired:
    """Paired comparison of two classifiers on the same labelled images.

    Attributes:
        a: name of the first.
        b: name of the second.
        images: number of images.
        accuracy_a: accuracy of ``a``, 0-1.
        accuracy_b: accuracy of ``b``, 0-1.
        only_a: number of images that only ``a`` classifies correctly.
        only_b: number of images that only ``b`` classifies correctly.
        difference: ``accuracy_a - accuracy_b``.
        lowest: lower end of the 95 % confidence interval of the difference.
        highest: upper end of the 95 % confidence interval of the difference.
        p_value: two-sided p-value of McNemar's exact test: the probability of such a difference
            or a larger one between two equally good classifiers.

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
    """Compare two classifiers by the images that each classifies correctly (bool ``[n]``).

    The paired test on the same images has more power than comparing two standard errors. It covers
    the choice of the images, not the variation between training seeds.

    The confidence interval is that of Bonett and Price, https://doi.org/10.1348/000711011X626402.
    It holds its 95 % even if the two differ on few images, and has a width if they differ on none.
    """
    images = len(a_right)
    if len(b_right) != images or not images:
        raise InputError(
            f"received predictions for {images:,} and {len(b_right):,} images. "
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
    """Return the two-sided p-value of McNemar's exact test, computed with integers.

    It equals ``scipy.stats.binomtest(only_a, only_a + only_b).pvalue``, without the seconds for
    importing SciPy.
    """
    tosses = only_a + only_b
    ways = total = 1
    for heads in range(min(only_a, only_b)):
        ways = ways * (tosses - heads) // (heads + 1)
        total += ways
    return float(min(1, 2 * total / 2**tosses))
