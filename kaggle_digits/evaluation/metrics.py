"""Metrics: accuracy, log loss, confusion matrix, calibration, worst images. NumPy, no Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]

CLIP = 1e-7  # limits the log loss of an image to 16.1; the epsilon of Keras
SUM_TOLERANCE = 1e-2  # sums of half-precision softmax rows differ from 1 by up to 0.005


@dataclass(frozen=True)
class Scores:
    """Scores of a set of probabilities.

    Attributes:
        accuracy: share of images whose most probable class is their label, 0-1.
        log_loss: mean of ``-log(probability of the label)``, natural logarithm.
        errors: number of misclassified images.
        images: number of images.
        standard_error: standard error of the accuracy, ``sqrt(p * (1 - p) / n)``. It covers the
            choice of the images, not the variation between training seeds.

    """

    accuracy: float
    log_loss: float
    errors: int
    images: int
    standard_error: float


@dataclass(frozen=True)
class WorstImage:
    """An image with the predicted probabilities of its label and of its predicted class."""

    id: int
    label: int
    predicted: int
    probability_of_label: float
    probability_of_predicted: float


@dataclass(frozen=True)
class Bin:
    """The images whose predicted class has a probability in ``(lowest, highest]``.

    Attributes:
        lowest: lower end of the interval.
        highest: upper end of the interval.
        images: number of images, at least 1.
        confidence: mean probability of the predicted class, 0-1.
        accuracy: share of the images that are classified correctly, 0-1.

    """

    lowest: float
    highest: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of probabilities.

    Attributes:
        error: expected calibration error (Guo et al., "On Calibration of Modern Neural Networks",
            2017): the mean over the images of ``|confidence - accuracy|`` of their bin.
        bins: the non-empty bins, ascending.

    """

    error: float
    bins: tuple[Bin, ...]


def scores(probabilities: Floats, labels: Integers) -> Scores:
    """Compute all scores of ``probabilities`` (float ``[n, c]``) for ``labels`` (int ``[n]``).

    Raises:
        InputError: the shapes do not match, or the values are not probabilities or labels.

    """
    p = accuracy(probabilities, labels)
    return Scores(
        accuracy=p,
        log_loss=log_loss(probabilities, labels),
        errors=errors(probabilities, labels),
        images=len(labels),
        standard_error=float(np.sqrt(p * (1 - p) / len(labels))),
    )


def accuracy(probabilities: Floats, labels: Integers) -> float:
    """Return the share of images whose most probable class is their label."""
    return 1 - errors(probabilities, labels) / len(labels)


def errors(probabilities: Floats, labels: Integers) -> int:
    """Return the number of misclassified images. The first of tied classes is predicted."""
    check_labels(labels, check_probabilities(probabilities))
    return int(np.count_nonzero(probabilities.argmax(axis=1) != labels))


def log_loss(probabilities: Floats, labels: Integers) -> float:
    """Return the mean of ``-log(probability of the label)``, probabilities clipped at 1e-7."""
    loss = -np.log(np.clip(label_probabilities(probabilities, labels), CLIP, 1)).mean()
    return float(loss) + 0.0  # 0 instead of -0


def label_probabilities(probabilities: Floats, labels: Integers) -> npt.NDArray[np.float64]:
    """Return the predicted probability of each image's label, float64 ``[n]``."""
    check_labels(labels, check_probabilities(probabilities))
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def confusion_matrix(
    probabilities: Floats, labels: Integers, class_names: Sequence[str]
) -> "pd.DataFrame":
    """Return the confusion matrix: one row per label, one column per predicted class.

    It equals ``pandas.crosstab(labels, predictions, rownames=["Label"], colnames=["predict"])``,
    but includes classes that never occur.
    """
    import pandas as pd

    check_labels(labels, check_probabilities(probabilities))
    classes = probabilities.shape[1]
    if len(class_names) != classes:
        raise InputError(
            f"received {len(class_names)} class names. Expected one for each of the {classes} "
            "columns of the probabilities."
        )
    cells = labels.astype(np.intp) * classes + probabilities.argmax(axis=1)
    return pd.DataFrame(
        np.bincount(cells, minlength=classes**2).reshape(classes, classes),
        index=pd.Index(list(class_names), name="Label"),
        columns=pd.Index(list(class_names), name="predict"),
    )


def find_worst_images(
    probabilities: Floats, labels: Integers, ids: Integers, count: int
) -> tuple[WorstImage, ...]:
    """Return the ``count`` images with the lowest probability of their label, the lowest first.

    Args:
        probabilities: float ``[n, c]``.
        labels: int ``[n]``.
        ids: int ``[n]``, the ids of the images.
        count: number of images, 0 or more; all if there are fewer.

    """
    if len(ids) != len(labels):
        raise InputError(
            f"received {len(ids):,} ids and {len(labels):,} labels. Expected one id for each label."
        )
    if count < 0:
        raise InputError(f"received {count} as the number of images to show. Expected 0 or more.")
    own = label_probabilities(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    return tuple(
        WorstImage(
            id=int(ids[row]),
            label=int(labels[row]),
            predicted=int(predicted[row]),
            probability_of_label=float(own[row]),
            probability_of_predicted=float(probabilities[row, predicted[row]]),
        )
        for row in np.argsort(own, kind="stable")[:count]
    )


def calibration(probabilities: Floats, labels: Integers, bins: int = 10) -> Calibration:
    """Compare the confidence of ``probabilities`` with their accuracy.

    Args:
        probabilities: float ``[n, c]``.
        labels: int ``[n]``.
        bins: number of bins of equal width between 0 and 1.

    """
    check_labels(labels, check_probabilities(probabilities))
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    # An image at an edge belongs to the bin below. Rounding may give confidences above 1.
    places = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    filled = [
        Bin(
            lowest=k / bins,
            highest=(k + 1) / bins,
            images=int((places == k).sum()),
            confidence=float(confidence[places == k].mean()),
            accuracy=float(right[places == k].mean()),
        )
        for k in np.unique(places).tolist()
    ]
    distance = sum(bin_.images * abs(bin_.confidence - bin_.accuracy) for bin_ in filled)
    return Calibration(distance / len(labels), tuple(filled))


def one_hot(predicted: Integers, classes: int) -> npt.NDArray[np.float32]:
    """Return probabilities, float32 ``[n, classes]``: 1 for each image's predicted class.

    With them, predicted labels can be scored like probabilities. Their log loss has no meaning.
    """
    check_labels(predicted, (len(predicted), classes))
    return np.eye(classes, dtype=np.float32)[predicted]


def check_probabilities(probabilities: Floats, name: str = "probabilities") -> tuple[int, int]:
    """Return (images, classes); raise InputError unless each row is a distribution."""
    minimum = 2
    if probabilities.ndim != minimum or not len(probabilities) or probabilities.shape[1] < minimum:
        raise InputError(
            f"received {name} of shape {probabilities.shape}. "
            "Expected [images, classes], at least one image and two classes."
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    # NaN compares as False, so these conditions reject it too.
    good = (np.abs(sums - 1) <= SUM_TOLERANCE) & (probabilities.min(axis=1) >= 0)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"received {name} whose row {row} is {probabilities[row].tolist()}, sum {sums[row]:g}. "
            "Expected numbers from 0 to 1 with sum 1: a softmax, not logits. Train that run again."
        )
    return probabilities.shape[0], probabilities.shape[1]


def check_labels(labels: Integers, shape: tuple[int, int]) -> None:
    """Raise InputError unless ``labels`` has one class for each image of ``shape``."""
    images, classes = shape
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise InputError(
            f"received labels of shape {labels.shape} and type {labels.dtype}. "
            f"Expected whole numbers of shape ({images},), one for each row of the probabilities."
        )
    if labels.min() < 0 or labels.max() >= classes:
        bad = labels[(labels < 0) | (labels >= classes)][0]
        raise InputError(f"received the label {bad}. Expected 0 to {classes - 1}.")
