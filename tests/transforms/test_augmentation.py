"""One affine resampling, checked against SciPy's: the same test on every backend."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from kaggle_digits.backend import start_keras
from kaggle_digits.recipes import RECIPES, Affine, find

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Images

STRONG = Affine(rotation=20, shift=0.2, zoom=0.2, shear=10)
CHUNK = 4096


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


def augmented(images: "Images", affine: Affine, rng: np.random.Generator) -> "Images":
    from kaggle_digits.transforms import augmentation

    return augmentation.augment(images, affine, rng)


def maps(affine: Affine, draws: np.ndarray, size: tuple[int, int] = (28, 28)) -> np.ndarray:
    from keras import ops

    from kaggle_digits.transforms.augmentation import make_maps

    return np.asarray(ops.convert_to_numpy(make_maps(affine, draws, size)))


def draws(count: int, seed: int) -> np.ndarray:
    from kaggle_digits.transforms.augmentation import draw_numbers

    return draw_numbers(count, np.random.default_rng(seed))


def digits(count: int) -> np.ndarray:
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, 6:22, 12:16] = 255  # a one …
    images[:, 6:10, 10:16] = 200  # … with a flag, so that no turn of it looks like another
    return images


@pytest.mark.parametrize("fill", ["constant", "nearest"])
@pytest.mark.parametrize("flip", [False, True])
def test_agrees_with_scipy(fill, flip):
    affine = replace(STRONG, fill=fill, flip=flip)
    images = digits(16) if fill == "constant" else photographs(16)
    moved = augmented(images, affine, np.random.default_rng(3))
    for image, result, row in zip(images, moved, maps(affine, draws(16, 3)), strict=True):
        a0, a1, a2, b0, b1, b2, *_ = row
        for channel in range(image.shape[-1]):
            # scipy's coordinates are (row, column): (y, x)
            expected = ndimage.affine_transform(
                image[..., channel].astype(np.float32),
                [[b1, b0], [a1, a0]],
                [b2, a2],
                order=1,
                mode=fill,
            )
            difference = np.abs(result[..., channel] - expected)
            # Scipy cuts off a pixel's width earlier at the edges, where the digit is not.
            assert difference[1:-1, 1:-1].max() <= 1


def test_the_map_is_the_one_that_the_words_say():
    turned, mirrored, shifted, enlarged = maps(
        Affine(rotation=90, shift=0.5, zoom=0.5, flip=True),
        np.array(
            [
                [1, 0, 0, 0, 0, 1],
                [0, 0, 0, 0, 0, -1],
                [0, 0, 0, 1, -0.5, 1],
                [0, 0, 1, 0, 0, 1],
            ],
            np.float32,
        ),
        (21, 11),
    )
    np.testing.assert_allclose(turned[:6], [0, -1, 15, 1, 0, 5], atol=1e-5)
    np.testing.assert_allclose(mirrored[:6], [-1, 0, 10, 0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(shifted[:6], [1, 0, -5.5, 0, 1, 5.25], atol=1e-5)
    np.testing.assert_allclose(enlarged[:6], [2 / 3, 0, 5 / 3, 0, 2 / 3, 10 / 3], atol=1e-5)


def test_one_half_is_mirrored_and_only_where_the_recipe_says_so():
    images = digits(400)
    moved = augmented(images, Affine(flip=True), np.random.default_rng(0))
    mirrored = (moved == images[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (moved == images).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 150 < mirrored.sum() < 250
    assert not any(
        recipe.training.augmentation.flip
        for recipe in RECIPES.values()
        if recipe.training.augmentation and recipe.image_shape == (28, 28, 1)
    )


def test_nearest_leaves_no_hole():
    images = np.full((50, 32, 32, 3), 200, np.uint8)
    affine = Affine(rotation=40, shift=0.2, zoom=0.2)
    moved = augmented(images, replace(affine, fill="nearest"), np.random.default_rng(0))
    np.testing.assert_array_equal(moved, images)
    holes = augmented(images, affine, np.random.default_rng(0))
    assert (holes == 0).any()


def test_the_layer_does_nothing_outside_of_training_and_travels(tmp_path, keras):
    from kaggle_digits.transforms.augmentation import RandomAffine

    images = digits(3).astype(np.float32)
    layer = RandomAffine(rotation=20, zoom=0.2, flip=True, fill="nearest", seed=7)
    np.testing.assert_array_equal(layer(images), images)
    model = keras.Sequential([keras.Input((28, 28, 1)), layer])
    np.testing.assert_array_equal(model.predict(images, verbose=0), images)
    assert (np.asarray(model(images, training=True)) != images).any()  # draws by itself
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").layers[0]
    assert again.affine == layer.affine
    assert again.seed == 7


@pytest.mark.parametrize("name", RECIPES)
def test_no_network_holds_augmentation(name):
    layers = find(name).network().layers
    assert not any("Random" in type(layer).__name__ for layer in layers)


def photographs(count: int) -> np.ndarray:
    """Return smooth colour images that reach to the border."""
    noise = np.random.default_rng(1).uniform(0, 255, (count, 28, 28, 3))
    return np.asarray(ndimage.gaussian_filter(noise, (0, 2, 2, 0))).astype(np.uint8)


def test_no_movement_is_the_identity():
    images = digits(3)
    np.testing.assert_array_equal(augmented(images, Affine(), np.random.default_rng(0)), images)


def test_shift_moves_by_whole_pixels_at_most():
    images = np.zeros((200, 28, 28, 1), np.uint8)
    images[:, 14, 14] = 255
    moved = augmented(images, Affine(shift=0.1), np.random.default_rng(0))
    rows, columns = np.nonzero(moved.sum(axis=(0, 3)))
    assert rows.min() >= 11
    assert rows.max() <= 17
    assert columns.min() >= 11
    assert columns.max() <= 17
    assert len(np.unique(rows)) >= 5


def test_zoom_and_rotation_keep_the_centre():
    images = np.zeros((50, 29, 29, 1), np.uint8)
    images[:, 14, 14] = 255
    moved = augmented(images, Affine(rotation=45, zoom=0.2, shear=20), np.random.default_rng(0))
    assert (moved[:, 14, 14, 0] == 255).all()


def test_zoom_above_one_enlarges():
    images = digits(400)
    ink = augmented(images, Affine(zoom=0.2), np.random.default_rng(0)).sum(axis=(1, 2, 3))
    scale = 1 / maps(Affine(zoom=0.2), draws(400, 0))[:, 0]
    assert np.corrcoef(ink, scale)[0, 1] > 0.9
    assert 0.8 <= scale.min() < 0.85
    assert 1.15 < scale.max() <= 1.2


def test_same_generator_same_pictures_and_every_image_moves_differently():
    images = digits(CHUNK + 5)  # more than one chunk
    first = augmented(images, STRONG, np.random.default_rng(7))
    second = augmented(images, STRONG, np.random.default_rng(7))
    np.testing.assert_array_equal(first, second)
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    assert len(np.unique(first.reshape(len(first), -1), axis=0)) > 0.99 * len(first)


def test_mixup_blends_images_and_their_targets_alike():
    from kaggle_digits.transforms.mixup import mixup

    count, classes = CHUNK + 5, 10  # more than one chunk
    labels = np.arange(count) % classes
    images = np.repeat(labels[:, None, None, None] * 20, 4, axis=1).astype(np.uint8)
    targets = np.eye(classes, dtype=np.float32)[labels]
    blended, shares = mixup(images, targets, 0.4, np.random.default_rng(0))
    assert blended.shape == images.shape
    assert blended.dtype == np.uint8
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    # A grey is what its target says, to the rounding: both were blended with the same other image.
    np.testing.assert_allclose(blended[:, 0, 0, 0], shares @ (np.arange(classes) * 20), atol=0.51)
    assert (shares[np.arange(count), labels] >= 0.5 - 1e-6).all(), "the larger part is its own"
    assert 0.3 < (shares.max(axis=1) < 0.95).mean() < 0.6
    again, _ = mixup(images, targets, 0.4, np.random.default_rng(0))
    np.testing.assert_array_equal(again, blended)
