"""What is worth knowing about a data set before training on it. NumPy alone."""

from dataclasses import dataclass

from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.datasets.leaks import count_repeats
from kaggle_digits.datasets.near_copies import count_near


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
