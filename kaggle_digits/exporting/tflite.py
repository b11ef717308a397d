"""``tflite``: TensorFlow Lite, also called LiteRT, for phones and microcontrollers."""

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

from kaggle_digits import safe_reading
from kaggle_digits.backend import quiet_stderr, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor, saved_model
from kaggle_digits.exporting.format import Format


def write(model: Any, path: Path) -> None:
    """Write ``model`` in float32, without quantisation."""
    import tensorflow as tf

    # Keras's own export to this format does not allow naming the input.
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder, "model")
        saved_model.write(model, between)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(between))
        path.write_bytes(converter.convert())


def open_model(path: Path) -> predictor.Predictor:
    """Return the model at ``path``."""
    start_keras()
    with predictor.reading(path, "a complete .tflite file"), quiet_stderr():
        content = safe_reading.read_bytes(path.resolve(), safe_reading.MAX_FILE_BYTES)
        _require_harmless(path, content)
        interpreter = _interpreter(content)
        inputs = interpreter.get_input_details()
        outputs = interpreter.get_output_details()

    def answer(images: "predictor.Images") -> Any:
        interpreter.resize_tensor_input(inputs[0]["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(inputs[0]["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(outputs[0]["index"])

    declared = [(each["shape_signature"].tolist(), each["dtype"].__name__) for each in inputs]
    with quiet_stderr():  # the first prediction logs the delegate
        return predictor.of(path, declared, answer)


def _require_harmless(path: Path, content: bytes) -> None:
    """Raise InputError if the model uses custom operations or computes too many values."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.OperatorCodesLength()):
        operation = model.OperatorCodes(number)
        if schema.BuiltinOperator.CUSTOM in (
            operation.BuiltinCode(),
            operation.DeprecatedBuiltinCode(),
        ):
            called = (operation.CustomCode() or b"an operation").decode(errors="replace")
            raise InputError(
                f"{path} cannot be opened: it calls {called[:100]}, which is not one of TensorFlow "
                "Lite's own operations and may read and write files. Expected only those, as "
                "`export` writes them."
            )
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            if model.Buffers(tensor.Buffer()).DataLength() == 0:  # not a weight
                sizes = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
                predictor.require_few_values(path, math.prod(sizes), of_image=True)


def _interpreter(content: bytes) -> Any:
    import tensorflow as tf

    with warnings.catch_warnings():
        # Announced for removal in TensorFlow 2.20, but still there in 2.21.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        # Given a path, the interpreter maps the file unchecked; a damaged file kills the process.
        return tf.lite.Interpreter(model_content=content)


TFLITE = Format(
    name="tflite",
    suffix=".tflite",
    write=write,
    open_model=open_model,
    example="import tensorflow as tf\n"
    'model = tf.lite.Interpreter("{path}").get_signature_runner()\n'
    'probabilities = model(images=images)["output_0"]',
)
