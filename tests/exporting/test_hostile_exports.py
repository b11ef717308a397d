"""Malicious SavedModel, ONNX and TFLite files run no code and do not fill the memory."""

import numpy as np
import pytest

from kaggle_digits import exporting
from kaggle_digits.backend import start_keras
from kaggle_digits.cli import predict
from kaggle_digits.errors import InputError
from tests import product
from tests.exporting.test_exporting import SHAPE, small_network
from tests.exporting.test_hostile_models import memory


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Return a SavedModel that writes a file when it is asked, and where."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("program")
    written = folder / "written"

    class Program(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.uint8, name="images")])
        def serve(self, images):
            with tf.control_dependencies([tf.io.write_file(str(written), "stolen")]):
                return {"p": tf.nn.softmax(tf.reshape(tf.cast(images, "float32"), [-1, 784]))}

    model = Program()
    tf.saved_model.save(model, str(folder / "digits"), signatures=model.serve)
    return folder / "digits", written


def test_a_saved_model_is_a_program(program):
    path, written = program
    with pytest.raises(InputError, match=r"is a SavedModel: a program that .* Expected --trust"):
        exporting.open_model(path)
    with pytest.raises(InputError, match=r"Expected --trust"):
        predict._of_model(path, trust=False)
    assert not written.exists()
    predict._of_model(path, trust=True)
    assert written.read_text() == "stolen"  # so it is one
    written.unlink()


@pytest.mark.parametrize("name", ["digits.keras", "digits.ONNX", "digits.tflite", "digits.json"])
def test_a_folder_is_no_file(name, program, tmp_path):
    path, written = program
    (tmp_path / name).symlink_to(path)
    for trust in (False, True):
        with pytest.raises(InputError, match=rf"{name} is a folder. Expected a file"):
            exporting.open_model(tmp_path / name, trust=trust)
    assert not written.exists()


def test_the_command_asks_for_trust(program, tmp_path):
    path, written = program
    (tmp_path / "digits.keras").symlink_to(path)
    expected = "Expected --trust", "is a folder. Expected a file"
    for model, said in zip((path, "digits.keras"), expected, strict=True):
        done = product.run("predict", "--model", model, "a.png", cwd=tmp_path, code=2)
        assert said in done.stderr
    assert not written.exists()


def onnx_model(nodes, initializers):
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *SHAPE])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 10])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("where", ["{0}/secret", "../secret", "secret", "/dev/zero", "initializer"])
def test_onnx_reads_no_other_file(where, tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.zeros((784, 10), np.float32), "w")
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["l"]),
        helper.make_node("Softmax", ["l"], ["p"]),
    ]
    (tmp_path / "in").mkdir()
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "secret").write_bytes(weights.raw_data)
    path = tmp_path / "in" / "m.onnx"
    path.write_bytes(onnx_model(nodes, [weights]).SerializeToString())
    assert exporting.open_model(path).classes == 10

    weights.ClearField("raw_data")
    if where != "initializer":
        weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=where.format(tmp_path))
    constant = [helper.make_node("Constant", [], ["w"], value=weights), *nodes]
    for model in (onnx_model(nodes, [weights]), onnx_model(constant, [])):
        path.write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match=r"its weights are in another file. Expected one file"):
            exporting.open_model(path)


def test_onnx_makes_no_more_values_than_allowed(tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["z"], keepdims=0),
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Slice", ["m", "zero", "ten", "one"], ["c"]),
        helper.make_node("Add", ["c", "z"], ["l"]),
        helper.make_node("Softmax", ["l"], ["p"]),
    ]
    numbers = {"s": [2_000_000_000], "zero": [0], "ten": [10], "one": [1]}
    arrays = [numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()]
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(nodes, arrays).SerializeToString())
    before = memory()
    with pytest.raises(
        InputError, match=r"a part of it computes 2,000,000,000 values. Expected at mo"
    ):
        exporting.open_model(path)
    assert memory() - before < 0.3


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "m.tflite"
    exporting.find("tflite").write(small_network(), path)
    return path.read_bytes()


def changed_lite(content, change):
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("called", ["FlexWriteFile", "Mine", None])
def test_tflite_calls_its_own_operations_alone(called, lite, tmp_path):
    def change(model):
        model.operatorCodes[0].builtinCode = 32
        model.operatorCodes[0].deprecatedBuiltinCode = 32
        model.operatorCodes[0].customCode = called

    path = tmp_path / "m.tflite"
    path.write_bytes(changed_lite(lite, lambda _: None))
    assert exporting.open_model(path).classes == 10
    path.write_bytes(changed_lite(lite, change))
    with pytest.raises(InputError, match=rf"it calls {called or 'an operation'}, which is not"):
        exporting.open_model(path)


def test_tflite_makes_no_more_values_than_allowed(lite, tmp_path):
    def change(model):
        tensors = model.subgraphs[0].tensors
        empty = [tensor for tensor in tensors if model.buffers[tensor.buffer].data is None]
        empty[1].shape = [1, 100_000, 100_000, 1]

    path = tmp_path / "m.tflite"
    path.write_bytes(changed_lite(lite, change))
    with pytest.raises(InputError, match=r"computes 10,000,000,000 values per image"):
        exporting.open_model(path)
