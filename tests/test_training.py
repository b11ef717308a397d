"""One model on one split."""

import math
from dataclasses import replace

import numpy as np
import pytest

from kaggle_digits import training
from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import Affine, Recipe, Training
from tests import helpers

SCHEDULE = Training(
    optimizer="rmsprop",
    learning_rate=0.01,
    schedule="cosine",
    warmup_epochs=1,
    batch_size=8,
    epochs=4,
    augmentation=Affine(rotation=5),
    label_smoothing=0.1,
)


class Silent:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.found = -1
        self.counts: list[int] = []
        self.epochs: list[training.Epoch] = []

    def epochs_found(self, count: int) -> None:
        self.found = count

    def images_trained(self, count: int) -> None:
        self.counts.append(count)

    def epoch_done(self, epoch: training.Epoch) -> None:
        self.epochs.append(epoch)


def small_network():
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28, 1), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


RECIPE = Recipe("small", "", "", "", small_network, SCHEDULE)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.fixture(scope="module")
def data():
    images = helpers.images(60).reshape(-1, 28, 28, 1)
    return Dataset(images, helpers.labels(60), np.arange(1, 61))


def fitted(data, folder, settings=SCHEDULE, seed=(0, 1), held_out=None):
    folder.mkdir(exist_ok=True)
    watcher = Silent()
    model, history = training.fit(
        RECIPE, settings, data, held_out, seed=seed, folder=folder, watcher=watcher
    )
    return model, history, watcher


def weights(model) -> bytes:
    return b"".join(weight.tobytes() for weight in model.get_weights())


def test_learning_rate_rises_for_an_epoch_and_falls_to_zero(data, tmp_path):
    _, history, _ = fitted(data, tmp_path)
    rates = [epoch.learning_rate for epoch in history]
    assert rates[0] == pytest.approx(0.01, rel=0.02)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_constant_learning_rate_without_held_out_images(data, tmp_path):
    settings = replace(SCHEDULE, schedule="constant", epochs=2)
    _, history, _ = fitted(data, tmp_path, settings)
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.01, 0.01])
    assert all(math.isnan(epoch.val_loss) for epoch in history)


def test_the_watcher_sees_every_image_and_epoch(data, tmp_path):
    _, history, watcher = fitted(data, tmp_path, held_out=data)
    assert watcher.found == 0
    assert watcher.epochs == history == training.read_history(tmp_path / "history.csv")
    assert max(watcher.counts) == len(data)
    assert history[-1].val_accuracy == pytest.approx(1.0, abs=0.5)
    assert history[-1].loss < history[0].loss


def test_same_seed_same_weights_and_another_seed_others(data, tmp_path):
    first = weights(fitted(data, tmp_path / "a")[0])
    assert weights(fitted(data, tmp_path / "b")[0]) == first
    assert weights(fitted(data, tmp_path / "c", seed=(0, 2))[0]) != first


def test_goes_on_after_the_last_checkpoint(data, tmp_path, monkeypatch):
    whole = weights(fitted(data, tmp_path / "whole")[0])
    real = training._trained_epoch

    def broken(model, settings, train, held_out, seed, watcher):
        if seed[-1] == 3:
            raise KeyboardInterrupt
        return real(model, settings, train, held_out, seed, watcher)

    monkeypatch.setattr(training, "_trained_epoch", broken)
    with pytest.raises(KeyboardInterrupt):
        fitted(data, tmp_path / "broken")
    monkeypatch.undo()
    # A row that was written before its checkpoint could be: the epoch is trained again.
    history = tmp_path / "broken" / "history.csv"
    rows = history.read_text()
    history.write_text(rows + rows.splitlines()[-1].replace("2,", "3,", 1) + "\n")
    model, epochs, watcher = fitted(data, tmp_path / "broken")
    assert watcher.found == 2
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert weights(model) == whole


def test_divergence_is_named(data, tmp_path):
    settings = replace(SCHEDULE, learning_rate=math.inf, schedule="constant")
    with pytest.raises(InputError, match=r"the loss is nan in epoch \d: training diverged"):
        fitted(data, tmp_path, settings)
    assert not (tmp_path / "checkpoint.keras").exists()


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 broken"])
def test_a_damaged_model_is_named(content, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.keras is not a model that can be read"):
        training.loaded(path)


def test_a_model_with_code_in_it_is_refused(tmp_path, keras):
    path = tmp_path / "model.keras"
    layer = keras.layers.Lambda(lambda x: x)
    keras.Sequential([keras.Input((2,)), layer]).save(path)
    with pytest.raises(InputError, match="is not a model that can be read"):
        training.loaded(path)


def test_a_saved_model_is_complete_by_itself(data, tmp_path, keras):
    model, *_ = fitted(data, tmp_path)
    model.save(tmp_path / "model.keras", include_optimizer=False)
    again = training.loaded(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        training.probabilities_of(model, data.images), training.probabilities_of(again, data.images)
    )
    assert keras.backend.standardize_dtype(again.inputs[0].dtype) == "uint8"


def test_adamw_without_weight_decay(data, tmp_path):
    settings = replace(SCHEDULE, optimizer="adamw", epochs=1, weight_decay=0.0)
    model, *_ = fitted(data, tmp_path, settings)
    assert model.optimizer.weight_decay == 0
