"""``json+h5``: the architecture as JSON, the weights as HDF5 beside it; on every backend."""

from pathlib import Path
from typing import Any

from kaggle_digits.backend import BACKENDS, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format
from kaggle_digits.exporting.keras_archive import of_model
from kaggle_digits.files import read_json
from kaggle_digits.formats import keras_models

WEIGHTS = ".weights.h5"


def weights_of(path: Path) -> Path:
    """Return where the weights of the architecture at ``path`` lie: X.json, X.weights.h5."""
    return path.with_name(path.name.removesuffix(".json") + WEIGHTS)


def files(path: Path) -> tuple[Path, ...]:
    """Return both files of an export."""
    return path, weights_of(path)


def write(model: Any, path: Path) -> None:
    """Write both files, as Keras's tutorials do."""
    path.write_text(model.to_json(indent=2) + "\n", encoding="utf-8")
    model.save_weights(weights_of(path))


def open_model(path: Path) -> predictor.Predictor:
    """Return the model of the architecture at ``path`` and the weights beside it.

    Keras reads an architecture in its safe mode unless somebody switched that off: no code is run.
    """
    weights = weights_of(path)
    with predictor.reading(path, "the JSON of a Keras model's architecture"):
        model = keras_models.load_architecture(path)
        if not isinstance(model, start_keras().Model):
            raise InputError(
                f"{path} is no architecture: it describes a {type(model).__name__}. Expected the "
                "JSON that a Keras model's to_json() gives."
            )
        if not weights.is_file():
            raise InputError(
                f"{path} has no weights: there is no {weights}. Expected both files of the export "
                "in one folder; copy the other one there, too."
            )
    with predictor.reading(weights, f"the weights that belong to {path}"):
        keras_models.load_weights_file(model, weights)
    return of_model(path, model)


def require_replaceable(path: Path) -> None:
    """Raise InputError unless there is nothing, or a Keras architecture (with its weights)."""
    try:
        is_ours = {"class_name", "config"} <= set(read_json(path))
    except FileNotFoundError:
        if weights_of(path).is_file():
            raise InputError(
                f"{weights_of(path)} exists, and no {path.name} that it belongs to. It was left as "
                "it is; expected a new --output."
            ) from None
        return
    except (OSError, ValueError, TypeError):
        is_ours = False
    if not is_ours:
        raise InputError(
            f"{path} exists and is no Keras architecture. It was left as it is; expected a new "
            "--output, or that of an earlier export."
        )


JSON_H5 = Format(
    name="json+h5",
    suffix=".json",
    write=write,
    opened=open_model,
    example="import keras\n"
    'model = keras.models.model_from_json(open("{path}").read())\n'
    'model.load_weights("{weights}")\n'
    "probabilities = model.predict(images)",
    backends=BACKENDS,
    files=files,
    require_replaceable=require_replaceable,
)
