"""What a recipe is: a network and how it is trained. Imports neither Keras nor NumPy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from kaggle_digits.backend import start_keras
from kaggle_digits.transforms.affine import Affine
from kaggle_digits.transforms.deslanting import Deslant, deslant_tensor

# What the recipes' figures were measured on: not Kaggle's own split of these digits.
SPLIT = "a random 42,000/28,000 split of the same 70,000 digits (MNIST)"

Precision = Literal["float32", "bfloat16", "float16", "auto"]
MIN_STEPS = 40  # per epoch: with fewer, batches become smaller
MIN_TOTAL_STEPS = 300  # in all epochs: with fewer, there are more epochs
MAX_EPOCHS_FACTOR = 4
MIN_PART = 16  # images in a part of a batch: fewer have no reliable mean and variance
MIN_UPDATES = 229  # per epoch: then even a momentum of 0.99 leaves less than `MAX_INITIAL`
MAX_INITIAL = 0.1  # share of batch normalisation's initial statistics that an epoch may leave
# Names of settings in files of earlier versions.
RENAMED_SETTINGS = {
    "parts": "batch_splits",
    "undistorted_epochs": "final_epochs_without_augmentation",
}
MAX_MOMENTUM = 0.9  # of batch normalisation where an epoch has fewer than `MIN_UPDATES`


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained; every value goes into ``run.json``.

    Attributes:
        optimizer: what `keras.optimizers.get` knows by that name, with its defaults; ``sgd`` has a
            Nesterov momentum of 0.9.
        learning_rate: at the start, or at the peak of the schedule.
        schedule: ``constant``; ``cosine``: falls to 0 at the last step; ``exponential``: is
            multiplied by ``decay`` after every epoch.
        decay: of the exponential schedule.
        warmup_epochs: the cosine rises linearly from 0 during the first of its epochs.
        batch_size: images a step.
        epochs: passes over the training images.
        augmentation: random affine maps, drawn anew for every image in every epoch.
        final_epochs_without_augmentation: number of last epochs in which images are only mirrored,
            if at all: validation images are not distorted either.
        mixup: 0 is off; else each training image is blended with another one of its epoch, and
            their targets alike, the other's share the smaller of two drawn from Beta(mixup, mixup).
        label_smoothing: share of the target spread evenly over the classes.
        weight_decay: share of each weight taken away a step, times the learning rate.
        precision: of the arithmetic in training. ``bfloat16`` and ``float16`` keep the weights, the
            output layer and the saved model in float32; ``auto`` is float32 or bfloat16, whichever
            is faster on this processor.
        batch_splits: number of splits of a batch, computed side by side, one core each. Batch
            normalisation sees one split at a time (ghost batch normalisation).
        batch_norm_momentum: batch normalisation has at most this momentum of its running mean and
            variance; None for the network's own. Networks without it ignore this.

    Example:
        >>> training = kd.Training(
        ...     optimizer="rmsprop", learning_rate=1e-3, batch_size=64, epochs=20, schedule="cosine"
        ... )
        >>> training.steps(42_000)
        657

    """

    optimizer: Literal["rmsprop", "adam", "adamw", "adadelta", "sgd"]
    learning_rate: float
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    batch_size: int
    epochs: int
    decay: float = 1.0
    warmup_epochs: float = 0.0
    augmentation: Affine | None = None
    final_epochs_without_augmentation: int = 0
    mixup: float = 0.0
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    precision: Precision = "float32"
    batch_splits: int = 1
    batch_norm_momentum: float | None = None

    def steps(self, images: int) -> int:
        """Return how many batches an epoch of ``images`` images has.

        A last batch with fewer images than `batch_splits` is left out.
        """
        whole, rest = divmod(images, self.batch_size)
        return whole + (rest >= self.batch_splits)

    def for_images(
        self,
        images: int,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
    ) -> "Training":
        """Return the training on ``images`` images; on many, the same.

        On few images an epoch has few steps. So batches become smaller, and the learning rate with
        them; there are more epochs if even so the steps are too few to learn; and the running
        statistics of batch normalisation follow faster.

        Args:
            images: number of images that a model is trained on.
            epochs: the user's; None to choose it here.
            batch_size: the user's; the learning rate then stays what it is.
            learning_rate: the user's.

        """
        if images // self.batch_size >= MIN_STEPS:
            return replace(
                self.over(epochs or self.epochs),
                batch_size=batch_size or self.batch_size,
                learning_rate=learning_rate or self.learning_rate,
            )
        size = _batch_size(self, images)
        smaller = replace(self, batch_size=size, learning_rate=_learning_rate(self, size))
        chosen = replace(
            self.over(epochs or _epochs(smaller, images)),
            batch_size=batch_size or size,
            learning_rate=learning_rate or (self if batch_size else smaller).learning_rate,
        )
        if self.steps(images) * self.batch_splits >= MIN_UPDATES:
            return chosen
        return replace(chosen, batch_norm_momentum=_momentum(chosen, images))

    def over(self, epochs: int) -> "Training":
        """Return the same over ``epochs`` epochs, of which a quarter at most stay undistorted."""
        undistorted = min(self.final_epochs_without_augmentation, epochs // 4)
        return replace(self, epochs=epochs, final_epochs_without_augmentation=undistorted)


def _batch_size(training: Training, images: int) -> int:
    """Return the batch size with which an epoch has `MIN_STEPS` steps, if the given one has fewer.

    No part of a batch gets fewer than `MIN_PART` images.
    """
    smallest = MIN_PART * training.batch_splits
    least = max(images // MIN_STEPS, smallest)
    if least >= training.batch_size:
        return training.batch_size
    # The last batch of an epoch is what the others leave, and needs enough images just as well.
    # No rest will not do: another fold of the run may have one image more.
    sizes = range(least, training.batch_size + 1)
    return next((size for size in sizes if images % size >= min(size / 2, smallest)), least)


def _learning_rate(training: Training, batch_size: int) -> float:
    """Return the learning rate for batches of that size, to two digits: by the root of the ratio.

    Adadelta's stays: it scales its steps by itself, and did better so (docs/LOG.md).
    """
    if batch_size == training.batch_size or training.optimizer == "adadelta":
        return training.learning_rate
    scale = math.sqrt(batch_size / training.batch_size)
    return float(f"{training.learning_rate * scale:.2g}")


def _epochs(training: Training, images: int) -> int:
    """Return the epochs in which `MIN_TOTAL_STEPS` are trained, if the given ones have fewer."""
    needed = math.ceil(MIN_TOTAL_STEPS / max(1, training.steps(images)))
    return max(training.epochs, min(needed, MAX_EPOCHS_FACTOR * training.epochs))


def _momentum(training: Training, images: int) -> float:
    """Return the momentum that leaves `MAX_INITIAL` of the initial statistics after an epoch."""
    updates = max(1, training.steps(images)) * training.batch_splits  # one for each part
    return min(MAX_MOMENTUM, round(math.pow(MAX_INITIAL, 1 / updates), 3))


def rename_old_settings(training: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `Training`, read from a file, under their names of today."""
    return {RENAMED_SETTINGS.get(name, name): value for name, value in training.items()}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One network with its training.

    Attributes:
        name: as the command line knows it.
        summary: one line.
        source: where the network comes from.
        measured: what it was measured to reach, and on what.
        network: builds the Keras model, uint8 ``[n, *image_shape]`` → probabilities ``[n, 10]``.
            `sequential` begins it. Scaling is inside.
        image_shape: height, width, channels.
        training: how it is trained unless the command line overrides it.
        deslant: what is done to images before the network sees them; None for nothing. Training
            distorts what comes of it, not what goes in.
        file: the Python file that it was read from; None if it is built in.

    Example:
        >>> recipe = kd.Recipe(
        ...     name="my-net",
        ...     summary="the built-in bn20 with another optimizer",
        ...     network=kd.find_recipe("bn20").network,
        ...     training=kd.Training(
        ...         optimizer="adamw", learning_rate=2e-3, batch_size=128, epochs=10
        ...     ),
        ... )
        >>> recipe.image_shape
        (28, 28, 1)

    """

    name: str
    summary: str
    network: Callable[[], Any]
    training: Training
    source: str = "not stated"
    measured: str = "not stated"
    image_shape: tuple[int, int, int] = (28, 28, 1)
    deslant: Deslant | None = None
    file: Path | None = None

    def complete(self) -> Any:
        """Return the Keras model that takes images as they come: deslanting and network in one.

        Its weights are the network's. It is what is saved and exported: complete by itself.
        """
        network = self.network()
        if self.deslant is None:
            return network
        keras = start_keras()
        images = keras.Input(self.image_shape, dtype="uint8")
        values = deslant_tensor(images, self.deslant)
        # One flat model exports better than a model in a model; branches cannot be flattened so.
        for layer in network.layers if isinstance(network, keras.Sequential) else [network]:
            values = layer(values)
        return keras.Model(images, values)


def sequential(image_shape: tuple[int, int, int], layers: Sequence[Any]) -> Any:
    """Return the Keras model of ``layers`` behind an input of uint8 images and their scaling.

    Args:
        image_shape: height, width, channels.
        layers: Keras layers, from ``[n, *image_shape]`` in 0 … 1 to probabilities. The last one
            computes in float32 whatever the others do: bfloat16 knows but three digits.

    """
    keras = start_keras()
    layers[-1].dtype_policy = "float32"
    images, scaling = keras.Input(image_shape, dtype="uint8"), keras.layers.Rescaling(1 / 255)
    return keras.Sequential([images, scaling, *layers])
