"""Runs without training, for tests of what lies around it."""

import contextlib
import math

import numpy as np
import pytest

from kaggle_digits.backend import start_keras
from kaggle_digits.recipes import recipe
from kaggle_digits.training import fit, predicting
from kaggle_digits.training.executors import choosing, in_process
from kaggle_digits.training.history import Epoch


def tiny_network(shape, units):
    """Return the smallest network with the recipe's shapes."""
    layers = start_keras().layers
    flat = [layers.AveragePooling2D(7), layers.Flatten(), layers.Dense(units)]
    return recipe.sequential(shape, [*flat, layers.Dense(10, activation="softmax")])


@contextlib.contextmanager
def training_takes_no_time():
    """Let epochs change nothing, and let a matrix answer in a network's place.

    Runs, files, checks and messages are real; the training has tests of its own.
    """

    def train_epoch(_models, _training, train, held_out, seed, watcher):
        watcher.images_trained(len(train))
        unknown = 0.0 if held_out is not None else math.nan
        return Epoch(seed[-1], 1.0, 0.5, 1.0 + unknown, 0.5 + unknown, 1e-3, 0.1, 1000.0)

    def predict_probabilities(model, images):
        total = sum(float(np.abs(weights).sum()) for weights in model.get_weights())
        random = np.random.default_rng(int(total * 1000))
        flat = images.reshape(len(images), -1)[:, ::7].astype(np.float32) / 255
        logits = flat @ random.normal(size=(flat.shape[1], 10)).astype(np.float32)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    with pytest.MonkeyPatch.context() as patch:
        # Stay in this process.
        patch.setattr(in_process, "can_compute_with", lambda _: True)
        patch.setattr(choosing, "count_jobs", lambda *_: 1)
        patch.setattr(fit, "_train_epoch", train_epoch)
        patch.setattr(predicting, "predict_probabilities", predict_probabilities)
        yield
