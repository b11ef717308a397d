"""``onnx``: for ONNX Runtime, which exists for most platforms and languages."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaggle_digits import safe_reading
from kaggle_digits.backend import cores
from kaggle_digits.errors import InputError
from kaggle_digits.exporting import predictor, saved_model
from kaggle_digits.exporting.format import Format


def write(model: Any, path: Path) -> None:
    """Write ``model`` through Keras's own export, which uses tf2onnx."""
    signature = saved_model.signature(model)
    model.export(path, format="onnx", verbose=False, input_signature=signature)


def open_model(path: Path) -> predictor.Predictor:
    """Return the model at ``path``, a self-contained file. Needs neither Keras nor TensorFlow."""
    import onnxruntime

    # One batch per core, because small convolutions gain little from several threads.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # only fatal messages, because errors are also raised
    with predictor.reading(path, "a complete .onnx file"):
        content = safe_reading.read_bytes(path.resolve(), safe_reading.MAX_FILE_BYTES)
        model = _require_harmless(path, content)
        members = _add_members_to_outputs(model)
        if members:
            content = model.SerializeToString()
        session = onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=False,  # it would print that it retries on the same processor
        )
    inputs = session.get_inputs()
    means = [output.name for output in session.get_outputs() if output.name not in members]

    def answer(images: "predictor.Images") -> Any:
        (probabilities,) = session.run(means, {inputs[0].name: images})
        return probabilities

    def answer_each(images: "predictor.Images") -> Any:
        return session.run(members, {inputs[0].name: images})

    declared = [(each.shape, each.type.removeprefix("tensor(").rstrip(")")) for each in inputs]
    opened = predictor.of(path, declared, answer, at_once=cores())
    return replace(opened, members=answer_each) if members else opened


def _add_members_to_outputs(model: Any) -> list[str]:
    """Let ``model`` also give the probabilities of which its output is the mean.

    `export --ensemble` ends a model with additions and a multiplication by 1/members.

    Returns:
        The names of the new outputs; none if the model does not end like that.

    """
    import onnx

    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    last = makers.get(graph.output[0].name) if len(graph.output) == 1 else None
    if last is None or last.op_type not in {"Mul", "Div"}:
        return []
    waiting, members = [name for name in last.input if name in makers], []
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if maker is not None and maker.op_type in {"Add", "Sum"}:
            waiting += maker.input
        elif maker is None or maker.op_type != "Softmax":
            return []
        else:
            members.append(name)
    if len(members) < 2 or len(set(members)) < len(members):  # noqa: PLR2004 — the mean of several
        return []
    members.reverse()
    for name in members:
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        graph.output.append(value)
    return members


def _require_harmless(path: Path, content: bytes) -> Any:
    """Return the model.

    Raises:
        InputError: it reads other files or exceeds the limits of values.

    """
    import onnx

    model = onnx.load_model_from_string(content)
    for message in _messages(model):
        if isinstance(message, onnx.TensorProto) and (
            message.external_data or message.data_location == onnx.TensorProto.EXTERNAL
        ):
            raise InputError(
                f"{path} cannot be opened: its weights are in another file. Expected one file with "
                "all weights, as `export` writes it. onnx.save merges a model and its files."
            )
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value in _messages(inferred):
        if not isinstance(value, onnx.ValueInfoProto):
            continue
        sizes = [size.dim_value or None for size in value.type.tensor_type.shape.dim]
        of_image = bool(sizes) and sizes[0] is None
        predictor.require_few_values(
            path, math.prod(size or 1 for size in sizes), of_image=of_image
        )
    return model


def _messages(message: Any) -> Iterator[Any]:
    """Yield a Protobuf message and all nested messages."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            repeated = not hasattr(value, "ListFields")
            for inner in value if repeated else [value]:
                yield from _messages(inner)


ONNX = Format(
    name="onnx",
    suffix=".onnx",
    write=write,
    open_model=open_model,
    example="import onnxruntime\n"
    'model = onnxruntime.InferenceSession("{path}")\n'
    '[probabilities] = model.run(None, {{"images": images}})',
    write_needs=("onnx", "onnxruntime", "tf2onnx"),
    open_needs=("onnx", "onnxruntime"),
)
