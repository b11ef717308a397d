"""Scores agree with scikit-learn's and pandas', and what is no probability is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from kaggle_digits import evaluation
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation.metrics import CLIP

CLASSES = [str(digit) for digit in range(10)]


def random_probabilities(seed: int, images: int = 200, dtype: Any = np.float64) -> Any:
    return np.random.default_rng(seed).dirichlet(np.full(10, 0.3), images).astype(dtype)


def random_labels(seed: int, images: int = 200) -> Any:
    return np.random.default_rng(seed + 1000).integers(0, 10, images).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_scikit_learns(seed: int, dtype: Any) -> None:
    p, y = random_probabilities(seed, dtype=dtype), random_labels(seed)
    clipped = np.clip(p.astype(np.float64), CLIP, 1)
    found = evaluation.scores(p, y)
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(y, p.argmax(axis=1)))
    # scikit-learn divides by the sum of the clipped row, which is 1 to about 1e-6 here.
    expected = sklearn_metrics.log_loss(
        y, clipped / clipped.sum(axis=1, keepdims=True), labels=range(10)
    )
    assert found.log_loss == pytest.approx(expected, abs=1e-5)
    assert found.errors == (p.argmax(axis=1) != y).sum()
    assert found.images == 200
    assert found.standard_error == pytest.approx(
        np.sqrt(found.accuracy * (1 - found.accuracy) / 200)
    )
    assert found.accuracy == evaluation.accuracy(p, y)


def test_a_certain_mistake_costs_the_clipped_logarithm() -> None:
    p = np.eye(10, dtype=np.float32)[[3]]
    assert evaluation.log_loss(p, np.array([4])) == pytest.approx(-np.log(1e-7))
    assert evaluation.log_loss(p, np.array([3])) == 0


def test_half_precision_rows_are_probabilities() -> None:
    p = random_probabilities(0, dtype=np.float16)
    assert evaluation.accuracy(p, p.argmax(axis=1)) == 1


def test_the_confusion_matrix_is_that_of_pandas() -> None:
    p, y = random_probabilities(0, images=2000), random_labels(0, images=2000)
    expected = pd.crosstab(y, p.argmax(axis=1), rownames=["Label"], colnames=["predict"])
    found = evaluation.confusion_matrix(p, y, CLASSES)
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()
    assert (found.index.name, found.columns.name) == ("Label", "predict")
    assert list(found.index) == list(found.columns) == CLASSES


def test_the_confusion_matrix_shows_classes_that_never_occur() -> None:
    found = evaluation.confusion_matrix(np.eye(3)[[0, 0, 1]], np.array([0, 1, 1]), ["a", "b", "c"])
    assert found.to_numpy().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_confusion_matrix_refuses_other_class_names() -> None:
    with pytest.raises(InputError, match=r"received 2 class names. Expected one for each"):
        evaluation.confusion_matrix(random_probabilities(0), random_labels(0), ["a", "b"])


def test_the_worst_image_is_the_one_whose_label_was_least_probable() -> None:
    p = np.array([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875]], np.float32)
    found = evaluation.find_worst_images(
        p, labels=np.array([0, 0, 1]), ids=np.array([7, 8, 9]), count=2
    )
    assert found == (
        evaluation.WorstImage(8, 0, 1, 0.25, 0.75),
        evaluation.WorstImage(7, 0, 0, 0.5, 0.5),
    )
    assert (
        len(evaluation.find_worst_images(p, np.array([0, 0, 1]), np.array([7, 8, 9]), count=99))
        == 3
    )
    assert evaluation.find_worst_images(p, np.array([0, 0, 1]), np.array([7, 8, 9]), count=0) == ()


def test_worst_refuses_other_counts() -> None:
    p, y = random_probabilities(0), random_labels(0)
    with pytest.raises(InputError, match="received 3 ids and 200 labels"):
        evaluation.find_worst_images(p, y, np.arange(3), count=1)
    with pytest.raises(InputError, match="received -1 as the number of images"):
        evaluation.find_worst_images(p, y, np.arange(200), count=-1)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.ones(3), r"received probabilities of shape \(3,\). Expected \[images, classes\]"),
        (np.empty((0, 10)), r"received probabilities of shape \(0, 10\)"),
        (np.ones((3, 1)), r"received probabilities of shape \(3, 1\)"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), r"row 1 is \[nan, 1.0\], sum nan. Expected numbers"),
        (np.array([[0.5, 0.6]]), r"row 0 is \[0.5, 0.6\], sum 1.1"),
        (np.array([[-0.5, 1.5]]), r"row 0 is \[-0.5, 1.5\], sum 1. .*not logits"),
        (np.array([[np.inf, 0.5]]), r"row 0 is \[inf, 0.5\], sum inf"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluation.scores(probabilities, np.zeros(len(probabilities), int))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3, int), r"received labels of shape \(3,\) .* of shape \(200,\)"),
        (np.zeros((200, 10), int), r"received labels of shape \(200, 10\)"),
        (np.zeros(200), r"type float64. Expected whole numbers"),
        (np.full(200, 10), r"received the label 10. Expected 0 to 9"),
        (np.full(200, -1), r"received the label -1. Expected 0 to 9"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, message: str) -> None:
    for score in (evaluation.accuracy, evaluation.errors, evaluation.log_loss, evaluation.scores):
        with pytest.raises(InputError, match=message):
            score(random_probabilities(0), labels)


def test_calibration_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]], np.float64)
    found = evaluation.calibration(p, np.array([0, 0, 0, 1, 1]), bins=5)
    assert [(bin_.lowest, bin_.highest, bin_.images) for bin_ in found.bins] == [
        (0.4, 0.6, 1),
        (0.6, 0.8, 2),
        (0.8, 1.0, 2),
    ]
    assert [bin_.confidence for bin_ in found.bins] == pytest.approx([0.6, 0.8, 0.95])
    assert [bin_.accuracy for bin_ in found.bins] == pytest.approx([1, 0.5, 1])
    assert found.error == pytest.approx((0.4 + 2 * 0.3 + 2 * 0.05) / 5)


def test_who_is_right_as_often_as_sure_has_no_calibration_error() -> None:
    p = np.tile([[0.75, 0.25]], (4, 1))
    assert evaluation.calibration(p, np.array([0, 0, 0, 1])).error == pytest.approx(0)
    assert evaluation.calibration(np.eye(3), np.arange(3)).error == 0


def test_calibration_takes_float32_rows_that_sum_to_a_little_more_than_1() -> None:
    p = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]], np.float32)
    assert evaluation.calibration(p, np.array([0])).bins[0].highest == 1
