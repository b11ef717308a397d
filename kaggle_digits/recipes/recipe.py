"""Define a recipe: a network and its training settings. Imports neither Keras nor NumPy."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError, suggest
from kaggle_digits.recipes.space import AUGMENTATION, Space, list_settings
from kaggle_digits.terminal_text import plain
from kaggle_digits.transforms.affine import Affine
from kaggle_digits.transforms.deslanting import Deslant, deslant_tensor

# The data of the recipes' figures: not Kaggle's own split of these digits.
SPLIT = "a random 42,000/28,000 split of the same 70,000 digits (MNIST)"

Precision = Literal["float32", "bfloat16", "float16", "auto"]
MIN_THREADS = 2  # of a model: the second one saves a fifth of the time (docs/LOG.md)
MIN_STEPS = 40  # per epoch: with fewer, batches become smaller
MIN_TOTAL_STEPS = 300  # in all epochs: with fewer, there are more epochs
MAX_EPOCHS_FACTOR = 4
MIN_PART = 16  # images in a split of a batch: fewer give no reliable mean and variance
MIN_UPDATES = 229  # per epoch: enough to get below `MAX_INITIAL` even with a momentum of 0.99
MAX_INITIAL = 0.1  # weight of batch normalisation's initial statistics after one epoch
# Names of settings in files of earlier versions.
RENAMED_SETTINGS = {
    "parts": "batch_splits",
    "undistorted_epochs": "final_epochs_without_augmentation",
}
MAX_MOMENTUM = 0.9  # of batch normalisation where an epoch has fewer than `MIN_UPDATES`


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training settings of a network. Every value is recorded in ``run.json``.

    Attributes:
        optimizer: name of a Keras optimizer, with Keras's defaults; ``sgd`` uses a Nesterov
            momentum of 0.9. ``muon`` updates weights with four axes, the kernels of 2-D
            convolutions, by Muon, and all others by AdamW, with the same learning rate.
        learning_rate: initial learning rate, or the peak of the schedule.
        schedule: ``constant``; ``cosine``, which falls to 0 at the last step; ``exponential``,
            which multiplies the learning rate by ``decay`` after every epoch.
        decay: factor of the exponential schedule, per epoch.
        warmup_epochs: number of epochs in which the cosine schedule rises linearly from 0.
        batch_size: images per step.
        epochs: number of passes over the training images.
        augmentation: random affine maps, drawn for every image in every epoch.
        final_epochs_without_augmentation: number of last epochs in which images are not distorted,
            only mirrored if ``augmentation`` says so: validation images are not distorted either.
        mixup: parameter of mixup; 0 is off. Each training image and its target are blended with
            another image of the epoch. The other image's share is the smaller of s and 1 - s, with
            s from Beta(mixup, mixup).
        label_smoothing: share of the target spread evenly over the classes, 0-1.
        weight_decay: share of each weight subtracted per step, times the learning rate.
        precision: precision of training. ``bfloat16`` and ``float16`` keep the weights, the output
            layer and the saved model in float32. ``auto`` is float32 or bfloat16, whichever is
            faster on this processor.
        batch_splits: number of splits of a batch, computed in parallel, one core each. Batch
            normalisation uses the statistics of one split (ghost batch normalisation).
        batch_norm_momentum: upper limit of the momentum of batch normalisation's running mean and
            variance; None for no limit. Networks without batch normalisation ignore it.

    Example:
        >>> training = kd.Training(
        ...     optimizer="rmsprop", learning_rate=1e-3, batch_size=64, epochs=20, schedule="cosine"
        ... )
        >>> training.steps(42_000)
        657

    """

    optimizer: Literal["rmsprop", "adam", "adamw", "adadelta", "sgd", "muon"]
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

    @property
    def threads_per_split(self) -> int:
        """Number of threads that compute one split of a batch.

        It belongs to the recipe, because the number of threads changes the last digits: a run gives
        the same result on any number of cores.
        """
        return max(1, MIN_THREADS // self.batch_splits)

    def start_keras(self) -> None:
        """Start Keras with the threads that this training needs.

        TensorFlow takes their number from the first call in a process.
        """
        start_keras(self.batch_splits, self.threads_per_split)

    def steps(self, images: int) -> int:
        """Return the number of batches in an epoch of ``images`` images.

        A last batch with fewer images than `batch_splits` is dropped.
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
        """Adapt the settings to the number of training images. Many images change nothing.

        With few images an epoch has few steps. So batches get smaller, and the learning rate with
        them. If the steps are still too few to converge, there are more epochs. The running
        statistics of batch normalisation follow faster.

        Args:
            images: number of training images of a model.
            epochs: overrides the number of epochs; None chooses it here.
            batch_size: overrides the batch size; the learning rate is then not adapted.
            learning_rate: overrides the learning rate; None chooses it here.

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
        """Return the settings with ``epochs`` epochs, at most a quarter without augmentation."""
        undistorted = min(self.final_epochs_without_augmentation, epochs // 4)
        return replace(self, epochs=epochs, final_epochs_without_augmentation=undistorted)


def _batch_size(training: Training, images: int) -> int:
    """Return a batch size with at least `MIN_STEPS` steps per epoch.

    No split of a batch gets fewer than `MIN_PART` images.
    """
    smallest = MIN_PART * training.batch_splits
    minimum = max(images // MIN_STEPS, smallest)
    if minimum >= training.batch_size:
        return training.batch_size
    # The last batch of an epoch has the remaining images, and needs enough of them too. A remainder
    # of 0 is not accepted: another fold of the run may have one image more.
    sizes = range(minimum, training.batch_size + 1)
    return next((size for size in sizes if images % size >= min(size / 2, smallest)), minimum)


def _learning_rate(training: Training, batch_size: int) -> float:
    """Scale the learning rate by the square root of the batch sizes' ratio, to two digits.

    Adadelta keeps its learning rate: it scales its steps itself, and scored better (docs/LOG.md).
    """
    if batch_size == training.batch_size or training.optimizer == "adadelta":
        return training.learning_rate
    scale = math.sqrt(batch_size / training.batch_size)
    return float(f"{training.learning_rate * scale:.2g}")


def _epochs(training: Training, images: int) -> int:
    """Return the number of epochs with at least `MIN_TOTAL_STEPS` steps in all."""
    needed = math.ceil(MIN_TOTAL_STEPS / max(1, training.steps(images)))
    return max(training.epochs, min(needed, MAX_EPOCHS_FACTOR * training.epochs))


def _momentum(training: Training, images: int) -> float:
    """Return the momentum that reduces the initial statistics to `MAX_INITIAL` in one epoch."""
    updates = max(1, training.steps(images)) * training.batch_splits  # one for each split
    return min(MAX_MOMENTUM, round(math.pow(MAX_INITIAL, 1 / updates), 3))


def rename_old_settings(training: dict[str, Any]) -> dict[str, Any]:
    """Rename the settings of a `Training` read from a file of an earlier version."""
    return {RENAMED_SETTINGS.get(name, name): value for name, value in training.items()}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network and its training settings.

    Attributes:
        name: name on the command line.
        summary: description in one line.
        source: origin of the network.
        measured: measured accuracy, with the data and the method of measurement.
        relative_time: measured time to train one model, as a multiple of ``bn20``'s; None if it
            was not measured.
        network: function that builds the Keras model: uint8 ``[n, *image_shape]`` in,
            probabilities ``[n, 10]`` out. The model scales its input itself, as those of
            `sequential` do.
        image_shape: height and width in pixels, channels.
        training: training settings. The command line can override them.
        deslant: deslanting applied to images before the network; None for no deslanting.
            Augmentation is applied to the deslanted images.
        file: the Python file that the recipe was read from; None if it is built in.
        program: the Python code that defines it as ``RECIPE``, which runs keep; None if it is built
            in.
        space: what `search` varies: for each name a `Real`, `Integer` or `Choice`. A name is a
            setting of `Training`, ``augmentation.rotation`` and the like, or a keyword argument of
            ``network``. An empty space stands for learning rate, batch size, label smoothing and
            augmentation.

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
    relative_time: float | None = None
    image_shape: tuple[int, int, int] = (28, 28, 1)
    deslant: Deslant | None = None
    file: Path | None = None
    program: bytes | None = field(default=None, repr=False)
    space: Space = field(default_factory=dict, hash=False)

    @property
    def program_sha256(self) -> str | None:
        """SHA-256 of the recipe's program; None if it is built in."""
        return None if self.program is None else hashlib.sha256(self.program).hexdigest()

    def with_settings(self, values: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with other settings.

        Args:
            values: new values by their names in a `space`.

        Raises:
            InputError: ``values`` is not a dict of names, or neither the training nor the network
                has a setting of this name.

        Example:
            >>> recipe = kd.find_recipe("bn20").with_settings({"augmentation.rotation": 5.0})
            >>> recipe.training.augmentation.rotation
            5.0

        """
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise InputError(
                f"with_settings received {plain(repr(values))}. Expected a dict of values by the "
                "names of settings, such as {'learning_rate': 0.001}."
            )
        known = list_settings(self.network)
        for name in values:
            if known is not None and name not in {*known, "augmentation"}:
                raise InputError(
                    f"received the setting {name!r}.{suggest(name, known)} Expected a setting of "
                    "Training (learning_rate, …), of the augmentation (augmentation.rotation, …) "
                    "or a keyword argument of the network."
                )
        names = {setting.name for setting in fields(Training)}
        affine = {
            name.removeprefix(AUGMENTATION): value
            for name, value in values.items()
            if name.startswith(AUGMENTATION)
        }
        changes = {name: value for name, value in values.items() if name in names}
        if affine:
            changes["augmentation"] = replace(self.training.augmentation or Affine(), **affine)
        arguments = {
            name: value
            for name, value in values.items()
            if name not in names and not name.startswith(AUGMENTATION)
        }
        network = partial(self.network, **arguments) if arguments else self.network
        return replace(self, training=replace(self.training, **changes), network=network)

    def complete(self) -> Any:
        """Return one Keras model of deslanting and network, which takes unprocessed images.

        It has the network's weights. This self-contained model is saved and exported.
        """
        network = self.network()
        if self.deslant is None:
            return network
        keras = start_keras()
        images = keras.Input(self.image_shape, dtype="uint8")
        values = deslant_tensor(images, self.deslant)
        # A flat model exports better than a nested one. Models with branches cannot be flattened.
        for layer in network.layers if isinstance(network, keras.Sequential) else [network]:
            values = layer(values)
        return keras.Model(images, values)


def sequential(image_shape: tuple[int, int, int], layers: Sequence[Any]) -> Any:
    """Build a Keras model that scales uint8 images to 0 … 1 and applies ``layers``.

    Args:
        image_shape: height and width in pixels, channels.
        layers: Keras layers, from ``[n, *image_shape]`` in 0 … 1 to probabilities. The last one
            always computes in float32: bfloat16 has about three significant digits.

    """
    keras = start_keras()
    layers[-1].dtype_policy = "float32"
    images, scaling = keras.Input(image_shape, dtype="uint8"), keras.layers.Rescaling(1 / 255)
    return keras.Sequential([images, scaling, *layers])
