"""The networks are those of the source documents, layer by layer."""

from typing import Any

import numpy as np
import pytest

from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import RECIPES, Affine, Training, find, find_built_in

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


def pooled_first(layers):
    """Return the list with each pooling moved to behind its convolution."""
    moved = []
    for start in (0, 5, 10):
        convolution, activation, normalisation, pooling = layers[start : start + 4]
        pooled = [(kind, pooling[1]) for kind, _ in (pooling, activation, normalisation)]
        moved += [convolution, *pooled, layers[start + 4]]
    return moved + layers[15:]


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.mark.parametrize(
    ("name", "activation", "axis", "parameters"),
    [
        ("bn20", "relu", 3, 1_886_746),
        ("bn20-original", "relu", 1, 1_886_354),
        ("bn20-selu", "selu", 3, 1_886_746),
    ],
)
def test_the_20_layers(name, activation, axis, parameters):
    model = find(name).network()
    scaling, *layers = model.layers
    assert type(scaling).__name__ == "Rescaling"
    expected = pooled_first(LAYERS) if name == "bn20" else LAYERS
    assert [(type(layer).__name__, layer.output.shape[1:]) for layer in layers] == expected
    assert model.count_params() == parameters
    activations = [layer.activation.__name__ for layer in layers if hasattr(layer, "activation")]
    assert activations == ["linear", activation] * 4 + ["linear", "softmax"]
    normalisations = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    assert [layer.axis % 4 for layer in normalisations] == [axis] * 3
    assert [layer.epsilon for layer in normalisations] == [1e-6] * 3
    dropout = next(layer for layer in layers if type(layer).__name__ == "Dropout")
    assert dropout.rate == 0.25


# The other documents' networks, as they list them: type, output shape, and what sets it apart.
OTHERS: dict[str, tuple[int, list[tuple[str, tuple[int, ...], dict[str, Any]]]]] = {
    "two-conv": (
        1_199_882,
        [
            ("Conv2D", (26, 26, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("Conv2D", (24, 24, 64), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (12, 12, 64), {"pool_size": (2, 2)}),
            ("Dropout", (12, 12, 64), {"rate": 0.25}),
            ("Flatten", (9216,), {}),
            ("Dense", (128,), {"activation": "relu"}),
            ("Dropout", (128,), {"rate": 0.5}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
    "three-conv": (
        93_322,
        [
            ("Conv2D", (26, 26, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (13, 13, 32), {"pool_size": (2, 2)}),
            ("Conv2D", (11, 11, 64), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (5, 5, 64), {"pool_size": (2, 2)}),
            ("Conv2D", (3, 3, 64), {"kernel_size": (3, 3), "activation": "relu"}),
            ("Flatten", (576,), {}),
            ("Dense", (64,), {"activation": "relu"}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
    "one-conv": (
        1_608_778,
        [
            ("Conv2D", (28, 28, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (14, 14, 32), {"pool_size": (2, 2)}),
            ("Flatten", (6272,), {}),
            ("Dense", (256,), {"activation": "relu"}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
    "dense": (
        407_050,
        [
            ("Flatten", (784,), {}),
            ("Dense", (512,), {"activation": "relu"}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
    "cifar-simple": (
        4_200_842,
        [
            ("Conv2D", (32, 32, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (16, 16, 32), {"pool_size": (2, 2)}),
            ("Dropout", (16, 16, 32), {"rate": 0.25}),
            ("Flatten", (8192,), {}),
            ("Dense", (512,), {"activation": "relu"}),
            ("Dropout", (512,), {"rate": 0.5}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
    "cifar-deep": (
        1_676_842,
        [
            ("Conv2D", (32, 32, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("Conv2D", (32, 32, 32), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (16, 16, 32), {"pool_size": (2, 2)}),
            ("Dropout", (16, 16, 32), {}),
            ("Conv2D", (16, 16, 64), {"kernel_size": (3, 3), "activation": "relu"}),
            ("Conv2D", (14, 14, 64), {"kernel_size": (3, 3), "activation": "relu"}),
            ("MaxPooling2D", (7, 7, 64), {"pool_size": (2, 2)}),
            ("Dropout", (7, 7, 64), {}),
            ("Flatten", (3136,), {}),
            ("Dense", (512,), {"activation": "relu"}),
            ("Dropout", (512,), {}),
            ("Dense", (10,), {"activation": "softmax"}),
        ],
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_networks_are_those_of_their_documents(name):
    parameters, expected = OTHERS[name]
    scaling, *layers = find(name).network().layers
    assert type(scaling).__name__ == "Rescaling"
    assert [(type(layer).__name__, layer.output.shape[1:]) for layer in layers] == [
        (kind, shape) for kind, shape, _ in expected
    ]
    for layer, (_, _, settings) in zip(layers, expected, strict=True):
        config = layer.get_config()
        assert {key: config[key] for key in settings} == settings
    assert sum(layer.count_params() for layer in layers) == parameters


@pytest.mark.parametrize(
    ("name", "optimizer", "rate", "batch_size", "epochs"),
    [
        ("two-conv", "adadelta", 1.0, 128, 10),
        ("three-conv", "rmsprop", 1e-3, 64, 5),
        ("one-conv", "adam", 1e-3, 64, 10),
        ("dense", "rmsprop", 1e-3, 128, 5),
        ("cifar-simple", "rmsprop", 1e-3, 128, 20),
    ],
)
def test_the_other_networks_are_trained_as_listed(name, optimizer, rate, batch_size, epochs):
    assert find(name).training == Training(
        optimizer=optimizer,
        learning_rate=rate,
        schedule="constant",
        batch_size=batch_size,
        epochs=epochs,
    )


def test_the_augmented_network_is_the_deep_one_on_moved_images():
    deep, augmented = find("cifar-deep"), find("cifar-augmented")
    assert augmented.network().count_params() == deep.network().count_params()
    assert deep.training.epochs == 20
    assert deep.training.augmentation is None
    assert augmented.training.augmentation == Affine(
        rotation=40, shift=0.2, zoom=0.2, flip=True, fill="nearest"
    )


def test_the_reference_for_the_record_is_as_published():
    scaling, *layers = find("deotte15").network().layers
    assert type(scaling).__name__ == "Rescaling"
    shapes = [layer.output.shape[1:] for layer in layers if type(layer).__name__ == "Conv2D"]
    assert shapes == [
        (26, 26, 32), (24, 24, 32), (12, 12, 32), (10, 10, 64), (8, 8, 64), (4, 4, 64), (1, 1, 128)
    ]  # fmt: skip
    kinds = ["Conv2D", "BatchNormalization"]
    stage = [*kinds * 3, "Dropout"]
    assert [type(layer).__name__ for layer in layers] == [
        *stage, *stage, *kinds, "Flatten", "Dropout", "Dense"
    ]  # fmt: skip
    assert sum(layer.count_params() for layer in layers) == 327_242


@pytest.mark.parametrize("name", RECIPES)
def test_takes_the_images_that_it_declares(name):
    recipe = find(name)
    model = recipe.complete()
    assert model.input_shape == (None, *recipe.image_shape)
    assert recipe.image_shape == ((32, 32, 3) if name.startswith("cifar") else (28, 28, 1))


def test_selu_starts_lecun_normal():
    kernels = [
        layer.kernel_initializer
        for layer in find("bn20-selu").network().layers
        if hasattr(layer, "kernel_initializer")
    ]
    names = [type(kernel).__name__ for kernel in kernels]
    assert names == ["LecunNormal"] * 4 + ["GlorotUniform"]


def test_the_seed_is_trained_to_the_letter():
    training = find("bn20-original").training
    assert (training.optimizer, training.learning_rate) == ("rmsprop", 1e-3)
    assert (training.schedule, training.batch_size, training.epochs) == ("constant", 64, 50)
    assert training.augmentation is None
    assert training.label_smoothing == 0


def test_a_recipe_is_found_by_its_name_in_earlier_versions():
    assert find("bn20-seed") is find("bn20-original") is RECIPES["bn20-original"]
    assert find_built_in("bn20-seed") is RECIPES["bn20-original"]


@pytest.mark.parametrize("name", RECIPES)
def test_takes_uint8_and_gives_probabilities(name):
    recipe = find(name)
    images = np.random.default_rng(0).integers(0, 256, (3, *recipe.image_shape), dtype=np.uint8)
    probabilities = recipe.complete().predict(images, verbose=0)
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_scaling_is_inside_the_model():
    model = find("bn20").network()
    scaled = model.layers[0](np.full((1, 28, 28, 1), 255, np.uint8))
    np.testing.assert_allclose(scaled, 1.0, rtol=1e-6)


def test_unknown_recipe_names_those_there_are():
    with pytest.raises(
        InputError,
        match=r"unknown recipe 'bn2'. Did you mean 'bn20'.* bn20, bn20-original, bn20-selu",
    ):
        find("bn2")
