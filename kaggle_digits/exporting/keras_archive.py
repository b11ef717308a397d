"""``.keras``: Keras's own format, one file, on every backend."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.backend import BACKENDS, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format


def write(model: Any, path: Path) -> None:
    """Write ``model`` in one file."""
    model.save(path)


def opened(path: Path) -> predictor.Predictor:
    """Return the model at ``path``, in Keras's safe mode: no code in it is run."""
    with predictor.reading(path, "a whole .keras file"):
        with zipfile.ZipFile(path) as archive:
            refuse_code(path, json.loads(archive.read("config.json")))
        keras = start_keras()
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        return of_model(path, model)


def of_model(path: Path, model: Any) -> predictor.Predictor:
    """Return the predictor of a Keras model that was read from ``path``."""
    inputs = [(tensor.shape, tensor.dtype) for tensor in model.inputs]
    return predictor.of(path, inputs, model.predict_on_batch)


def refuse_code(path: Path, architecture: Any) -> None:
    """Raise InputError if the JSON of an architecture holds Python code.

    Keras's safe mode refuses it as well, but advises to switch that off.
    """
    if any(name in {"Lambda", "__lambda__"} for name in _class_names(architecture)):
        raise InputError(
            f"{path} holds a Lambda layer: Python code that would run here. Expected a model of "
            "Keras's own layers; replace the Lambda, or take a model from somebody you trust."
        )


def _class_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield str(value.get("class_name"))
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _class_names(inner)


KERAS = Format(
    name="keras",
    suffix=".keras",
    write=write,
    opened=opened,
    example="import keras\n"
    'model = keras.models.load_model("{path}")\n'
    "probabilities = model.predict(images)",
    backends=BACKENDS,
)
