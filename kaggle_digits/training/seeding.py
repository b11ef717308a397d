"""Seed an epoch, so that it depends on its numbers alone: a resumed run is the same run."""

from typing import Any

import numpy as np

from kaggle_digits.backend import backend_name
from kaggle_digits.training import building


def derive_seed(*seed: int) -> int:
    """Return one seed for Keras, below 2³¹, that depends on every number in ``seed``."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)


def seed_layers(model: Any, seed: tuple[int, ...]) -> None:
    """Reset the generators of dropout and similar layers, so that they depend on ``seed`` alone."""
    network = building.inner_network(model)
    generators = {
        id(layer.seed_generator.state): index
        for index, layer in enumerate(network.layers)
        if getattr(layer, "seed_generator", None) is not None
    }
    weights = {id(weight) for weight in network.weights}
    # All variables but the weights: also the states of generators in layers within layers.
    states = [variable for variable in network.variables if id(variable) not in weights]
    for index, state in enumerate(states, len(network.layers)):
        state.assign([derive_seed(*seed, generators.get(id(state), index)), 0])


def make_callbacks(seed: tuple[int, ...]) -> list[Any]:
    """Return the callbacks that an epoch needs beside `seed_layers`: with PyTorch one, else none.

    With PyTorch, layers without a seed of their own use the global generator. A model that was just
    loaded has used it already when its first step begins, so it is seeded in that step.
    """
    import keras

    def on_batch_begin(batch: int, logs: Any) -> None:
        del logs  # Keras passes it by this name
        if batch == 0:
            keras.utils.set_random_seed(derive_seed(*seed))

    if backend_name() != "torch":
        return []
    return [keras.callbacks.LambdaCallback(on_train_batch_begin=on_batch_begin)]
