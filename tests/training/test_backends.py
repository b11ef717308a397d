"""Every recipe on the other backends: it trains there, and the same weights say the same."""

import importlib.util
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kaggle_digits.backend import seed_everything, start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.formats import keras_architecture
from kaggle_digits.recipes import RECIPES, Recipe, find
from kaggle_digits.training import fit, predicting
from tests import own_network

IMAGES = 24
TOLERANCE = 1e-4


def images_for(recipe: Recipe) -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, *recipe.image_shape), np.uint8)
    return Dataset(images, (np.arange(IMAGES) % 10).astype(np.uint8), np.arange(IMAGES))


def leave_predictions(folder: Path, steps: int) -> None:
    """Write what each recipe's network in ``folder`` says, then train it for ``steps`` steps."""
    start_keras()
    backend = os.environ["KERAS_BACKEND"]
    for name, recipe in RECIPES.items():
        data = images_for(recipe)
        network = predicting.load_model(folder / f"{name}.keras", to_train=False)
        said = predicting.Predictor(network).predict(data.images)
        np.save(folder / f"{name}-{backend}.npy", said)
        alone = predicting.Predictor(network).predict(data.images[:1])
        np.testing.assert_allclose(alone, said[:1], atol=TOLERANCE, err_msg=name)
        settings = replace(recipe.training.over(1), batch_size=IMAGES // steps, batch_splits=2)
        own = folder / f"{name}-{backend}"
        own.mkdir()
        _, [epoch] = fit.train_model(
            recipe, settings, data, None, seed=(0,), folder=own, watcher=fit.NullFoldCallback()
        )
        assert np.isfinite(epoch.loss), name


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_recipe_trains_and_the_same_weights_say_the_same(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    start_keras()
    for name, recipe in RECIPES.items():
        seed_everything(1)
        network = recipe.complete()
        network.save(tmp_path / f"{name}.keras")
        data = images_for(recipe)
        said = predicting.Predictor(network).predict(data.images)
        np.save(tmp_path / f"{name}.npy", said)
    code = f"from {__name__} import *; leave_predictions(Path({str(tmp_path)!r}), steps=3)"
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    for name in RECIPES:
        here = np.load(tmp_path / f"{name}.npy")
        there = np.load(tmp_path / f"{name}-{backend}.npy")
        np.testing.assert_allclose(there, here, atol=TOLERANCE, err_msg=name)


def require_same_after_resuming(folder: Path) -> None:
    """Fail unless a run that stopped after an epoch ends like one that did not."""
    path = folder / "own.py"
    path.write_text(own_network.TEXT)
    recipe, real = find(str(path)), fit._train_epoch

    def stop_in_epoch_2(models, training, train, held_out, seed, watcher):
        if seed[-1] == 2:
            raise KeyboardInterrupt
        return real(models, training, train, held_out, seed, watcher)

    def train(name: str) -> list[float]:
        (folder / name).mkdir(exist_ok=True)
        _, history = fit.train_model(
            recipe,
            recipe.training.over(3),
            images_for(recipe),
            None,
            seed=(0,),
            folder=folder / name,
            watcher=fit.NullFoldCallback(),
        )
        return [epoch.loss for epoch in history]

    whole = train("whole")
    with mock.patch.object(fit, "_train_epoch", stop_in_epoch_2), suppress(KeyboardInterrupt):
        train("stopped")
    assert train("stopped") == whole


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_run_resumes_on_every_backend(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = f"from {__name__} import *; require_same_after_resuming(Path({str(tmp_path)!r}))"
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )


def test_a_run_resumes_on_tensorflow(tmp_path):
    require_same_after_resuming(tmp_path)


def test_checkpoints_of_pytorch_name_its_optimizers(monkeypatch):
    """They are Keras's own, and opened with that backend alone."""
    entry = {
        "class_name": "AdamW",
        "module": "keras.src.backend.torch.optimizers.torch_adamw",
        "registered_name": "AdamW",
        "config": {},
    }
    for backend, known in (("tensorflow", False), ("torch", True)):
        monkeypatch.setattr(keras_architecture, "backend_name", lambda backend=backend: backend)
        assert keras_architecture._is_known(entry, set()) == known
