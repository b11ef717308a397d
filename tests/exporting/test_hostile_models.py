"""Malicious models run no code, read no files and do not fill the memory."""

import io
import json
import resource
import tracemalloc
import zipfile
from dataclasses import asdict

import h5py
import numpy as np
import pytest

from kaggle_digits import exporting
from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.formats import keras_architecture, keras_models
from kaggle_digits.recipes import RECIPES
from kaggle_digits.training import building, fit, predicting
from tests.exporting.test_exporting import SHAPE, small_network

IMAGES = np.zeros((2, *SHAPE), np.uint8)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return architecture and weights of a small model."""
    path = tmp_path_factory.mktemp("model") / "m.keras"
    small_network().save(path)
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def write_archive(path, architecture, weights, *, how=zipfile.ZIP_STORED, **others):
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr("config.json", json.dumps(architecture))
        archive.writestr("model.weights.h5", weights)
        for name, content in others.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def copy(value):
    return json.loads(json.dumps(value))


def memory() -> float:
    """Return the most memory that this process had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def test_an_untouched_model_opens(parts, tmp_path):
    path = write_archive(tmp_path / "m.keras", *parts)
    assert exporting.open_model(path).probabilities(IMAGES).shape == (2, 10)
    (tmp_path / "link.keras").symlink_to(path)  # the user's own, by its name
    assert exporting.open_model(tmp_path / "link.keras").classes == 10


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_known(name):
    """A new layer or operation in a recipe has to be added to what is opened."""
    keras_architecture.require_openable(name, json.loads(RECIPES[name].complete().to_json()))


def test_so_are_checkpoints(tmp_path):
    recipe = RECIPES["bn20"]
    network = building.build_network(recipe, fit.resolve_precision(recipe.training))
    network.compile(
        optimizer=building.make_optimizer(recipe.training, 10), loss="categorical_crossentropy",
        metrics=["accuracy"],
    )  # fmt: skip
    network.save(tmp_path / "checkpoint.keras")
    again = predicting.load_model(tmp_path / "checkpoint.keras")
    assert type(again.optimizer).__name__ == "RMSprop"
    predicting.load_weights(again, tmp_path / "checkpoint.keras")


# -------------------------------------------------------------------------------------- classes


def hostile(architecture, **changes):
    """Return the architecture with another third layer."""
    changed = copy(architecture)
    changed["config"]["layers"][2] |= changes
    return changed


GET_FILE = {"class_name": "function", "config": "get_file", "registered_name": "get_file"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"class_name": "TFSMLayer"}, r"holds keras\.layers\.TFSMLayer, which may do more"),
        ({"class_name": "StringLookup"}, r"keras\.layers\.StringLookup"),
        ({"class_name": "TorchModuleWrapper"}, r"TorchModuleWrapper"),
        ({"class_name": "deserialize"}, r"keras\.layers\.deserialize"),
        ({"class_name": "Popen", "module": "subprocess"}, r"subprocess\.Popen"),
        ({"class_name": "get_file", "module": "keras.utils"}, r"keras\.utils\.get_file"),
        ({"class_name": "load_model", "module": "keras.models"}, r"keras\.models\.load_model"),
        ({"class_name": "Map", "module": "keras.src.ops.core"}, r"keras\.src\.ops\.core\.Map"),
        ({"module": "keras.src.layers.core.lambda_layer"}, r"lambda_layer\.Conv2D"),
        ({"module": None}, r"holds Conv2D"),
        ({"registered_name": "evil>Conv2D"}, r"keras\.layers\.Conv2D"),
        ({"class_name": ["Conv2D"]}, r"keras\.layers\.\['Conv2D'\]"),
        ({"config": {"activation": GET_FILE | {"module": "keras.utils"}}}, r"utils\.function"),
        ({"config": {"kernel_initializer": {"class_name": "__lambda__"}}}, r"Lambda layer"),
        ({"config": {"x": [{"y": {"class_name": "__typespec__"}}]}}, r"__typespec__"),
        ({"class_name": "Lambda"}, r"Lambda layer: Python code"),
    ],
)
def test_only_known_classes_are_opened(changes, expected, parts, tmp_path):
    architecture, weights = parts
    changed = hostile(architecture, **changes)
    (tmp_path / "m.json").write_text(json.dumps(changed))
    (tmp_path / "m.weights.h5").write_bytes(weights)
    write_archive(tmp_path / "m.keras", changed, weights)
    for name in ("m.json", "m.keras"):
        with pytest.raises(InputError, match=expected):
            exporting.open_model(tmp_path / name)
    with pytest.raises(InputError, match=expected):
        predicting.load_model(tmp_path / "m.keras")


def test_a_layer_without_a_module_is_not_looked_up(parts, tmp_path):
    """Keras would take it for one of an earlier version, whose Lambda layers it loads."""
    changed = copy(parts[0])
    del changed["config"]["layers"][2]["module"]
    path = write_archive(tmp_path / "m.keras", changed, parts[1])
    with pytest.raises(InputError, match=r"it holds Conv2D, which may do more"):
        exporting.open_model(path)


def test_classes_of_this_process_are_known(keras, tmp_path):
    @keras.saving.register_keras_serializable(package="mine")
    class Twice(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, _):
            # No initializer that could wait: without memory for it this cannot be built.
            self.two = keras.Variable(np.array(2.0, np.float32))

        def call(self, values):
            return values * self.two

    network = keras.Sequential(
        [
            keras.Input(SHAPE, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            Twice(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    network.save(tmp_path / "m.keras")
    assert exporting.open_model(tmp_path / "m.keras").classes == 10


def test_a_layer_that_is_called_without_an_input_computes_nothing(keras, tmp_path):
    images = keras.Input(SHAPE, dtype="uint8")
    values = keras.layers.Flatten()(images)
    outputs = keras.layers.Dense(10, activation="softmax")(values)
    model = keras.Model(images, outputs)
    architecture = json.loads(model.to_json())
    node = {"args": [{"class_name": "__numpy__", "config": {"value": [[1.0]], "dtype": "f4"}}]}
    architecture["config"]["layers"][2]["inbound_nodes"].append(node | {"kwargs": {}})
    (tmp_path / "m.json").write_text(json.dumps(architecture))
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(InputError, match=r"its Dense is called without an input"):
        exporting.open_model(tmp_path / "m.json")


# ----------------------------------------------------------------------------------------- size


@pytest.mark.parametrize("units", [400_000_000, 4_000_000])
def test_parameters_are_counted_before_they_take_memory(units, keras, tmp_path):
    model = keras.Sequential(
        [keras.Input(SHAPE, dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    exporting.find("json+h5").write(model, tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text().replace('"units": 10', f'"units": {units}')
    (tmp_path / "m.json").write_text(text)
    write_archive(tmp_path / "m.keras", json.loads(text), (tmp_path / "m.weights.h5").read_bytes())
    before = memory()
    opens = (
        lambda: exporting.open_model(tmp_path / "m.json"),
        lambda: exporting.open_model(tmp_path / "m.keras"),
        lambda: predicting.load_model(tmp_path / "m.keras"),
    )
    for open_ in opens:
        with pytest.raises(InputError, match=rf"has {785 * units:,} parameters. Expected at most"):
            open_()
    assert memory() - before < 0.3


def test_a_layer_alone_is_not_built(parts, tmp_path):
    """Keras builds it from its `build_config`, which needs no input."""
    layer = {
        "class_name": "Dense", "module": "keras.layers", "registered_name": None,
        "config": {"units": 10_500}, "build_config": {"input_shape": [None, 10_500]},
    }  # fmt: skip
    path = write_archive(tmp_path / "m.keras", layer, parts[1])
    before = memory()
    for open_ in (exporting.open_model, predicting.load_model):
        with pytest.raises(InputError, match=r"not describe a model but a Dense\. Expected"):
            open_(path)
    assert memory() - before < 0.3


@pytest.mark.parametrize("layer", ["UpSampling2D", "ZeroPadding2D", "RepeatVector"])
def test_values_between_layers_are_counted(layer, keras, tmp_path):
    kind = getattr(keras.layers, layer)
    path = tmp_path / "m.keras"
    flat = [keras.layers.Flatten()] if layer == "RepeatVector" else []
    with keras.StatelessScope(initialize_variables=False):  # to make it takes no memory, either
        model = keras.Sequential([keras.Input(SHAPE, dtype="uint8"), *flat, kind(100_000)])
    weights = io.BytesIO()
    with h5py.File(weights, "w"):
        pass
    write_archive(path, json.loads(model.to_json()), weights.getvalue())
    before = memory()
    with pytest.raises(InputError, match=r"computes [\d,]+ values per image. Expected at most 1,0"):
        exporting.open_model(path)
    assert memory() - before < 0.3


def test_images_too_large_are_refused(keras, tmp_path):
    model = keras.Sequential(
        [keras.Input((50_000, 50_000, 1), dtype="uint8"), keras.layers.GlobalAveragePooling2D()]
    )
    model.save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"2,500,000,000 values per image"):
        exporting.open_model(tmp_path / "m.keras")


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_unpacked(how, parts, tmp_path):
    path = tmp_path / "m.keras"
    bomb = bytes(200 << 20)
    write_archive(path, parts[0], bomb, how=how)
    assert path.stat().st_size < 1 << 20
    before = memory()
    with pytest.raises(InputError, match=r"config.json in it is compressed. Expected .*zip -0"):
        exporting.open_model(path)
    assert memory() - before < 0.1


def test_members_are_those_that_keras_writes(parts, tmp_path):
    path = write_archive(tmp_path / "m.keras", *parts, assets__a="x")
    with pytest.raises(InputError, match=r"it holds 'assets/a'. Expected a complete .keras file"):
        exporting.open_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"it lacks model.weights.h5"):
        exporting.open_model(path)


def test_a_long_list_of_members_takes_no_memory(parts, tmp_path):
    path = write_archive(tmp_path / "m.keras", *parts)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(25_000):
            archive.writestr(f"{number}", b"")
    tracemalloc.start()
    for open_ in (exporting.open_model, predicting.load_model):
        with pytest.raises(InputError, match=r"truncated, or not a zip of a few members"):
            open_(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_an_architecture_without_end_is_not_read(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_models, "MAX_ARCHITECTURE_BYTES", 1000)
    path = write_archive(tmp_path / "m.keras", *parts)
    with pytest.raises(
        InputError, match=r"config.json in it has [\d,]+ bytes. Expected at most 1,"
    ):
        exporting.open_model(path)
    monkeypatch.setattr(keras_architecture, "MAX_OBJECTS", 10)
    monkeypatch.setattr(keras_models, "MAX_ARCHITECTURE_BYTES", 1 << 20)
    with pytest.raises(InputError, match=r"describes \d+ objects. Expected at most 10"):
        exporting.open_model(path)


def test_too_little_memory_is_no_damage(parts, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 2 GiB")

    path = write_archive(tmp_path / "m.keras", *parts)
    monkeypatch.setattr(keras_models, "load", fail)
    for open_ in (exporting.open_model, predicting.load_model):
        with pytest.raises(OutsideError, match=r"out of memory: Unable to allocate 2 GiB"):
            open_(path)


def test_an_architecture_nested_without_end_is_refused(parts, tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 100_000 + "]" * 100_000)
        archive.writestr("model.weights.h5", parts[1])
    with pytest.raises(InputError, match=r"m.keras cannot be opened"):
        exporting.open_model(path)
    with pytest.raises(InputError, match=r"m.keras is not a readable model"):
        predicting.load_model(path)


@pytest.mark.parametrize("name", ["m.keras", "m.json", "m.onnx", "m.tflite"])
def test_pipes_and_devices_are_not_waited_for(name, tmp_path):
    import os

    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name} cannot be opened: .*it is a named pipe"):
        exporting.open_model(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=rf"{name} cannot be opened: .*it is a device"):
        exporting.open_model(tmp_path / name)


# -------------------------------------------------------------------------------------- weights


def external_link(file):
    file["layers/conv2d/vars/0"] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(file):
    file["layers/conv2d/vars/0"] = h5py.SoftLink("/layers")


def external_storage(file):
    file.create_dataset(
        "layers/conv2d/vars/0", (3, 3, 1, 4), "f4", external=[("/etc/hostname", 0, 144)]
    )


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape=(4,))
    file.create_virtual_dataset("layers/conv2d/vars/0", layout)


def shape_bomb(file):
    file.create_dataset("layers/conv2d/vars/0", (30_000_000_000,), "f4", chunks=(1 << 20,))


def packed_bomb(file):
    file.create_dataset("layers/conv2d/vars/0", data=np.zeros(30_000_000, "f4"), compression="gzip")


def texts(file):
    file.create_dataset("layers/conv2d/vars/0", data=["a", "b"])


def many_bombs(file):
    for number in range(50):
        file.create_dataset(f"bombs/{number}", (15_000_000,), "f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (external_link, r"/0 is a link"),
        (soft_link, r"/0 is a link"),
        (external_storage, r"lies in another file"),
        (virtual, r"lies in another file"),
        (shape_bomb, r"has 0 bytes and becomes 120,000,000,000"),
        (packed_bomb, r"bytes and becomes 120,000,000"),
        (texts, r"holds object"),
        (many_bombs, r"its arrays have 3,\d{3},\d{3},\d{3} bytes"),
    ],
)
def test_weights_are_numbers_in_the_file_itself(change, expected, parts, tmp_path):
    path = tmp_path / "m.weights.h5"
    path.write_bytes(parts[1])
    with h5py.File(path, "r+") as file:
        if "layers/conv2d/vars/0" in file and change is not many_bombs:
            del file["layers/conv2d/vars/0"]
        change(file)
    (tmp_path / "m.json").write_text(json.dumps(parts[0]))
    write_archive(tmp_path / "m.keras", parts[0], path.read_bytes())
    before = memory()
    for open_ in (
        lambda: exporting.open_model(tmp_path / "m.json"),
        lambda: exporting.open_model(tmp_path / "m.keras"),
        lambda: predicting.load_weights(small_network(), tmp_path / "m.keras"),
    ):
        with pytest.raises(InputError, match=rf"in its weights .*{expected}"):
            open_()
    assert memory() - before < 0.3


@pytest.mark.parametrize(
    "network",
    [lambda: small_network(shape=(32, 32, 3)), lambda: two_layers((28, 28)), lambda: two_layers(5)],
    ids=["shape", "no channels", "classes"],
)
def test_a_runs_model_must_fit_it(network, tmp_path):
    from tests.exporting.test_exporting import made_run
    from tests.runs.test_hostile_runs import rewrite, settings

    run = made_run(tmp_path / "run", network=lambda _: network())
    rewrite(run.folder / "run.json", settings=json.loads(json.dumps(asdict(settings()))))
    with pytest.raises(InputError, match=r"fold-1.model.keras (takes|is not a model) .*Expected"):
        predicting.predict_with_run(run, IMAGES)
    if network().input_shape != (None, 32, 32, 3):
        with pytest.raises(
            InputError,
            match=r"fold-1.model.keras is not a model of this run: its input is .*Expected",
        ):
            exporting.export(run, (1,), exporting.find("keras"), tmp_path / "m.keras", tmp_path)


def two_layers(shape):
    """Return a network that takes or gives something else than a run's models."""
    from keras import Input, Sequential, layers

    classes = 10 if isinstance(shape, tuple) else shape
    inputs = shape if isinstance(shape, tuple) else SHAPE
    dense = layers.Dense(classes, activation="softmax")
    return Sequential([Input(inputs, dtype="uint8"), layers.Flatten(), dense])


def test_a_runs_models_must_fit_each_other(tmp_path):
    from tests.exporting.test_exporting import made_run

    shapes = {1: SHAPE, 2: (32, 32, 1)}
    run = made_run(tmp_path / "run", network=lambda number: small_network(shape=shapes[number]))
    with pytest.raises(InputError, match=r"take images of different shapes: .*--fold"):
        exporting.export(run, (1, 2), exporting.find("keras"), tmp_path / "m.keras", tmp_path)
