"""``onnx``: for ONNX Runtime, on nearly every machine and in nearly every language."""

from pathlib import Path
from typing import Any

from kaggle_digits.backend import cores
from kaggle_digits.exporting import predictor, saved_model
from kaggle_digits.exporting.format import Format


def write(model: Any, path: Path) -> None:
    """Write ``model`` through Keras's own export, which uses tf2onnx."""
    signature = saved_model.signature(model)
    model.export(path, format="onnx", verbose=False, input_signature=signature)


def opened(path: Path) -> predictor.Predictor:
    """Return the model at ``path``. Needs neither Keras nor TensorFlow."""
    import onnxruntime

    # A batch a core, not a batch on all cores: small convolutions gain little from several threads.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # nothing but what ends the process: its errors are raised, too
    with predictor.reading(path, "a whole .onnx file"):
        session = onnxruntime.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=False,  # it prints that it tries again, on the same processor
        )
    inputs = session.get_inputs()

    def answer(images: "predictor.Images") -> Any:
        (probabilities,) = session.run(None, {inputs[0].name: images})
        return probabilities

    declared = [(each.shape, each.type.removeprefix("tensor(").rstrip(")")) for each in inputs]
    return predictor.of(path, declared, answer, at_once=cores())


ONNX = Format(
    name="onnx",
    suffix=".onnx",
    write=write,
    opened=opened,
    example="import onnxruntime\n"
    'model = onnxruntime.InferenceSession("{path}")\n'
    '[probabilities] = model.run(None, {{"images": images}})',
    write_needs=("onnx", "onnxruntime", "tf2onnx"),
    open_needs=("onnxruntime",),
)
