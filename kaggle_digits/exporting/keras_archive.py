"""``.keras``: Keras's own format, one file, on every backend."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_digits.backend import BACKENDS
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format
from kaggle_digits.formats import keras_models


def write(model: Any, path: Path) -> None:
    """Write ``model`` in one file."""
    model.save(path)


def open_model(path: Path) -> predictor.Predictor:
    """Return the model at ``path``, read in Keras's safe mode: no code in it is run."""
    with predictor.reading(path, "a complete .keras file"):
        return of_model(path, keras_models.load(path))


def of_model(path: Path, model: Any) -> predictor.Predictor:
    """Return the predictor of a Keras model that was read from ``path``."""
    inputs = [(tensor.shape, tensor.dtype) for tensor in model.inputs]
    opened = predictor.of(path, inputs, model.predict_on_batch)
    last = model.layers[-1]
    if type(last).__name__ != "Average":  # not what `export --ensemble` ends a model with
        return opened
    import keras

    return replace(opened, members=keras.Model(model.inputs, last.input).predict_on_batch)


KERAS = Format(
    name="keras",
    suffix=".keras",
    write=write,
    open_model=open_model,
    example="import keras\n"
    'model = keras.models.load_model("{path}")\n'
    "probabilities = model.predict(images)",
    backends=BACKENDS,
    needs_layers=True,
)
