"""Every recipe on the other backends: it trains there, and the same weights say the same."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.backend import seed_everything, start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.recipes import RECIPES, Recipe
from kaggle_digits.training import fit, predicting

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
