"""Whatever a run's models are written as, they answer as before; anything else is refused."""

import importlib.util
import json
import resource
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from kaggle_digits import exporting, files
from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.exporting import comparing, keras_archive, predictor
from kaggle_digits.recipes import find
from kaggle_digits.runs import Run
from tests import product
from tests.helpers import write_competition

SHAPE = (28, 28, 1)
IMAGES = comparing.drawings(20, SHAPE)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


def shaken(model, seed=0):
    """Return ``model`` with weights that make every layer and every class count."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ in {"BatchNormalization", "Dense"}:
            layer.set_weights(
                [weight + random.uniform(0, 0.3, weight.shape) for weight in layer.get_weights()]
            )
    return model


def small_network(seed=0, shape=SHAPE, dtype="uint8", end="softmax"):
    """Return a small network of the kinds of layers that the recipes use."""
    from keras import Input, Sequential, layers, utils

    utils.set_random_seed(seed)
    return shaken(
        Sequential(
            [
                Input(shape, dtype=dtype),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3, padding="same", activation="relu"),
                layers.BatchNormalization(axis=1),
                layers.MaxPooling2D(4),
                layers.ZeroPadding2D(1),
                layers.Conv2D(4, 2, activation="selu"),
                layers.BatchNormalization(),
                layers.Dropout(0.25),
                layers.Flatten(),
                layers.Dense(10, activation=end),
            ]
        ),
        seed,
    )


def made_run(folder, members=2, network=small_network):
    """Return a folder like that of a finished run."""
    for number in range(1, members + 1):
        path = folder / f"fold-{number}" / "model.keras"
        path.parent.mkdir(parents=True)
        model = network(number)
        model.compile(optimizer="rmsprop", loss="categorical_crossentropy")
        model.save(path)
    settings = {"folds": members, "seeds": 1, "recipe": "bn20"}
    (folder / "run.json").write_text(json.dumps({"state": "finished", "settings": settings}))
    return Run(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def said(keras, run):
    """Return what each of the run's own models says about IMAGES, by its number."""
    return {
        number: keras.models.load_model(run.fold(number) / "model.keras", compile=False).predict(
            IMAGES, verbose=0
        )
        for number in (1, 2)
    }


@pytest.fixture
def at_once(monkeypatch):
    """Open exports in this process, which need not start TensorFlow again."""
    monkeypatch.setattr(
        comparing,
        "_fresh_answers",
        lambda path, images, _: exporting.open_model(path, trust=True).probabilities(images),
    )


def export(run, name, path, numbers=(1,), data=Path("nosuch")):
    return exporting.export(run, numbers, exporting.find(name), path, data)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def deslanting(keras, tmp_path_factory):
    """Return a run whose models deslant, and its mean probabilities of IMAGES."""

    def network(number):
        recipe = replace(find("record-width"), network=lambda: small_network(number))
        return recipe.complete()

    run = made_run(tmp_path_factory.mktemp("deslanting") / "run", network=network)
    models = [keras.models.load_model(path, compile=False) for path in run.models()]
    expected = np.mean([model.predict(IMAGES, verbose=0) for model in models], axis=0)
    slanted = np.mean([small_network(n).predict(IMAGES, verbose=0) for n in (1, 2)], axis=0)
    assert np.abs(expected - slanted).max() > 1e-3
    return run, expected


@pytest.fixture
def answering(request, said, run, deslanting):
    """Return a run, the numbers of its models, and their mean probabilities of IMAGES."""
    if request.param == "single":
        return run, (1,), said[1]
    deslants, expected = deslanting
    return deslants, (1, 2), expected


@pytest.mark.parametrize(
    "answering",
    [pytest.param("single", marks=pytest.mark.slow), "deslanting-ensemble"],
    indirect=True,
)
@pytest.mark.parametrize("name", exporting.FORMATS)
@pytest.mark.usefixtures("at_once")
def test_every_format_answers_like_the_run(name, answering, tmp_path):
    run, numbers, expected = answering
    format_ = exporting.find(name)
    path = tmp_path / f"a.b{format_.suffix}"
    done = export(run, name, path, numbers)
    assert (done.image_shape, done.classes) == (SHAPE, 10)
    assert [file for file, _ in done.files] == list(format_.files(path))
    assert all(size > 1000 for _, size in done.files)
    assert left(tmp_path) == sorted(file.name for file in format_.files(path))
    opened = exporting.open_model(path, trust=True)
    found = opened.probabilities(IMAGES)
    assert (found.dtype.name, opened.image_shape, opened.classes) == ("float32", SHAPE, 10)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    elsewhere = {"images": IMAGES}
    exec(format_.loading(path), elsewhere)  # noqa: S102 — what users are told to type
    np.testing.assert_allclose(elsewhere["probabilities"], expected, atol=1e-5)


def test_the_two_models_differ(said):
    """Or no test here could tell which of them was exported."""
    assert np.abs(said[1] - said[2]).max() > 0.05
    assert said[1].std(axis=0).max() > 0.01  # and the images are told apart


@pytest.mark.parametrize(
    "name",
    [
        "bn20-original",
        "record-width",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("bn20", "bn20-selu", "dense", "cifar-deep")
        ),
    ],
)
def test_every_kind_of_network_becomes_onnx(name, tmp_path):
    model = shaken(find(name).complete())
    images = comparing.drawings(20, find(name).image_shape)
    exporting.find("onnx").write(model, tmp_path / "m.onnx")
    found = exporting.open_model(tmp_path / "m.onnx").probabilities(images)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=comparing.TOLERANCE)


def test_colour_images(tmp_path):
    model = small_network(shape=(32, 32, 3))
    exporting.find("onnx").write(model, tmp_path / "m.onnx")
    images = comparing.drawings(300, (32, 32, 3))  # more than a batch
    found = exporting.open_model(tmp_path / "m.onnx").probabilities(images)
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)


def test_batches_may_be_answered_at_the_same_time(tmp_path):
    both = threading.Barrier(2, timeout=30)  # broken unless two threads wait for each other
    images = comparing.drawings(2 * predictor.BATCH, SHAPE)

    def answer(batch):
        both.wait()
        return batch.reshape(len(batch), -1)[:, 300:310]

    found = predictor.Predictor(tmp_path, SHAPE, 10, answer, at_once=2).probabilities(images)
    np.testing.assert_array_equal(found, images.reshape(len(images), -1)[:, 300:310])


def test_what_fails_in_a_thread_is_raised(tmp_path):
    def answer(batch):
        raise MemoryError(len(batch))

    with pytest.raises(MemoryError, match=str(predictor.BATCH)):
        predictor.Predictor(tmp_path, SHAPE, 10, answer, at_once=2).probabilities(
            comparing.drawings(300, SHAPE)
        )


@pytest.mark.parametrize(("ahead", "refused"), [(3e-7, False), (1e-5, True)])
def test_either_label_of_a_tie_is_right(ahead, refused, tmp_path, monkeypatch):
    expected = np.tile([0.5 + ahead / 2, 0.5 - ahead / 2], (3, 1))
    monkeypatch.setattr(comparing, "_fresh_answers", lambda *_: expected[:, ::-1])
    asked = comparing.Sample(IMAGES[:3], "here")
    if refused:
        with pytest.raises(OutsideError, match="3 of 3 labels differ"):
            comparing.compare(tmp_path, asked, expected)
    else:
        assert comparing.compare(tmp_path, asked, expected).labels_that_differ == 0


def test_images_of_another_shape_are_replaced_by_drawings(tmp_path):
    write_competition(tmp_path)
    sample = comparing.sample(tmp_path, (32, 32, 3))
    assert sample.images.shape == (1000, 32, 32, 3)
    assert sample.source == f"drawings, because images in {tmp_path} have shape (28, 28, 1)"


@pytest.mark.usefixtures("at_once")
def test_one_model_is_not_merged(tmp_path):
    alone = made_run(tmp_path / "alone", members=1)
    export(alone, "keras", tmp_path / "m.keras", (1,))
    assert exporting.open_model(tmp_path / "m.keras").probabilities(IMAGES[:0]).shape == (0, 10)


def test_weights_travel_without_the_optimizer(run, tmp_path, at_once):
    del at_once
    path = tmp_path / "m.json"
    export(run, "json+h5", path)
    assert "rmsprop" not in path.read_text().lower()
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert "layers" in file
        assert "optimizer" not in file


# ------------------------------------------------------------------------------- the command line


def test_the_command_compares_in_a_fresh_process(run, tmp_path):
    write_competition(tmp_path / "input", test=30)
    done = product.call("export", run.folder, "--format", "onnx", "--ensemble", cwd=tmp_path)
    assert "exports/one-ensemble.onnx" in done.stdout
    assert "the mean of 2 models" in done.stdout
    assert "1,000 images (30 test images of input, the others drawings)" in done.stdout
    assert "same labels, largest difference of probabilities" in done.stdout
    assert 'onnxruntime.InferenceSession("exports/one-ensemble.onnx")' in done.stdout
    assert done.stderr == ""
    assert left(tmp_path / "exports") == ["one-ensemble.onnx"]


def test_the_command_writes_architecture_and_weights(said, run, tmp_path):
    done = product.call(
        "export", run.folder, "--format", "json+h5", "--fold", "2", "--json", cwd=tmp_path
    )
    told = json.loads(done.stdout)
    assert told["folds"] == [2]
    assert told["comparison"]["images"] == 1000
    assert told["comparison"]["labels_that_differ"] == 0
    assert told["comparison"]["largest_difference"] < 1e-5
    assert told["comparison"]["source"] == "drawings, because input has no data"
    assert [file["path"] for file in told["files"]] == [
        "exports/one-fold-2.json", "exports/one-fold-2.weights.h5"
    ]  # fmt: skip
    assert done.stderr == ""
    found = exporting.open_model(tmp_path / told["files"][0]["path"]).probabilities(IMAGES)
    np.testing.assert_allclose(found, said[2], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--format", "pmml"], {}, "received the format 'pmml'. Expected one of keras, json+h5"),
        (["--fold", "3"], {}, "has no fold 3. Expected --fold 1 to 2"),
        (["--fold", "0"], {}, "Invalid value for '--fold'"),
        (["--fold", "1", "--ensemble"], {}, "received --ensemble (all folds) and --fold N"),
        (["--output", "m.onnx"], {}, "m.onnx does not end in .keras"),
        (
            ["--format", "onnx"],
            {"KERAS_BACKEND": "jax"},
            "KERAS_BACKEND is 'jax', which cannot write onnx. Expected the format keras or json+h5",
        ),
        (["--output", "file/m.keras"], {}, "a parent folder is a file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands_write_nothing(arguments, environment, expected, run, tmp_path):
    (tmp_path / "file").touch()
    done = product.call("export", run.folder, *arguments, cwd=tmp_path, code=2, **environment)
    assert expected in " ".join(done.stderr.replace("│", " ").split())
    assert left(tmp_path) == ["file"]


def test_a_full_disk_leaves_nothing(run, tmp_path):
    """A limit on the size of files stands for the disk: the system's answer is of the same kind."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutsideError, match=r"no space to write .*Free some space"):
            export(run, "saved-model", tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(tmp_path) == []


# --------------------------------------------------------------------------------- what is refused


def test_an_export_that_answers_otherwise_is_thrown_away(run, tmp_path):
    onnx = exporting.find("onnx")
    path = tmp_path / "m.onnx"
    exporting.export(run, (1,), onnx, path, tmp_path)
    before = path.read_bytes()

    def other(model, target):
        *_, bias = model.layers[-1].get_weights()
        model.layers[-1].set_weights([*model.layers[-1].get_weights()[:-1], bias + np.eye(10)[3]])
        onnx.write(model, target)

    with pytest.raises(OutsideError, match=r"predicts differently .*: \d+ of 1,000 labels"):
        exporting.export(run, (1,), replace(onnx, write=other), path, tmp_path)
    assert left(tmp_path) == ["m.onnx"]
    assert path.read_bytes() == before


def test_an_export_that_does_not_open_is_thrown_away(run, tmp_path):
    def nothing(_, path):
        path.write_bytes(b"nothing")

    broken = replace(exporting.find("onnx"), write=nothing)
    with pytest.raises(OutsideError, match=r"could not be opened in a fresh process.*m\.onnx"):
        exporting.export(run, (1,), broken, tmp_path / "m.onnx", tmp_path)
    assert left(tmp_path) == []


@pytest.mark.usefixtures("at_once")
def test_a_folder_is_replaced_only_if_it_is_ours(run, tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    export(run, "saved-model", path)  # an empty one holds nothing to lose
    (path / "saved_model.pb").write_bytes(b"damaged")
    export(run, "saved-model", path, (2,))
    assert exporting.open_model(path, trust=True).classes == 10
    assert left(tmp_path) == ["model"]
    (path / "assets.extra" / "kaggle-digits.json").unlink()
    with pytest.raises(InputError, match="is not empty and not a SavedModel of `export`"):
        export(run, "saved-model", path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is a file\. Expected the name of a folder"):
        export(run, "saved-model", tmp_path / "file")


def test_other_files_are_never_replaced(run, tmp_path):
    (tmp_path / "package.json").write_text('{"name": "precious"}')
    with pytest.raises(InputError, match=r"package.json exists and is not a Keras architecture"):
        export(run, "json+h5", tmp_path / "package.json")
    before = (run.fold(1) / "model.keras").read_bytes()
    with pytest.raises(InputError, match="lies in a run's folder, which must not"):
        export(run, "keras", run.fold(1) / "model.keras", (2,))
    assert (run.fold(1) / "model.keras").read_bytes() == before
    (tmp_path / "m.weights.h5").mkdir()
    with pytest.raises(InputError, match=r"m.weights.h5: it is a folder"):
        export(run, "json+h5", tmp_path / "m.json")


def test_what_onnx_needs_is_named(run, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name)
    )
    with pytest.raises(
        InputError,
        match=r"needs tf2onnx, which is not installed. .*pip install 'kaggle-digits\[onnx\]'",
    ):
        export(run, "onnx", tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["keras", "onnx", "tflite"])
def test_damaged_files_are_refused(name, tmp_path):
    path = tmp_path / f"m.{name}"
    exporting.find(name).write(small_network(), path)
    whole = path.read_bytes()
    halves = [whole[: len(whole) * share // 10] for share in (3, 5, 7, 9)]
    for damaged in (b"", b"no model", *halves):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"m\.{name} cannot be opened: .* Expected a co"):
            exporting.open_model(path)


def test_architecture_and_weights_belong_together(tmp_path):
    path, weights = tmp_path / "m.json", tmp_path / "m.weights.h5"
    exporting.find("json+h5").write(small_network(), path)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"m\.weights\.h5 cannot be opened"):
        exporting.open_model(path)
    weights.unlink()
    with pytest.raises(InputError, match=r"m\.json has no weights: .*m.weights.h5 does not exist"):
        exporting.open_model(path)
    small_network(shape=(32, 32, 3)).save_weights(weights)
    with pytest.raises(InputError, match=r"Expected the weights that belong to .*m\.json"):
        exporting.open_model(path)
    for text, expected in (("{}", "does not describe a model"), ("{", "cannot be opened")):
        path.write_text(text)
        with pytest.raises(InputError, match=rf"m\.json {expected}"):
            exporting.open_model(path)


def test_code_in_a_model_is_never_run(keras, tmp_path):
    ran = tmp_path / "ran"

    def payload(images):
        ran.touch()
        return images

    hostile = keras.Sequential([keras.Input(SHAPE, dtype="uint8"), keras.layers.Flatten()])
    hostile.add(keras.layers.Lambda(lambda x: payload(x)))  # noqa: PLW0108 — Keras stores lambdas' bytecode
    hostile.add(keras.layers.Dense(10, activation="softmax"))
    hostile.save(tmp_path / "m.keras")
    exporting.find("json+h5").write(hostile, tmp_path / "m.json")
    ran.unlink()  # building it called the function
    for name in ("m.keras", "m.json"):
        with pytest.raises(InputError, match=r"has a Lambda layer: Python code"):
            exporting.open_model(tmp_path / name)
    text = (tmp_path / "m.json").read_text()
    (tmp_path / "m.json").write_text(text.replace('"keras.layers"', '"os"'))
    with pytest.raises(InputError, match=r"Lambda layer|holds os\.Dense"):
        exporting.open_model(tmp_path / "m.json")
    assert not ran.exists()


def test_foreign_classes_are_not_imported(tmp_path):
    path = tmp_path / "m.json"
    exporting.find("json+h5").write(small_network(), path)
    text = path.read_text().replace('"class_name": "Dropout"', '"class_name": "Popen"')
    head, _, tail = text.partition('"class_name": "Popen"')
    before, _, after = head.rpartition('"keras.layers"')
    path.write_text(f'{before}"subprocess"{after}"class_name": "Popen"{tail}')
    with pytest.raises(InputError, match=r"m\.json cannot be opened: .*Popen"):
        exporting.open_model(path)


def test_models_that_take_or_give_something_else_are_refused(keras, tmp_path):
    path = tmp_path / "m.keras"
    keras_archive.write(small_network(dtype="float32"), path)
    with pytest.raises(InputError, match=r"takes float32 \[None, 28, 28, 1\]. Expected .*uint8"):
        exporting.open_model(path)
    keras_archive.write(small_network(end="linear"), path)
    with pytest.raises(InputError, match=r"does not return probabilities: .*softmax"):
        exporting.open_model(path)
    first, second = keras.Input(SHAPE, dtype="uint8"), keras.Input(SHAPE, dtype="uint8")
    both = keras.layers.Average()([small_network()(first), small_network()(second)])
    keras_archive.write(keras.Model([first, second], both), path)
    with pytest.raises(InputError, match=r"Expected one input, uint8"):
        exporting.open_model(path)


def test_what_is_no_export_says_what_to_do(run, tmp_path):
    with pytest.raises(InputError, match=r"nosuch.onnx does not exist"):
        exporting.open_model(tmp_path / "nosuch.onnx")
    for name, expected in {
        "m.weights.h5": r"has only weights. Expected the architecture, .*m\.json",
        "m.h5": r"has an unknown format. Expected a file that ends in \.keras, \.json",
    }.items():
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=expected):
            exporting.open_model(tmp_path / name)
    with pytest.raises(InputError, match=r"has no saved_model.pb"):
        exporting.open_model(tmp_path)
    with pytest.raises(InputError, match=r"is a run's folder.*kaggle-digits export"):
        exporting.open_model(run.folder)
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(InputError, match="Expected a complete SavedModel"):
        exporting.open_model(tmp_path, trust=True)


def test_other_images_are_refused(tmp_path):
    path = tmp_path / "m.keras"
    keras_archive.write(small_network(), path)
    opened = exporting.open_model(path)
    with pytest.raises(InputError, match=r"shape \(20, 28, 28\) and dtype uint8. Expected"):
        opened.probabilities(IMAGES[..., 0])
    with pytest.raises(InputError, match=r"dtype float64"):
        opened.probabilities(IMAGES.astype(np.float64))


# --------------------------------------------------------------------------------------- the parts


def test_drawings_are_pictures_and_the_same_each_time():
    images = comparing.drawings(50, (32, 24, 3))
    assert (images.shape, images.dtype.name) == ((50, 32, 24, 3), "uint8")
    np.testing.assert_array_equal(images, comparing.drawings(50, (32, 24, 3)))
    assert 0.02 < (images > 100).mean() < 0.5
    assert len(np.unique(images.reshape(50, -1), axis=0)) == 50


def write_together(paths, text):
    with files.replacing_together(*paths) as new:
        for path in new:
            path.write_text(text)
        assert text != "broken"


def test_files_that_belong_together_are_replaced_together(tmp_path):
    paths = first, second = tmp_path / "a.json", tmp_path / "a.bin"
    for text in ("old", "new"):
        write_together(paths, text)
        assert (first.read_text(), second.read_text()) == (text, text)
    with pytest.raises(AssertionError):
        write_together(paths, "broken")
    assert (first.read_text(), second.read_text()) == ("new", "new")
    second.unlink()
    second.mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_together(paths, "newer")
    assert first.read_text() == "new"
    assert left(tmp_path) == ["a.bin", "a.json"]


def test_never_two_files_that_do_not_belong_together(tmp_path, monkeypatch):
    paths = first, second = tmp_path / "a.json", tmp_path / "a.bin"
    write_together(paths, "old")
    replace_ = Path.replace

    def breaks_before_the_last(self, target):
        if target == first:
            raise OSError("the power went out")
        return replace_(self, target)

    monkeypatch.setattr(Path, "replace", breaks_before_the_last)
    with pytest.raises(InputError, match="cannot write"):
        write_together(paths, "new")
    assert not first.exists()
    assert second.read_text() == "new"


def test_weights_of_somebody_else_are_not_replaced(run, tmp_path):
    (tmp_path / "m.weights.h5").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"m.weights.h5 exists without m.json"):
        export(run, "json+h5", tmp_path / "m.json")
    assert (tmp_path / "m.weights.h5").read_bytes() == b"precious"


def test_answers_that_are_no_numbers_do_not_pass(tmp_path, monkeypatch):
    sample = comparing.Sample(np.zeros((4, 28, 28, 1), np.uint8), "nowhere")
    monkeypatch.setattr(comparing, "_fresh_answers", lambda *_: np.full((4, 10), np.nan))
    with pytest.raises(OutsideError, match="predicts differently from the run"):
        comparing.compare(tmp_path / "m.onnx", sample, np.eye(10)[[0, 0, 0, 0]])


def test_a_saved_model_of_any_shape_is_refused_in_words(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    anything = tf.function(tf.identity, input_signature=[tf.TensorSpec(None, tf.uint8)])
    tf.saved_model.save(module, str(tmp_path), signatures=anything.get_concrete_function())
    with pytest.raises(InputError, match=r"takes uint8 \[any shape\]\. Expected one input"):
        exporting.open_model(tmp_path, trust=True)


def test_an_export_that_does_not_answer_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr(comparing, "TIMEOUT", 0.01)
    sample = comparing.Sample(np.zeros((2, 28, 28, 1), np.uint8), "made here")
    with pytest.raises(OutsideError, match=r"no predictions in a fresh process within 0"):
        comparing.compare(tmp_path / "m.keras", sample, np.full((2, 10), 0.1))
