"""Train one model on one split, with a checkpoint after every epoch.

No random state is carried from one epoch to the next: (seed, epoch) alone seeds the order, the
augmentation and the dropout of an epoch. So an interrupted epoch can be repeated and gives the same
weights to the byte, and a checkpoint needs no generator states.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.backend import (
    batches_of,
    faster_precision,
    make_repeatable,
    seed_everything,
    steps_per_execution,
)
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import DivergedError
from kaggle_digits.evaluation import scores
from kaggle_digits.recipes import Affine, Recipe, Training
from kaggle_digits.training import building, seeding
from kaggle_digits.training.history import Epoch, read_history, write_history
from kaggle_digits.training.predicting import Predictor, load_model
from kaggle_digits.transforms.deslanting import deslant_images
from kaggle_digits.transforms.mixup import mixup


class FoldCallback(Protocol):
    """Receive the progress of one model's training."""

    def epochs_found(self, count: int) -> None:
        """Receive the number of epochs that an earlier process finished."""

    def images_trained(self, count: int) -> None:
        """Receive the number of images trained on so far in the current epoch."""

    def epoch_done(self, epoch: Epoch) -> None:
        """Receive the figures of a finished epoch. Its checkpoint is on the disk."""


class NullFoldCallback:
    """Ignore all progress."""

    def epochs_found(self, count: int) -> None:
        """Do nothing."""

    def images_trained(self, count: int) -> None:
        """Do nothing."""

    def epoch_done(self, epoch: Epoch) -> None:
        """Do nothing."""


def train_model(
    recipe: Recipe,
    training: Training,
    train: Dataset,
    held_out: Dataset | None,
    *,
    seed: tuple[int, ...],
    folder: Path,
    watcher: FoldCallback,
) -> tuple[Predictor, list[Epoch]]:
    """Train one model, or resume its training after the last finished epoch.

    Args:
        recipe: the network.
        training: the training settings: the recipe's own, or with overrides. Use `Training.over`
            to change the number of epochs.
        train: labelled images, uint8 ``[n, h, w, c]``.
        held_out: labelled images on which the model is validated after every epoch, or None. They
            are never trained on.
        seed: numbers that are unique to this model, such as ``(seed, fold)``.
        folder: where ``checkpoint.keras`` and ``history.csv`` are kept.
        watcher: called after every step and every epoch.

    Returns:
        A `Predictor` with the trained network, and one `Epoch` for each epoch. The network is a
        plain Keras model in float32, whatever precision it was trained in. The next call in this
        thread with the same recipe and settings gives it other weights, because building a new one
        takes seconds.

    Raises:
        InputError: the loss is no longer finite, or the checkpoint cannot be read.

    """
    training.start_keras()
    make_repeatable()
    training = resolve_precision(training)
    train = replace(train, images=deslant_images(train.images, recipe.deslant))
    models, history = _start_or_resume(recipe, training, train, seed=seed, folder=folder)
    model, judge = models.trained, models.judge
    judge.network.set_weights(model.get_weights())
    watcher.epochs_found(len(history))
    for epoch in range(len(history) + 1, training.epochs + 1):
        row = _train_epoch(models, training, train, held_out, (*seed, epoch), watcher)
        history.append(row)
        # The history first: a row without its checkpoint is dropped on resuming.
        write_history(folder / "history.csv", history)
        with files.replacing(folder / "checkpoint.keras") as path:
            model.save(path)
        watcher.epoch_done(row)
    return judge, history


def resolve_precision(training: Training) -> Training:
    """Return ``training`` with the precision ``auto`` replaced by this machine's faster one."""
    if training.precision != "auto":
        return training
    return replace(training, precision=faster_precision())


@dataclass(frozen=True)
class _Models:
    """The models of a fold. Keras builds their graphs at first use, which takes seconds.

    Attributes:
        trained: the compiled model.
        judge: the same layers in float32: the network validated after each epoch is the one that is
            saved.

    """

    trained: Any
    judge: Predictor


@dataclass(frozen=True)
class _Reusable:
    """Models whose graphs the next fold uses again.

    Attributes:
        models: the models of the fold before.
        made_for: what they were built from: recipe, training, steps per epoch, number of classes.
        optimizer: the optimizer's variables before its first step.

    """

    models: _Models
    made_for: tuple[Any, ...]
    optimizer: list[Any]

    def fits(self, made_for: tuple[Any, ...], network: Any) -> bool:
        """Return whether a fold with this new network can use the graphs."""
        model = self.models.trained
        return self.made_for == made_for and bool(model.get_config() == network.get_config())

    def restart(self, network: Any) -> _Models:
        """Give the models the state of the new ``network``, and the optimizer its first state."""
        model = self.models.trained
        for variable, new in zip(model.variables, network.variables, strict=True):
            variable.assign(new)
        for variable, first in zip(model.optimizer.variables, self.optimizer, strict=True):
            variable.assign(first)
        return self.models


class _Thread(threading.local):
    """What a thread keeps between folds. Two threads never train the same model."""

    reusable: _Reusable | None = None


_thread = _Thread()


def _start_or_resume(
    recipe: Recipe, training: Training, train: Dataset, *, seed: tuple[int, ...], folder: Path
) -> tuple[_Models, list[Epoch]]:
    import keras

    checkpoint = folder / "checkpoint.keras"
    classes = len(train.class_names)
    steps = training.steps(len(train))
    if checkpoint.exists():
        # Keras must know their classes.
        import kaggle_digits.training.batch_split
        import kaggle_digits.training.muon  # noqa: F401

        model = load_model(checkpoint)
        building.build_state(model, classes)
        finished = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps
        models = _Models(model, _judge(recipe, training))
        return models, read_history(folder / "history.csv")[:finished]
    seed_everything(seeding.derive_seed(*seed))
    return _start(recipe, training, steps, classes), []


def _start(recipe: Recipe, training: Training, steps: int, classes: int) -> _Models:
    """Return models with new weights, in the graphs of the fold before if they fit."""
    import keras

    network = building.build_network(recipe, training)
    made_for = (recipe, training, steps, classes)
    if _thread.reusable and _thread.reusable.fits(made_for, network):
        return _thread.reusable.restart(network)
    _thread.reusable = None  # frees its memory before the new graphs need some
    building.compile_model(network, training, steps, classes)
    models = _Models(network, _judge(recipe, training))
    if building.has_keras_layers_only(network):
        first = [keras.ops.convert_to_numpy(state) for state in network.optimizer.variables]
        _thread.reusable = _Reusable(models, made_for, first)
    return models


def _judge(recipe: Recipe, training: Training) -> Predictor:
    return Predictor(building.limit_momentum(recipe.complete(), training))


def _train_epoch(
    models: _Models,
    training: Training,
    train: Dataset,
    held_out: Dataset | None,
    seed: tuple[int, ...],
    watcher: FoldCallback,
) -> Epoch:
    import keras

    started = time.perf_counter()
    model, judge = models.trained, models.judge
    rng = np.random.default_rng(seed)
    order = _shuffle(len(train), training, rng)
    images = train.images[order]
    if affine := _augmentation(training, epoch=seed[-1]):
        from kaggle_digits.transforms.augmentation import augment

        images = augment(images, affine, rng)
    seeding.seed_layers(model, seed)
    assert train.labels is not None  # noqa: S101 — the caller's contract, for the type checker
    targets = np.eye(len(train.class_names), dtype=np.float32)[train.labels[order]]
    if training.mixup:
        images, targets = mixup(images, targets, training.mixup, rng)
    history = model.fit(
        **batches_of(images, targets, training.batch_size),
        shuffle=False,
        verbose=0,
        callbacks=[
            _batch_callback(watcher.images_trained, training.batch_size, len(train)),
            *seeding.make_callbacks(seed),
        ],
    ).history
    trained = time.perf_counter() - started
    if not math.isfinite(history["loss"][0]):
        raise DivergedError(
            f"the loss is {history['loss'][0]} in epoch {seed[-1]}: training diverged at a "
            f"learning rate of {training.learning_rate} in {training.precision}. Use a smaller "
            "--learning-rate and another --run."
        )
    judge.network.set_weights(model.get_weights())
    val_loss, val_accuracy = _score_held_out(judge, held_out)
    return Epoch(
        epoch=seed[-1],
        loss=history["loss"][0],
        accuracy=history["accuracy"][0],
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        seconds=time.perf_counter() - started,
        images_per_second=len(order) / trained,
    )


def _augmentation(training: Training, epoch: int) -> Affine | None:
    """Return the augmentation of that epoch (1 … epochs), or None without augmentation."""
    if (
        training.augmentation
        and epoch > training.epochs - training.final_epochs_without_augmentation
    ):
        return training.augmentation.without_distortion()
    return training.augmentation


def _shuffle(images: int, training: Training, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the order of an epoch's images, without a last batch too small to be split."""
    order = rng.permutation(images)
    return order[: training.steps(images) * training.batch_size]


def _score_held_out(judge: Predictor, held_out: Dataset | None) -> tuple[float, float]:
    if held_out is None or held_out.labels is None:
        return math.nan, math.nan
    validation = scores(judge.predict(held_out.images), held_out.labels)
    return validation.log_loss, validation.accuracy


def _batch_callback(report: Callable[[int], None], batch_size: int, images: int) -> Any:
    import keras

    executed, begun = steps_per_execution(), 0

    # Keras numbers an execution by its first batch when it begins; at its end versions differ.
    def on_batch_begin(batch: int, logs: Any) -> None:
        nonlocal begun
        del logs  # Keras passes it by this name
        begun = batch

    def on_batch_end(batch: int, logs: Any) -> None:
        del batch, logs
        report(min((begun + executed) * batch_size, images))

    return keras.callbacks.LambdaCallback(
        on_train_batch_begin=on_batch_begin, on_train_batch_end=on_batch_end
    )
