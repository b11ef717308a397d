"""Count the images, classes and duplicates of a data set. Needs only NumPy."""

from dataclasses import dataclass

from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.datasets.leaks import count_repeats
from kaggle_digits.datasets.near_copies import count_near


@dataclass(frozen=True)
class SplitReport:
    """The statistics of one split.

    Attributes:
        images: number of images.
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
    """The statistics of a data set.

    Attributes:
        source: as `Splits.source`.
        class_names: one name per class.
        train: statistics of the training split.
        test: statistics of the test split.
        repeated_in_train: training images whose pixels equal those of an earlier training image.
        repeated_with_other_label: how many of these have another label than that earlier image.
        test_images_in_train: test images whose pixels equal those of a training image.
        test_images_near_train: test images at a distance of at most `NEAR` from a training image,
            equal images included.

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
    """Return the counts of images, classes and duplicates.

    Args:
        splits: the data set; images uint8 ``[n, height, width, channels]``.

    Returns:
        The statistics of both splits, and how many images they share.

    """
    train, test = splits.train, splits.test
    assert train.labels is not None  # noqa: S101 — `Splits` has labelled training images
    labels = train.labels.tolist()
    first: dict[bytes, int] = {}
    earlier = [
        first.setdefault(row, i) for i, row in enumerate(image.tobytes() for image in train.images)
    ]
    repeats = [(i, before) for i, before in enumerate(earlier) if before != i]
    return Report(
        source=splits.source,
        class_names=train.class_names,
        train=_split_report(train),
        test=_split_report(test),
        repeated_in_train=len(repeats),
        repeated_with_other_label=sum(labels[i] != labels[before] for i, before in repeats),
        test_images_in_train=count_repeats(test.images, train.images),
        test_images_near_train=count_near(test.images, train.images),
    )


def _split_report(split: Dataset) -> SplitReport:
    return SplitReport(
        images=len(split),
        class_counts=split.class_counts,
        ink_min=int(split.images.min()),
        ink_max=int(split.images.max()),
        ink_mean=float(split.images.mean()),
        fingerprint=split.fingerprint,
    )
