"""The networks are those of the source documents, layer by layer."""

import numpy as np
import pytest

from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import RECIPES, find

# type and output shape of the document's 20 layers; `Activation` stands for ReLU and softmax
LAYERS = [
    ("Conv2D", (26, 26, 32)),
    ("Activation", (26, 26, 32)),
    ("BatchNormalization", (26, 26, 32)),
    ("MaxPooling2D", (13, 13, 32)),
    ("ZeroPadding2D", (15, 15, 32)),
    ("Conv2D", (13, 13, 48)),
    ("Activation", (13, 13, 48)),
    ("BatchNormalization", (13, 13, 48)),
    ("MaxPooling2D", (6, 6, 48)),
    ("ZeroPadding2D", (8, 8, 48)),
    ("Conv2D", (7, 7, 64)),
    ("Activation", (7, 7, 64)),
    ("BatchNormalization", (7, 7, 64)),
    ("MaxPooling2D", (3, 3, 64)),
    ("Dropout", (3, 3, 64)),
    ("Flatten", (576,)),
    ("Dense", (3168,)),
    ("Activation", (3168,)),
    ("Dense", (10,)),
    ("Activation", (10,)),
]


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.mark.parametrize(
    ("name", "activation", "axis", "parameters"),
    [
        ("bn20", "relu", 3, 1_886_746),
        ("bn20-seed", "relu", 1, 1_886_354),
        ("bn20-selu", "selu", 3, 1_886_746),
    ],
)
def test_the_20_layers(name, activation, axis, parameters):
    model = find(name).network()
    scaling, *layers = model.layers
    assert type(scaling).__name__ == "Rescaling"
    assert [(type(layer).__name__, layer.output.shape[1:]) for layer in layers] == LAYERS
    assert model.count_params() == parameters
    activations = [layer.activation.__name__ for layer in layers if hasattr(layer, "activation")]
    assert activations == ["linear", activation] * 4 + ["linear", "softmax"]
    normalisations = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    assert [layer.axis % 4 for layer in normalisations] == [axis] * 3
    assert [layer.epsilon for layer in normalisations] == [1e-6] * 3
    dropout = next(layer for layer in layers if type(layer).__name__ == "Dropout")
    assert dropout.rate == 0.25


def test_selu_starts_lecun_normal():
    kernels = [
        layer.kernel_initializer
        for layer in find("bn20-selu").network().layers
        if hasattr(layer, "kernel_initializer")
    ]
    names = [type(kernel).__name__ for kernel in kernels]
    assert names == ["LecunNormal"] * 4 + ["GlorotUniform"]


def test_the_seed_is_trained_to_the_letter():
    training = find("bn20-seed").training
    assert (training.optimizer, training.learning_rate) == ("rmsprop", 1e-3)
    assert (training.schedule, training.batch_size, training.epochs) == ("constant", 64, 50)
    assert training.augmentation is None
    assert training.label_smoothing == 0


@pytest.mark.parametrize("name", RECIPES)
def test_takes_uint8_and_gives_probabilities(name):
    recipe = find(name)
    images = np.random.default_rng(0).integers(0, 256, (3, *recipe.image_shape), dtype=np.uint8)
    probabilities = recipe.network().predict(images, verbose=0)
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_scaling_is_inside_the_model():
    model = find("bn20").network()
    scaled = model.layers[0](np.full((1, 28, 28, 1), 255, np.uint8))
    np.testing.assert_allclose(scaled, 1.0, rtol=1e-6)


def test_unknown_recipe_names_those_there_are():
    with pytest.raises(InputError, match=r"unknown recipe 'bn2'.*bn20, bn20-seed, bn20-selu.*mean"):
        find("bn2")
