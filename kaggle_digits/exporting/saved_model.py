"""``saved-model``: a TensorFlow SavedModel, a folder, as used by TensorFlow Serving."""

import json
from pathlib import Path
from typing import Any

from kaggle_digits.backend import quiet_stderr, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format

# TensorFlow reserves assets.extra for files of other programs.
MARKER = Path("assets.extra", "kaggle-digits.json")
INPUT = "images"
SIGNATURE = "serving_default"


def signature(model: Any) -> list[Any]:
    """Return the input signature of an exported model."""
    import keras

    tensor = model.inputs[0]
    return [keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=INPUT)]


def write(model: Any, path: Path) -> None:
    """Write the folder at ``path``, with a marker that a later export may replace it."""
    import tensorflow as tf

    try:
        model.export(path, format="tf_saved_model", verbose=False, input_signature=signature(model))
    except tf.errors.OpError as error:  # TensorFlow raises this instead of OSError
        raise OSError(error.message.rpartition("; ")[2].partition(" [Op:")[0]) from error
    note = path / MARKER
    note.parent.mkdir()
    note.write_text(json.dumps({"made_by": "kaggle-digits export"}) + "\n", encoding="utf-8")


def require_saved_model(path: Path) -> None:
    """Raise InputError unless ``path`` is the folder of a SavedModel."""
    if not (path / "saved_model.pb").is_file():
        is_run = (path / "run.json").exists()
        kind = "a run's folder" if is_run else "not a SavedModel: it has no saved_model.pb"
        advice = f" Write one with: kaggle-digits export {path}" if is_run else ""
        raise InputError(f"{path} is {kind}. Expected an exported model.{advice}")


def open_model(path: Path) -> predictor.Predictor:
    """Return the model in the folder ``path``. It is a program, so open only trusted ones."""
    start_keras()
    import tensorflow as tf

    with predictor.reading(path, "a complete SavedModel"), quiet_stderr():
        model = tf.saved_model.load(str(path))
        if SIGNATURE not in model.signatures:
            raise InputError(
                f"{path} has the signatures {', '.join(model.signatures) or '(none)'}. Expected a "
                f"SavedModel with {SIGNATURE}, as `kaggle-digits export` writes it."
            )
        serve = model.signatures[SIGNATURE]
    inputs = serve.structured_input_signature[1]

    def answer(images: "predictor.Images") -> Any:
        # The closure keeps a reference to `model`, which owns the variables.
        served = model.signatures[SIGNATURE](**{next(iter(inputs)): tf.constant(images)})
        (probabilities,) = served.values()
        return probabilities.numpy()

    declared = [
        (("any shape",) if spec.shape.rank is None else spec.shape.as_list(), spec.dtype.name)
        for spec in inputs.values()
    ]
    return predictor.of(path, declared, answer)


def require_replaceable(path: Path) -> None:
    """Raise InputError unless ``path`` is missing, empty, or a folder that `export` wrote."""
    if path.is_file():
        raise InputError(
            f"{path} is a file. Expected the name of a folder, because a SavedModel is a folder."
        )
    if path.is_dir() and any(path.iterdir()) and not (path / MARKER).is_file():
        raise InputError(
            f"{path} is not empty and not a SavedModel of `export`: it lacks {MARKER}. It is not "
            "overwritten; expected another --output, or that of an earlier export."
        )


SAVED_MODEL = Format(
    name="saved-model",
    suffix=".savedmodel",
    write=write,
    open_model=open_model,
    example="import tensorflow as tf\n"
    'model = tf.saved_model.load("{path}")\n'
    "probabilities = model.serve(images).numpy()",
    require_replaceable=require_replaceable,
)
