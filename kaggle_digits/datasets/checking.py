"""What is worth knowing about a data set before training on it. NumPy alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Dataset, Images, Splits
from kaggle_digits.datasets.leaks import count_repeats

Floats = npt.NDArray[np.float32]

# Root mean square over an image's pixels, in grey levels. In a random split of MNIST's 70,000
# digits no two of train and test were nearer than 7; saving one anew as a JPEG moves it by 2 to 4.
NEAR = 4.0
BLOCK = 4  # pixels a side: blocks' means tell quickly which images cannot be near
CHUNK = 500  # test images at a time: a chunk's distances to 42,000 others take 84 MB


@dataclass(frozen=True)
class SplitReport:
    """One split.

    Attributes:
        images: how many.
        class_counts: images of each class, in the order of ``class_names``; None if unlabelled.
        ink_min: the smallest pixel value.
        ink_max: the largest pixel value.
        ink_mean: the mean pixel value.
        fingerprint: as `Dataset.fingerprint`.

    """

    images: int
    class_counts: tuple[int, ...] | None
    ink_min: int
    ink_max: int
    ink_mean: float
    fingerprint: str


@dataclass(frozen=True)
class Report:
    """A data set.

    Attributes:
        source: as `Splits.source`.
        class_names: one name a class.
        train: the labelled split.
        test: the other one.
        repeated_in_train: train images that equal an earlier one to the pixel.
        repeated_with_other_label: how many of these have another label than that earlier one.
        test_images_in_train: test images that equal a train image to the pixel.
        test_images_near_train: test images that a train image is no further from than `NEAR`, those
            that are equal included.

    """

    source: str
    class_names: tuple[str, ...]
    train: SplitReport
    test: SplitReport
    repeated_in_train: int
    repeated_with_other_label: int
    test_images_in_train: int
    test_images_near_train: int


def check(splits: Splits) -> Report:
    """Return the counts of images, classes and duplicates."""
    train, test = splits.train, splits.test
    first: dict[bytes, int] = {}
    earlier = [
        first.setdefault(row, i) for i, row in enumerate(image.tobytes() for image in train.images)
    ]
    repeats = [(i, before) for i, before in enumerate(earlier) if before != i]
    labels = [0] * len(train) if train.labels is None else train.labels.tolist()
    return Report(
        source=splits.source,
        class_names=train.class_names,
        train=_split_report(train),
        test=_split_report(test),
        repeated_in_train=len(repeats),
        repeated_with_other_label=sum(labels[i] != labels[before] for i, before in repeats),
        test_images_in_train=count_repeats(test.images, train.images),
        test_images_near_train=near(test.images, train.images),
    )


def near(some: Images, others: Images, distance: float = NEAR) -> int:
    """Return how many of ``some`` have one of ``others`` no further away than ``distance``.

    Args:
        some: uint8 ``[n, height, width, channels]``.
        others: uint8 ``[m, height, width, channels]``.
        distance: root mean square over the pixels, in grey levels.

    """
    limit = distance**2 * some[0].size
    ours, theirs = _blocks(some), _blocks(others)
    # The squared distance of two images is at least that of their blocks' means, times the pixels
    # of a block. What that leaves is looked at pixel by pixel.
    lengths = (theirs**2).sum(axis=1)
    found = 0
    for start in range(0, len(some), CHUNK):
        chunk = ours[start : start + CHUNK]
        least = chunk @ (-2 * theirs.T)
        least += lengths
        rows, columns = np.nonzero(
            least <= limit / BLOCK**2 - (chunk**2).sum(axis=1)[:, np.newaxis] + 1  # rounding
        )
        close = {
            row
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if _squared(some[start + row], others[column]) <= limit
        }
        found += len(close)
    return found


def _blocks(images: Images) -> Floats:
    """Return the mean of each block, float32 ``[n, blocks]``; a rest at the edges is left out."""
    n, height, width, channels = images.shape
    rows, columns = height // BLOCK, width // BLOCK
    whole = images[:, : rows * BLOCK, : columns * BLOCK].astype(np.float32)
    cut = whole.reshape(n, rows, BLOCK, columns, BLOCK, channels)
    return np.asarray(cut.mean(axis=(2, 4)).reshape(n, -1))


def _squared(one: Images, other: Images) -> float:
    return float(((one.astype(np.float32) - other) ** 2).sum())


def _split_report(split: Dataset) -> SplitReport:
    return SplitReport(
        images=len(split),
        class_counts=split.class_counts,
        ink_min=int(split.images.min()),
        ink_max=int(split.images.max()),
        ink_mean=float(split.images.mean()),
        fingerprint=split.fingerprint,
    )
