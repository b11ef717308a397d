"""``saved-model``: a TensorFlow SavedModel, a folder; what TensorFlow Serving takes."""

import json
from pathlib import Path
from typing import Any

from kaggle_digits.backend import quiet_stderr, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor
from kaggle_digits.exporting.format import Format

# TensorFlow keeps assets.extra for whatever others want to put beside a model.
MARKER = Path("assets.extra", "kaggle-digits.json")
INPUT = "images"
SIGNATURE = "serving_default"


def signature(model: Any) -> list[Any]:
    """Return what an exported model takes, under a name that says it."""
    import keras

    tensor = model.inputs[0]
    return [keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=INPUT)]


def write(model: Any, path: Path) -> None:
    """Write the folder at ``path``, with a note that it is ours to replace."""
    import tensorflow as tf

    try:
        model.export(path, format="tf_saved_model", verbose=False, input_signature=signature(model))
    except tf.errors.OpError as error:  # TensorFlow writes files by itself: no OSError comes
        raise OSError(error.message.rpartition("; ")[2].partition(" [Op:")[0]) from error
    note = path / MARKER
    note.parent.mkdir()
    note.write_text(json.dumps({"made_by": "kaggle-digits export"}) + "\n", encoding="utf-8")


def require_saved_model(path: Path) -> None:
    """Raise InputError unless ``path`` is the folder of a SavedModel."""
    if not (path / "saved_model.pb").is_file():
        is_run = (path / "run.json").exists()
        kind = "a run's folder" if is_run else "no SavedModel: it holds no saved_model.pb"
        advice = f"make one with: kaggle-digits export {path}" if is_run else "choose another one"
        raise InputError(f"{path} is {kind}. Expected an exported model; {advice}.")


def open_model(path: Path) -> predictor.Predictor:
    """Return the model in the folder ``path``. It is a program: open only what you trust."""
    start_keras()
    import tensorflow as tf

    with predictor.reading(path, "a whole SavedModel"), quiet_stderr():
        model = tf.saved_model.load(str(path))
        if SIGNATURE not in model.signatures:
            raise InputError(
                f"{path} offers {', '.join(model.signatures) or 'nothing'}. Expected a SavedModel "
                f"with the signature {SIGNATURE}, as `kaggle-digits export` writes it."
            )
        serve = model.signatures[SIGNATURE]
    inputs = serve.structured_input_signature[1]

    def answer(images: "predictor.Images") -> Any:
        # The closure keeps `model`, whose variables would be gone without it.
        served = model.signatures[SIGNATURE](**{next(iter(inputs)): tf.constant(images)})
        (probabilities,) = served.values()
        return probabilities.numpy()

    declared = [
        (("any shape",) if spec.shape.rank is None else spec.shape.as_list(), spec.dtype.name)
        for spec in inputs.values()
    ]
    return predictor.of(path, declared, answer)


def require_replaceable(path: Path) -> None:
    """Raise InputError if ``path`` is anything but an empty folder or an export of ours."""
    if path.is_file():
        raise InputError(
            f"{path} is a file. Expected the name of a folder, for a SavedModel is one."
        )
    if path.is_dir() and any(path.iterdir()) and not (path / MARKER).is_file():
        raise InputError(
            f"{path} is not empty, and no SavedModel that `export` made: it lacks {MARKER}. It was "
            "left as it is; expected a new --output, or that of an earlier export."
        )


SAVED_MODEL = Format(
    name="saved-model",
    suffix=".savedmodel",
    write=write,
    opened=open_model,
    example="import tensorflow as tf\n"
    'model = tf.saved_model.load("{path}")\n'
    "probabilities = model.serve(images).numpy()",
    require_replaceable=require_replaceable,
)
