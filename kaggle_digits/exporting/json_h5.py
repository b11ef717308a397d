"""``json+h5``: the architecture as JSON and the weights as HDF5, on every backend."""

from pathlib import Path
from typing import Any

from kaggle_digits.backend import BACKENDS
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format
from kaggle_digits.exporting.keras_archive import of_model
from kaggle_digits.formats import keras_models
from kaggle_digits.safe_reading import read_json

WEIGHTS = ".weights.h5"


def weights_of(path: Path) -> Path:
    """Return the path of the weights of the architecture at ``path``: X.weights.h5 for X.json."""
    return path.with_name(path.name.removesuffix(".json") + WEIGHTS)


def files(path: Path) -> tuple[Path, ...]:
    """Return both files of an export."""
    return path, weights_of(path)


def write(model: Any, path: Path) -> None:
    """Write both files."""
    path.write_text(model.to_json(indent=2) + "\n", encoding="utf-8")
    model.save_weights(weights_of(path))


def open_model(path: Path) -> predictor.Predictor:
    """Return the model of the architecture at ``path`` and the weights beside it.

    Keras reads an architecture in its safe mode by default, so no code is run.
    """
    weights = weights_of(path)
    with predictor.reading(path, "the JSON of a Keras model's architecture"):
        model = keras_models.load_architecture(path)
        if not weights.is_file():
            raise InputError(
                f"{path} has no weights: {weights} does not exist. Expected both files of the "
                "export in one folder."
            )
    with predictor.reading(weights, f"the weights that belong to {path}"):
        keras_models.load_weights_file(model, weights)
    return of_model(path, model)


def require_replaceable(path: Path) -> None:
    """Raise InputError if ``path`` exists and is not a Keras architecture."""
    try:
        is_ours = {"class_name", "config"} <= set(read_json(path))
    except FileNotFoundError:
        if weights_of(path).is_file():
            raise InputError(
                f"{weights_of(path)} exists without {path.name}. It is not overwritten; expected "
                "another --output."
            ) from None
        return
    except (OSError, ValueError, TypeError):
        is_ours = False
    if not is_ours:
        raise InputError(
            f"{path} exists and is not a Keras architecture. It is not overwritten; expected "
            "another --output, or that of an earlier export."
        )


JSON_H5 = Format(
    name="json+h5",
    suffix=".json",
    write=write,
    open_model=open_model,
    example="import keras\n"
    'model = keras.models.model_from_json(open("{path}").read())\n'
    'model.load_weights("{weights}")\n'
    "probabilities = model.predict(images)",
    backends=BACKENDS,
    needs_layers=True,
    files=files,
    require_replaceable=require_replaceable,
)
