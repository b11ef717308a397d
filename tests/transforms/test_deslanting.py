"""What is slanted stands up, what is narrow widens, and a saved model does so by itself."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from kaggle_digits.backend import start_keras
from kaggle_digits.cli import recipes
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.recipes import RECIPES, find
from kaggle_digits.training import fit
from kaggle_digits.transforms.deslanting import Deslant, deslant_images, deslant_tensor

ROWS = np.arange(28)


def bar(slant: float, width: int = 3) -> np.ndarray:
    """Return a bar 20 pixels high, its rows ``slant`` pixels apart, uint8 [1, 28, 28, 1]."""
    image = np.zeros((28, 28), np.float64)
    for row in range(4, 24):
        left = 12 + slant * (row - 13.5)
        inside = np.clip(ROWS + 1 - left, 0, 1) * np.clip(left + width - ROWS, 0, 1)
        image[row] = 255 * inside
    return np.rint(image).astype(np.uint8)[None, :, :, None]


def slant_of(image: np.ndarray) -> float:
    ink = image[0, :, :, 0].astype(np.float64)
    middles = (ink * ROWS).sum(axis=1)[4:24] / ink.sum(axis=1)[4:24]
    return float(np.polyfit(range(20), middles, 1)[0])


def moved(images: np.ndarray, width: float | None = None) -> np.ndarray:
    start_keras()
    return np.asarray(deslant_tensor(images, Deslant(width)))


@pytest.mark.parametrize("slant", [-0.6, -0.2, 0.0, 0.3, 0.5])
def test_what_is_slanted_stands_up_and_keeps_its_ink(slant):
    image = bar(slant)
    assert slant_of(image) == pytest.approx(slant, abs=0.02)
    stood_up = moved(image)
    assert slant_of(stood_up) == pytest.approx(0, abs=0.02)
    assert stood_up.sum() == pytest.approx(image.sum(), rel=0.01)


def test_an_upright_image_stays_as_it_is():
    np.testing.assert_allclose(moved(bar(0)), bar(0), atol=0.1)


@pytest.mark.parametrize("slant", [0.0, 0.2])
@pytest.mark.parametrize("width", [7, 9, 19])
def test_every_digit_becomes_as_wide_and_stands_in_the_middle(width, slant):
    ink = moved(bar(slant, width), width=14)[0, :, :, 0]
    columns = np.flatnonzero((ink > 127).sum(axis=0) > 10)
    assert columns[-1] - columns[0] + 1 == pytest.approx(14, abs=2)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(13.5, abs=0.6)


def test_a_stroke_does_not_become_a_bar():
    ink = moved(bar(0, width=1), width=14)[0, :, :, 0]
    assert (ink.max(axis=0) > 60).sum() <= 4


@pytest.mark.parametrize("width", [None, 14])
def test_empty_and_full_images_are_images(width):
    both = np.stack([np.zeros((28, 28, 1), np.uint8), np.full((28, 28, 1), 255, np.uint8)])
    empty, full = moved(both, width)
    assert empty.max() == 0
    assert np.isfinite(full).all()
    assert full.min() >= 0
    assert full.max() == pytest.approx(255)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.deslant])
def test_a_complete_model_says_what_its_network_says_of_deslanted_images(name, tmp_path):
    keras = start_keras()
    recipe = find(name)
    images = np.concatenate([bar(slant, width) for slant in (-0.3, 0.4) for width in (2, 9)])
    complete = recipe.complete()
    network = recipe.network()
    network.set_weights(complete.get_weights())
    said = complete.predict(images, verbose=0)
    given = deslant_images(images, recipe.deslant)  # rounded, as for training
    np.testing.assert_allclose(network.predict(given, verbose=0), said, atol=1e-4)
    assert np.abs(network.predict(images, verbose=0) - said).max() > 1e-3
    for row in range(4):  # a single image is no special case
        np.testing.assert_allclose(complete(images[row : row + 1])[0], said[row], atol=1e-5)
    complete.save(tmp_path / "model.keras")  # of Keras's own operations: safe mode opens it
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again.predict(images, verbose=0), said)


def test_training_distorts_deslanted_images(monkeypatch, tmp_path):
    from kaggle_digits.transforms import augmentation  # starts Keras

    given = []

    def kept(images, affine, rng):
        del affine, rng
        given.append(images)
        return images

    monkeypatch.setattr(augmentation, "augment", kept)
    recipe = find("record-width")
    images = np.concatenate([bar(0.3, width) for width in range(2, 12)])
    data = Dataset(images, np.arange(10, dtype=np.uint8), np.arange(10))
    settings = replace(
        recipe.training, epochs=1, batch_size=10, final_epochs_without_augmentation=0, mixup=0.0
    )
    model, _ = fit.train_model(
        recipe, settings, data, data, seed=(0,), folder=tmp_path, watcher=fit.NullFoldCallback()
    )
    seen = deslant_images(images, recipe.deslant)
    order = [int(np.flatnonzero((seen == one).all((1, 2, 3)))[0]) for one in given[0]]
    assert sorted(order) == list(range(10))
    network = recipe.network()
    network.set_weights(model.network.get_weights())
    expected = network.predict(seen, verbose=0)
    np.testing.assert_allclose(model.predict(images), expected, atol=1e-4)
    assert np.abs(network.predict(images, verbose=0) - expected).max() > 1e-3


def test_recipes_shows_it(capsys):
    recipes.command("record-width")
    assert re.search(r"^deslant +width 14$", capsys.readouterr().out, re.MULTILINE)
    recipes.command("record-deslanted", json=True)
    assert json.loads(capsys.readouterr().out)["deslant"] == {"width": None}
    recipes.command("record-5")
    assert re.search(r"^deslant +none$", capsys.readouterr().out, re.MULTILINE)
