"""Build the network that trains: its precision, its splits, its optimizer."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kaggle_digits.backend import steps_per_execution
from kaggle_digits.recipes import Recipe, Training

LOSS_SCALE = 1024.0  # multiplies the gradients: float16 rounds those below 6e-8 to 0


def build_network(recipe: Recipe, training: Training) -> Any:
    """Return the recipe's network, computing in the precision and the splits of ``training``."""
    import keras

    if training.precision == "float32":
        network = recipe.network()
    else:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(f"mixed_{training.precision}")
        try:
            network = recipe.network()
        finally:
            keras.config.set_dtype_policy(before)
    network = limit_momentum(network, training)
    # Keras gives a float16 model an optimizer that skips steps, but not if the model lies inside
    # another one. A resumed run counts the steps, so none may be skipped.
    if training.batch_splits == 1 and training.precision != "float16":
        return network
    from kaggle_digits.training.batch_split import BatchSplit

    return BatchSplit(network, training.batch_splits)


def compile_model(network: Any, training: Training, steps: int, classes: int) -> None:
    """Give ``network`` its optimizer, loss and metrics.

    Args:
        network: from `build_network`.
        training: the training settings, with the precision resolved.
        steps: number of batches in an epoch.
        classes: number of classes.

    """
    import keras

    network.compile(
        optimizer=make_optimizer(training, steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution(),
    )
    build_state(network, classes)


def build_state(model: Any, classes: int) -> None:
    """Create the variables of the optimizer and the metrics before the first step.

    TensorFlow traces a graph twice, taking seconds each time, if the first trace creates variables.
    """
    model.optimizer.build(model.trainable_variables)
    target = np.eye(1, classes, dtype=np.float32)
    model.compute_metrics(None, target, target)
    model.reset_metrics()


def make_optimizer(training: Training, steps_per_epoch: int) -> Any:
    """Return the Keras optimizer of ``training``, with its learning rate schedule."""
    import keras

    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        warmup = round(training.warmup_epochs * steps_per_epoch)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else rate,
            decay_steps=max(1, training.epochs * steps_per_epoch - warmup),
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    elif training.schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, decay_steps=steps_per_epoch, decay_rate=training.decay, staircase=True
        )
    config = {"learning_rate": rate}
    if training.precision == "float16":
        config["loss_scale_factor"] = LOSS_SCALE
    if training.weight_decay or training.optimizer in ("adamw", "muon"):  # their default is not 0
        config["weight_decay"] = training.weight_decay
    if training.optimizer == "sgd":
        config |= {"momentum": 0.9, "nesterov": True}
    if training.optimizer == "muon":
        from kaggle_digits.training.muon import Muon

        return Muon(**config)
    return keras.optimizers.get({"class_name": training.optimizer, "config": config})


def limit_momentum(network: Any, training: Training) -> Any:
    """Limit the momentum of batch normalisation to that of ``training``; return ``network``."""
    import keras

    if training.batch_norm_momentum is not None:
        for layer in layers_of(network):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, training.batch_norm_momentum)
    return network


def inner_network(model: Any) -> Any:
    """Return the network inside a `BatchSplit`; another model itself."""
    return getattr(model, "network", model)


def layers_of(network: Any) -> Iterator[Any]:
    """Yield the layers of ``network`` and of the models in it."""
    for layer in network.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from layers_of(layer)


def has_keras_layers_only(network: Any) -> bool:
    """Return whether Keras itself defines every layer of ``network``.

    Then the variables are all of its state. A layer of a user's own may keep more in Python.
    """
    inner = inner_network(network)
    parts = (inner, *layers_of(inner))
    return all(type(part).__module__.startswith("keras.") for part in parts)
