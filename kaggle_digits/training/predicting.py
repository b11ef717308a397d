"""Load trained models, and predict with them."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Images
from kaggle_digits.errors import InputError, KaggleDigitsError, out_of_memory
from kaggle_digits.evaluation import ensembling
from kaggle_digits.formats import keras_architecture, keras_models
from kaggle_digits.recipes.checking import require_shape
from kaggle_digits.runs import Run

Probabilities = npt.NDArray[np.float32]

PREDICTION_BATCH = 512
PREDICTION_SPLITS = 2  # the same everywhere: the last digits of a probability depend on it


class Predictor:
    """Predict with a Keras model on all cores. The graph is built at first use.

    Attributes:
        network: the plain Keras model. Its weights may be replaced between predictions.

    """

    def __init__(self, network: Any) -> None:
        from kaggle_digits.training.batch_split import BatchSplit

        self.network = network
        self._model = BatchSplit(network, PREDICTION_SPLITS)

    def predict(self, images: Images) -> Probabilities:
        """Return probabilities, float32 ``[n, classes]``, of uint8 images ``[n, h, w, c]``."""
        return predict_probabilities(self._model, images)


def predict_probabilities(model: Any, images: Images) -> Probabilities:
    """Return the model's probabilities, float32 ``[n, classes]``, of uint8 ``[n, h, w, c]``."""
    return np.asarray(model.predict(images, batch_size=PREDICTION_BATCH, verbose=0), np.float32)


def load_model(path: Path, *, to_train: bool = True) -> Any:
    """Load the Keras model at ``path`` in Keras's safe mode, which runs no code from the file.

    Args:
        path: a ``.keras`` file.
        to_train: whether to load the loss and the optimizer too, if the file has them.

    Returns:
        The Keras model.

    Raises:
        InputError: the file is missing or damaged.

    """
    start_keras()
    with _reading(path):
        return keras_models.load(path, to_train=to_train)


def require_classifier(model: Any, path: Path, classes: int) -> tuple[int, int, int]:
    """Check that ``model`` classifies images and return the image shape that it takes.

    Args:
        model: a Keras model, as `load_model` returns it.
        path: the model's file, named in the message.
        classes: expected number of classes.

    Returns:
        Height, width (both in pixels) and channels.

    Raises:
        InputError: the model's input or output has another shape.

    """
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    shape = takes[1:] if isinstance(takes, tuple) else ()
    fits = len(shape) == len(("height", "width", "channels")) and all(shape)
    if not fits or math.prod(shape) > keras_architecture.MAX_VALUES or gives != (None, classes):
        raise InputError(
            f"{path} is not a model of this run: its input is {takes}, its output {gives}. "
            f"Expected [n, height, width, channels] and [n, {classes}]. Remove its folder and "
            "repeat the command that started the run."
        )
    height, width, channels = shape
    return height, width, channels


def load_weights(network: Any, path: Path) -> None:
    """Load the weights of the model at ``path`` into ``network``, which has the same layers.

    Raises:
        InputError: the file is missing or damaged.

    """
    with _reading(path):
        keras_models.load_weights(network, path)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except KaggleDigitsError:
        raise
    except Exception as error:
        # A damaged file can fail on any line of Keras, h5py or zipfile, each with its own
        # exceptions. Keras may quote the whole model after its first sentence.
        first_sentence = str(error).partition(". ")[0].rstrip(".")
        reason = first_sentence if path.exists() else "no such file"
        raise out_of_memory(error) or InputError(
            f"{path} is not a readable model: {reason}. Expected the .keras file that `train` or "
            "`cv` wrote. To train it again, remove its folder and repeat the command."
        ) from error


def predict_with_run(run: Run, images: Images) -> ensembling.Probabilities:
    """Predict with all models of a finished run and average their probabilities.

    Args:
        run: a finished run.
        images: uint8 ``[n, height, width, channels]``.

    Returns:
        float64 ``[n, classes]``.

    Raises:
        InputError: the run is not finished, a model cannot be read, or the recipe takes images of
            another shape.

    """
    paths = run.models()
    require_shape(run.recipe(), images)
    start_keras(PREDICTION_SPLITS)
    # One graph serves all folds: they differ only in their weights.
    network = load_model(paths[0], to_train=False)
    if require_classifier(network, paths[0], len(run.class_names)) != images.shape[1:]:
        raise InputError(
            f"{paths[0]} takes images of {network.input_shape[1:]}. Expected {images.shape[1:]}, "
            "as in the run's recipe."
        )
    model = Predictor(network)
    answers = []
    for path in paths:
        load_weights(model.network, path)
        answers.append(model.predict(images))
    return ensembling.blend(np.stack(answers), "mean")
