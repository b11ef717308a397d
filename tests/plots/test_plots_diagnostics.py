"""Pictures of how a run was trained, and of how good it is."""

from math import nan
from typing import Any

import numpy as np
import pytest

from kaggle_digits import evaluation
from kaggle_digits.datasets.dataset import DIGITS
from kaggle_digits.evaluation import WorstImage
from kaggle_digits.plots import canvas, diagnostics, learning_curves
from kaggle_digits.runs.predictions import Prediction
from kaggle_digits.training.history import Epoch
from tests.figures import require_readable, words
from tests.plots.test_plots_data import CIFAR

LONG = tuple(f"a class with a long name {k}" for k in range(10))


def history(epochs: int, seed: int = 0, **columns: Any) -> list[Epoch]:
    random = np.random.default_rng(seed)
    return [
        Epoch(
            **{
                "epoch": k + 1,
                "loss": 2 / (k + 1) + random.uniform(0, 0.1),
                "accuracy": 1 - 0.5 / (k + 1) ** 2,
                "val_loss": 1 / (k + 1) + random.uniform(0, 0.1),
                "val_accuracy": 1 - 0.6 / (k + 1),
                "learning_rate": 0.001,
                "seconds": 1.0,
                "images_per_second": 100.0,
            }
            | columns
        )
        for k in range(epochs)
    ]


def probabilities(images: int = 300, classes: int = 10):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, images)
    p = 0.5 * random.dirichlet(np.full(classes, 0.1), images) + 0.5 * np.eye(classes)[labels]
    return p, labels


@pytest.mark.parametrize(
    "histories",
    [
        [history(15, seed) for seed in range(5)],
        [history(1)],
        [history(3, val_loss=nan, val_accuracy=nan)],
        [history(1, seed, val_loss=nan, val_accuracy=nan) for seed in range(2)],
        [history(4, accuracy=1.0, val_accuracy=0.0)],
        [history(4, loss=1e-9, val_loss=100.0)],
        [history(4, loss=0.0, val_loss=0.0)],
        [history(200)],
    ],
    ids=["five", "one epoch", "nan", "one of nan", "1 and 0", "far apart", "no loss", "long"],
)
def test_learning_curves_are_readable_and_within_their_axes(histories):
    figure = learning_curves.learning_curves(histories, "A note.")
    require_readable(figure)
    for axes in figure.axes:
        low, high = sorted(axes.get_ylim())
        for line in axes.lines:
            values = np.asarray(line.get_ydata())
            assert ((values >= low) & (values <= high)).all()
            epochs = np.arange(1, len(histories[0]) + 1)
            assert np.array_equal(np.asarray(line.get_xdata()), epochs)
        assert all(text.get_text().isdigit() for text in axes.get_xticklabels())


def test_learning_curves_show_every_fold_and_their_mean():
    histories = [history(6, seed) for seed in range(3)]
    figure = learning_curves.learning_curves(histories, "")
    losses = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines]
    expected = np.array([[epoch.loss for epoch in history] for history in histories])
    assert len(losses) == 8  # three folds and their mean, twice
    assert np.allclose(losses[:3], expected)
    assert np.allclose(losses[3], expected.mean(axis=0))
    texts = words(figure)
    assert f"last epoch: training {expected[:, -1].mean():.4f}" in texts[-1] + " ".join(texts)
    assert "held-out images, mean" in texts
    assert "each of 3 folds" in texts


def test_accuracies_are_read_off_the_axis_as_accuracies():
    figure = learning_curves.learning_curves([history(2, accuracy=0.99, val_accuracy=0.95)], "")
    axes = figure.axes[1]
    read = [text.get_text() for text in axes.get_yticklabels()]
    assert list(axes.get_yticks()) == pytest.approx([0.01, 0.02, 0.05])
    assert read == ["0.99", "0.98", "0.95"]
    assert axes.yaxis_inverted()


def test_an_accuracy_of_1_is_at_the_end_called_1():
    axes = learning_curves.learning_curves([history(2, accuracy=1.0, val_accuracy=0.95)], "").axes[
        1
    ]
    assert np.asarray(axes.lines[0].get_ydata())[0] == min(axes.get_ylim())
    assert axes.get_yticklabels()[0].get_text() == "1"


def test_without_held_out_images_there_is_one_curve():
    figure = learning_curves.learning_curves([history(3, val_loss=nan, val_accuracy=nan)], "")
    assert "training images (none held out)" in words(figure)
    assert all(len(axes.lines) == 2 for axes in figure.axes)
    assert not any("nan" in text for text in words(figure))


@pytest.mark.parametrize("names", [DIGITS, CIFAR, LONG, ("yes", "no")])
def test_judgements_are_readable(names):
    p, labels = probabilities(classes=len(names))
    table = evaluation.confusion_matrix(p, labels, names).to_numpy()
    require_readable(diagnostics.confusion(table * 91, names, "images"))
    require_readable(diagnostics.reliability(evaluation.calibration(p, labels), "300 images"))
    grey, colour = np.zeros((28, 28, 1), np.uint8), np.zeros((32, 32, 3), np.uint8)
    answers = [(Prediction(41000 + k, p[k], int(labels[k])), grey) for k in range(3)]
    answers += [(Prediction(41000 + k, p[k], int(labels[k])), colour) for k in range(3, 7)]
    ids = np.arange(41000, 41000 + len(p))
    worst = evaluation.find_worst_images(p, labels, ids, 7)
    pixels = [image for _, image in answers]
    pictures = list(zip(worst, pixels, strict=True))
    require_readable(diagnostics.worst_images(pictures, names, "300 images"))
    require_readable(diagnostics.answer(*answers[0], names, "of a run"))
    require_readable(diagnostics.answer(*answers[-1], names, "of a run"))
    unknown = diagnostics.answer(Prediction(1, p[0], None), grey, names, "of a run")
    require_readable(unknown)
    assert "label unknown" in words(unknown)[0]


def test_right_answers_do_not_drown_the_errors():
    table = np.diag([5000] * 10)
    table[4, 9] = 7
    figure = diagnostics.confusion(table, DIGITS, "images")
    colours = figure.axes[0].images[0]
    assert np.asarray(colours.get_array()).max() == 7
    assert colours.get_clim() == (0, 7)
    texts = words(figure)
    assert "7 errors in 50,007 images" in texts
    assert "4 → 9" in texts
    assert "0.14 %" in texts


def test_a_run_without_errors_has_its_pictures():
    labels = np.arange(10)
    p = np.eye(10)
    table = evaluation.confusion_matrix(p, labels, DIGITS).to_numpy()
    require_readable(diagnostics.confusion(table, DIGITS, "images"))
    require_readable(diagnostics.reliability(evaluation.calibration(p, labels), "10 images"))


def test_a_worst_image_has_its_label_its_prediction_and_their_probabilities():
    one = WorstImage(17, 3, 8, probability_of_label=0.1, probability_of_predicted=0.5)
    figure = diagnostics.worst_images([(one, np.zeros((28, 28, 1), np.uint8))], CIFAR, "20 images")
    assert words(figure)[2:] == ["id 17", "label", "cat", "0.100", "pred.", "ship", "0.500"]


def test_the_answer_shows_every_class():
    p = np.full(10, 0.05)
    p[[3, 8]] = 0.1, 0.5
    figure = diagnostics.answer(
        Prediction(17, p, 3), np.zeros((28, 28, 1), np.uint8), CIFAR, "of a run"
    )
    bars = figure.axes[1]
    assert [text.get_text().split() for text in bars.texts] == [
        ["0.0500"], ["0.0500"], ["0.0500"], ["0.1000", "label"], ["0.0500"], ["0.0500"],
        ["0.0500"], ["0.0500"], ["0.5000", "predicted"], ["0.0500"],
    ]  # fmt: skip
    assert {"airplane", "truck"} <= set(words(figure))


def test_svg_and_png_are_the_same_each_time(tmp_path):
    p, labels = probabilities()
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        figure = diagnostics.reliability(evaluation.calibration(p, labels), "300 images")
        canvas.save(tmp_path / name, figure)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
