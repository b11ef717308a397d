"""Check a user's network before hours of training: shapes, probabilities, saving."""

import json
from typing import Any

import numpy as np

from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import DIGITS, Dataset, Images
from kaggle_digits.errors import InputError, out_of_memory
from kaggle_digits.formats import keras_architecture
from kaggle_digits.recipes.loading import describe_fault
from kaggle_digits.recipes.recipe import Recipe

GET_CONFIG = "Give each custom layer a get_config() with all arguments of its __init__."
# In bright images a network without Rescaling is certain of a class, whatever a layer does.
CONTRASTS = np.array([1, 4, 16, 64, 255], np.float32)
MAX_ROUNDING = 1e-4  # between two predictions of the same images
MAX_SUM_ERROR = 0.01  # of ten probabilities; a bfloat16 output layer is off by 0.004


def require_shape(recipe: Recipe, images: Images) -> None:
    """Raise an InputError unless ``recipe`` takes images of this shape."""
    shape = images.shape[1:]
    if shape != recipe.image_shape:
        raise InputError(
            f"recipe {recipe.name!r} takes images of {recipe.image_shape}; the data has {shape}. "
            "Choose a recipe for this shape: `kaggle-digits recipes` lists them."
        )


def require_classes(recipe: Recipe, train: Dataset) -> None:
    """Raise an InputError if ``recipe`` is built in and the data has not ten classes."""
    classes = len(train.class_names)
    is_built_in = not recipe.file
    if is_built_in and classes != len(DIGITS):
        raise InputError(
            f"recipe {recipe.name!r} distinguishes {len(DIGITS)} classes; the data has {classes}. "
            "Write a recipe file whose network ends with "
            f'layers.Dense({classes}, activation="softmax"), and give its path.'
        )


def check_network(recipe: Recipe, classes: int | None = None) -> None:
    """Build the recipe's network and its copy from the saved description, and predict with both.

    Args:
        recipe: a recipe from a file.
        classes: number of classes in the data; None accepts any number.

    Raises:
        InputError: the network cannot be built; its input is not `Recipe.image_shape`; its output
            is not the probabilities of ``classes`` classes; it has nothing to train; or the copy
            cannot be loaded or predicts other probabilities.

    """
    assert recipe.file is not None  # noqa: S101 — built-in networks have tests instead
    try:
        network = recipe.network()
    except Exception as error:
        raise InputError(describe_fault(error, recipe.file)) from error
    where = _where(recipe)
    _require_model(network, recipe, classes, where)
    loaded = _load_copy(network, where)
    _require_probabilities(network, recipe, where)
    _require_trainable(network, where)
    _require_equal(network, loaded, recipe, where)


def _where(recipe: Recipe) -> str:
    line = _line(recipe)
    return f"{recipe.file}, line {line}" if line else f"{recipe.file}, the network"


def _line(recipe: Recipe) -> int | None:
    """Return the line on which the network's function begins; None for other callables."""
    code = getattr(recipe.network, "__code__", None)
    return code.co_firstlineno if code else None


def _require_model(network: Any, recipe: Recipe, classes: int | None, where: str) -> None:
    keras = start_keras()

    if not isinstance(network, keras.Model):
        returned = f"a {type(network).__name__}"
        if network is None:
            returned = "nothing"
        raise InputError(
            f"{where}: network() returns {returned}. Expected a Keras model: end "
            "it with `return keras.Sequential([...])` or `return keras.Model(inputs, outputs)`."
        )
    if not network.built or len(network.inputs) != 1 or len(network.outputs) != 1:
        raise InputError(
            f"{where}: the network's shapes are unknown, or it has several inputs or outputs. "
            f"Expected one of each: begin it with keras.Input({recipe.image_shape})."
        )
    expected_output = (classes or network.output_shape[-1],)
    for name, received, expected in (
        ("input", network.input_shape[1:], recipe.image_shape),
        ("output", network.output_shape[1:], expected_output),
    ):
        if tuple(received) != tuple(expected):
            raise InputError(
                f"{where}: the network's {name} has the shape {tuple(received)}. Expected "
                f"{tuple(expected)}, one {'image' if name == 'input' else 'probability per class'}."
            )


def _require_trainable(network: Any, where: str) -> None:
    if not network.trainable_weights:
        raise InputError(
            f"{where}: the network has no weights to train. Expected at least one layer with "
            "weights and without trainable=False."
        )


def _load_copy(network: Any, where: str) -> Any:
    """Build the network from its saved description, without its code; raise if it cannot be."""
    keras = start_keras()

    for layer in network.layers:
        kind = type(layer)
        registered = keras.saving.get_registered_name(kind)
        if not kind.__module__.startswith("keras.") and registered == kind.__name__:
            raise InputError(
                f"{where}: the layer {kind.__name__} is not registered, so a saved model could "
                "not be loaded. Write @keras.saving.register_keras_serializable() above its class."
            )
        if kind.__name__ == "Lambda":
            raise InputError(
                f"{where}: a Lambda layer saves Python code, which is not loaded again. Expected a "
                "layer class of your own, or operations of keras.ops."
            )
    try:
        keras_architecture.require_openable(where, json.loads(network.to_json()))
        return keras.models.model_from_json(network.to_json())
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{where}: the network cannot be loaded from its own description: "
            f"{type(error).__name__}: {str(error).partition('. ')[0]}. {GET_CONFIG}"
        ) from error


def _require_probabilities(network: Any, recipe: Recipe, where: str) -> None:
    images = np.zeros((2, *recipe.image_shape), np.uint8)
    images[1] = 255
    weights = [len(layer.weights) for layer in network.layers]
    try:
        answers = np.asarray(network.predict(images, verbose=0), np.float32)
    except Exception as error:
        if (memory := out_of_memory(error)) is not None:
            raise memory from error
        assert recipe.file is not None  # noqa: S101 — `check_network` is for recipes from files
        raise InputError(describe_fault(error, recipe.file, _line(recipe))) from error
    for layer, before in zip(network.layers, weights, strict=True):
        if len(layer.weights) != before:
            raise InputError(
                f"{where}: the layer {type(layer).__name__} creates weights when it is first "
                "called, too late for the optimizer. Expected build() to create all weights: call "
                "self.inner.build(shape) there for each inner layer."
            )
    sums = answers.sum(axis=1)
    if not np.isfinite(answers).all() or (answers < 0).any() or abs(sums - 1).max() > MAX_SUM_ERROR:
        raise InputError(
            f"{where}: for a blank image the network returns {np.round(answers[0], 3).tolist()}, "
            "which are not probabilities. Expected ten numbers from 0 to 1 with the sum 1: end it "
            'with layers.Dense(10, activation="softmax").'
        )


def _require_equal(network: Any, loaded: Any, recipe: Recipe, where: str) -> None:
    """Raise unless the copy predicts the same: an argument that `get_config` lacks has changed."""
    noise = np.random.default_rng(0).random((len(CONTRASTS), *recipe.image_shape), np.float32)
    images = noise * np.reshape(CONTRASTS, (-1, 1, 1, 1))
    try:
        loaded.set_weights(network.get_weights())
    except ValueError as error:  # weights of other shapes
        raise InputError(
            f"{where}: the network that is loaded from its own description has other weights. "
            f"{GET_CONFIG}"
        ) from error
    once, again, of_copy = (
        np.asarray(model.predict_on_batch(images), np.float32)
        for model in (network, network, loaded)
    )
    # A network may be random by intent, such as with dropout in predictions.
    is_random = abs(once - again).max() > MAX_ROUNDING
    if not is_random and abs(once - of_copy).max() > MAX_SUM_ERROR:
        raise InputError(
            f"{where}: the network that is loaded from its own description predicts other "
            f"probabilities. {GET_CONFIG}"
        )
