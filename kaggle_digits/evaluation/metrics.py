"""How good probabilities are: accuracy, log loss, cross table, worst images. NumPy; no Keras."""

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

CLIP = 1e-7  # one certain mistake costs 16.1, not infinity: Keras' own epsilon
SUM_TOLERANCE = 1e-2  # sums of half-precision softmax rows stray from 1 by up to 0.005


@dataclass(frozen=True)
class Scores:
    """What a set of probabilities reached.

    Attributes:
        accuracy: share of images whose most probable class is their label.
        log_loss: mean of ``-log(probability of the label)``, natural logarithm.
        errors: number of images predicted wrongly.
        images: number of images.
        standard_error: of the accuracy, ``sqrt(p * (1 - p) / n)``: what another sample of as many
            images would move it by. It does not hold the spread between training seeds.

    """

    accuracy: float
    log_loss: float
    errors: int
    images: int
    standard_error: float


@dataclass(frozen=True)
class WorstImage:
    """An image, and how probable its own label was thought to be."""

    id: int
    label: int
    predicted: int
    probability_of_label: float
    probability_of_predicted: float


@dataclass(frozen=True)
class Bin:
    """The images whose predicted class was given a probability in ``(lowest, highest]``.

    Attributes:
        lowest: end of the interval.
        highest: the other end.
        images: how many there are, at least one.
        confidence: mean probability of the predicted class.
        accuracy: share of the images that was predicted rightly.

    """

    lowest: float
    highest: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether a run is right as often as it is sure.

    Attributes:
        error: the expected calibration error (Guo et al. 2017): mean over the images of the
            distance between their bin's confidence and accuracy.
        bins: those that hold images, ascending.

    """

    error: float
    bins: tuple[Bin, ...]


def scores(probabilities: Floats, labels: Integers) -> Scores:
    """Return every score of ``probabilities`` (float ``[n, c]``) against ``labels`` (int ``[n]``).

    Raises:
        InputError: their shapes do not fit, or they are no probabilities or labels.

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
    """Return how many images are predicted wrongly; of tied classes the first is predicted."""
    check_labels(labels, check_probabilities(probabilities))
    return int(np.count_nonzero(probabilities.argmax(axis=1) != labels))


def log_loss(probabilities: Floats, labels: Integers) -> float:
    """Return the mean of ``-log(probability of the label)``, probabilities clipped at 1e-7."""
    return float(-np.log(np.clip(label_probabilities(probabilities, labels), CLIP, 1)).mean())


def label_probabilities(probabilities: Floats, labels: Integers) -> npt.NDArray[np.float64]:
    """Return float64 ``[n]``: the probability that each image's own label was given."""
    check_labels(labels, check_probabilities(probabilities))
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def confusion_matrix(
    probabilities: Floats, labels: Integers, class_names: Sequence[str]
) -> "pd.DataFrame":
    """Return counts of images: a row a label, a column a prediction, every class shown.

    What ``pandas.crosstab(labels, predictions, rownames=["Label"], colnames=["predict"])`` shows,
    but classes that never occur keep their row and column.
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
    """Return the ``count`` images whose own label was thought least probable, the worst first.

    Args:
        probabilities: float ``[n, c]``.
        labels: int ``[n]``.
        ids: int ``[n]``, what to call each image.
        count: how many, 0 or more; all of them if there are fewer.

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
    """Return how sure ``probabilities`` are against how often they are right.

    Args:
        probabilities: float ``[n, c]``.
        labels: int ``[n]``.
        bins: intervals of equal width into which 0 … 1 is cut.

    """
    check_labels(labels, check_probabilities(probabilities))
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    # An image at an edge belongs to the bin below it; rounding may have made a 1 a little more.
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
    distance = sum(one.images * abs(one.confidence - one.accuracy) for one in filled)
    return Calibration(distance / len(labels), tuple(filled))


def one_hot(predicted: Integers, classes: int) -> npt.NDArray[np.float32]:
    """Return probabilities ``[n, classes]`` that are 1 for each image's predicted class.

    So bare answers are judged by what judges probabilities. Their log loss means nothing.
    """
    check_labels(predicted, (len(predicted), classes))
    return np.eye(classes, dtype=np.float32)[predicted]


def check_probabilities(probabilities: Floats, name: str = "probabilities") -> tuple[int, int]:
    """Return (images, classes); raise InputError unless each row is a distribution."""
    least = 2
    if probabilities.ndim != least or not len(probabilities) or probabilities.shape[1] < least:
        raise InputError(
            f"received {name} of shape {probabilities.shape}. "
            "Expected [images, classes], at least one image and two classes."
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    # NaN compares as False, so these conditions name it too.
    good = (np.abs(sums - 1) <= SUM_TOLERANCE) & (probabilities.min(axis=1) >= 0)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"received {name} whose row {row} is {probabilities[row].tolist()}, sum {sums[row]:g}. "
            "Expected numbers from 0 to 1 with sum 1: a softmax, not logits; train that run again."
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
