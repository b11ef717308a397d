"""Define `Dataset` and `Splits`, which every source of images returns."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of one split.

    Attributes:
        images: uint8 ``[n, height, width, channels]``, from 0 (background) to 255 (full ink).
        labels: uint8 ``[n]``, an index into ``class_names``; None if they are unknown.
        ids: int64 ``[n]``, the ``ImageId`` of each image in a submission: 1…n in the competition.
        class_names: one name per class, in the order of the labels.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((2, 28, 28, 1), np.uint8)
        >>> data = kd.Dataset(images, labels=np.array([3, 5], np.uint8), ids=np.array([1, 2]))
        >>> len(data), data.class_counts
        (2, (0, 0, 0, 1, 0, 1, 0, 0, 0, 0))

    """

    images: Images
    labels: Labels | None
    ids: Ids
    class_names: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        """Raise InputError unless the arrays have these types and shapes."""
        images, ids = self.images, self.ids
        labels = np.zeros(len(images), np.uint8)  # valid ones in the place of unknown ones
        if self.labels is not None:
            labels = self.labels
        for name, value in (("images", images), ("ids", ids), ("labels", labels)):
            _require_array(name, value)
        require_images(images)
        if ids.shape != (len(images),) or ids.dtype.kind not in "iu":
            raise InputError(
                f"received ids of {ids.dtype} {list(ids.shape)} for {len(images)} images. Expected "
                "a whole number for each image."
            )
        if labels.shape != (len(images),) or labels.dtype != np.uint8:
            raise InputError(
                f"received labels of {labels.dtype} {list(labels.shape)} for {len(images)} images. "
                "Expected uint8, one label for each image: labels.astype('uint8')."
            )
        if len(labels) and labels.max() >= len(self.class_names):
            raise InputError(
                f"received the label {labels.max()}. Expected 0 to {len(self.class_names) - 1}, an "
                "index into class_names."
            )

    def __repr__(self) -> str:
        count, *shape = self.images.shape
        classes = f"{len(self.class_names)} classes"
        if self.labels is None:
            classes = "no labels"
        return f"<Dataset: {count:,} images {'×'.join(map(str, shape))}, {classes}>"

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels, in hexadecimal."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(self.images.tobytes())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    @property
    def class_counts(self) -> tuple[int, ...] | None:
        """Number of images of each class, in the order of ``class_names``; None without labels."""
        if self.labels is None:
            return None
        return tuple(np.bincount(self.labels, minlength=len(self.class_names)).tolist())

    def take(self, rows: Rows) -> "Dataset":
        """Return the images at ``rows`` (int ``[m]``), in that order."""
        labels = None if self.labels is None else self.labels[rows]
        return Dataset(self.images[rows], labels, self.ids[rows], self.class_names)


@dataclass(frozen=True, eq=False)
class Splits:
    """The training and test split of a data set.

    Attributes:
        source: ``kaggle``, ``sample``, ``mnist``, ``cifar10``, ``rehearsal`` (other digits written
            in the competition's format) or ``csv`` (your own files in the competition's format).
        train: the training images, always labelled.
        test: the test images, labelled if the source has their labels.
        notes: warnings about the data, one or two sentences each.

    Example:
        >>> data = kd.load("input")
        >>> data.source, len(data.train), len(data.test)
        ('sample', 1442, 355)

    """

    source: str
    train: Dataset
    test: Dataset
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not SLUG.fullmatch(self.source):
            raise InputError(
                f"received {self.source!r} as the source of a data set. Expected lower-case "
                "letters, digits and hyphens, because run folders are named after it."
            )
        _require_same_form(self.train, self.test)
        if self.train.labels is None:
            raise InputError("the training images have no labels. Expected one for each image.")
        for name, part in (("training", self.train), ("test", self.test)):
            if len(np.unique(part.ids)) != len(part):
                raise InputError(f"two {name} images have the same id. Expected different ids.")
        if not len(self.test):
            raise InputError("received no test images. Expected one or more.")
        if self.test.ids.min() < 1:
            raise InputError(
                f"received the test id {self.test.ids.min()}. Expected ids of 1 or more, as the "
                "ImageId of a submission: np.arange(1, n + 1)."
            )
        if len(self.train.class_names) > len(DIGITS):
            raise InputError(
                f"received {len(self.train.class_names)} classes. Expected at most {len(DIGITS)}: "
                "a submission has the labels 0 to 9."
            )

    def __repr__(self) -> str:
        return f"<Splits of {self.source!r}: train={self.train}, test={self.test}>"

    @property
    def is_competition(self) -> bool:
        """Whether ``test`` holds the competition's test images."""
        return self.source == "kaggle"


def _require_same_form(train: Dataset, test: Dataset) -> None:
    """Raise InputError unless both are data sets with images of one shape and the same classes."""
    for name, part in (("train", train), ("test", test)):
        if not isinstance(part, Dataset):
            raise InputError(
                f"received {name} of type {type(part).__name__}. Expected a kd.Dataset."
            )
    shape, test_shape = train.images.shape[1:], test.images.shape[1:]
    if shape != test_shape:
        raise InputError(
            f"received training images of {shape} and test images of {test_shape}. Expected the "
            "same height, width and channels."
        )
    classes, test_classes = tuple(train.class_names), tuple(test.class_names)
    if test.labels is not None and classes != test_classes:
        raise InputError(
            f"received training images with the class_names {classes} and test images with "
            f"{test_classes}. Expected the same names in the same order."
        )


def require_images(images: Any) -> None:
    """Raise InputError unless ``images`` is a uint8 array ``[n, height, width, channels]``."""
    _require_array("images", images)
    if images.dtype != np.uint8 or images.ndim != 4:  # noqa: PLR2004 — [n, height, width, channels]
        raise InputError(
            f"received images of {images.dtype} {list(images.shape)}. Expected uint8 [n, "
            "height, width, channels], from 0 (background) to 255 (full ink)."
        )


def _require_array(name: str, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise InputError(f"received {name} of type {type(value).__name__}. Expected a NumPy array.")
