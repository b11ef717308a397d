"""What answers on the page: the models of a run, or an exported model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import exporting
from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.runs import Run
from kaggle_digits.training import predicting

if TYPE_CHECKING:
    from collections.abc import Callable

    from kaggle_digits.datasets.dataset import Images

IMAGE_SHAPE = (28, 28, 1)
DIGITS = tuple("0123456789")

Probabilities = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Reader:
    """Models that are ready to answer.

    Attributes:
        name: of the run or the file.
        class_names: name of each column of the probabilities.
        answer: uint8 ``[n, 28, 28, 1]`` → float ``[members, n, classes]``.
        is_ensemble: whether ``answer`` has one row per member. Otherwise it has one row, and how
            many models it stands for is unknown.

    """

    name: str
    class_names: tuple[str, ...]
    answer: "Callable[[Images], Probabilities]"
    is_ensemble: bool


def open_run(folder: Path) -> Reader:
    """Open all models of a finished run.

    Raises:
        InputError: the run is not finished, damaged, or takes images other than 28×28 in grey.

    """
    run = Run(folder)
    run.require_finished()
    recipe = run.recipe()
    _require_shape(folder, recipe.image_shape)
    keras = start_keras()
    members = []
    for number, path in enumerate(run.models(), start=1):
        model = predicting.load_model(path, to_train=False)
        predicting.require_classifier(model, path, len(run.class_names))
        model.name = f"fold_{number}"  # layers of one model need names of their own
        members.append(model)
    # One call of one graph: five calls of Keras take five times its overhead.
    images = keras.Input(IMAGE_SHAPE, dtype="uint8")
    merged = keras.Model(images, [member(images) for member in members])
    return _warmed(
        Reader(
            folder.resolve().name,
            run.class_names,
            lambda images: _stack(merged.predict_on_batch(images), len(members)),
            len(members) > 1,
        )
    )


def open_exported_model(path: Path, *, trust: bool = False) -> Reader:
    """Open an exported model of any format.

    Args:
        path: a file, or the folder of a SavedModel.
        trust: whether a SavedModel, which is a program, may be opened.

    Raises:
        InputError: it cannot be opened, or takes images other than 28×28 in grey.

    """
    model = exporting.open_model(path, trust=trust)
    _require_shape(path, model.image_shape)
    names = DIGITS if model.classes == len(DIGITS) else tuple(map(str, range(model.classes)))
    members = model.members

    def answer(images: "Images") -> Probabilities:
        if members is None:  # the model returns only the mean
            return model.probabilities(images)[np.newaxis]
        return np.asarray(members(images))

    return _warmed(Reader(path.name, names, answer, members is not None))


def _require_shape(path: Path, shape: tuple[int, ...]) -> None:
    if shape != IMAGE_SHAPE:
        raise InputError(
            f"{path} takes images of {shape}. The page makes images of {IMAGE_SHAPE}. Expected a "
            "run or a model for handwritten digits."
        )


def _stack(answers: Any, members: int) -> Probabilities:
    return np.stack(answers) if members > 1 else np.asarray(answers)[None]


def _warmed(reader: Reader) -> Reader:
    """Let the graph be built for one image and for several, before someone waits for it."""
    for count in (1, 2):
        reader.answer(np.zeros((count, *IMAGE_SHAPE), np.uint8))
    return reader
