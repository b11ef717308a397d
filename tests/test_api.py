"""What a notebook can say: the public API, without a command line."""

import doctest
import inspect
import io
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import child_processes, datasets, training_api
from kaggle_digits.training import planning
from kaggle_digits.training.configuration import adapt_training
from kaggle_digits.training.executors import in_process
from tests.own_network import TEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the sample, a finished run of ``dense``, and a network of one's own."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "my_net.py").write_text(TEXT)
    datasets.get("sample", folder=folder / "input", from_path=None, download=None, force=False)
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module", autouse=True)
def trained_here():
    """Else other tests' runs would decide whether those of this file train in a child process."""
    with mock.patch.object(in_process, "can_compute_with", return_value=True):
        yield


@pytest.fixture(scope="module")
def run(folder, trained_here):
    del trained_here
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return kd.cross_validate("dense", kd.load("input"), folds=3, epochs=3, on="here")


def test_a_run_says_how_good_it_is(run):
    assert run.scores.images == 1442
    assert run.scores.accuracy > 0.6
    assert run.oof.probabilities.shape == (1442, 10)
    assert run.oof.probabilities.dtype == np.float32
    assert run.oof.labels.dtype == np.uint8
    assert (run.oof.probabilities.argmax(axis=1) != run.oof.labels).sum() == run.scores.errors
    assert run.test.probabilities.shape == (355, 10)
    assert run.test.probabilities.dtype == np.float32


def test_the_history_is_a_table(run):
    assert run.history[["fold", "epoch"]].values.tolist() == [
        [fold, epoch] for fold in (1, 2, 3) for epoch in (1, 2, 3)
    ]
    assert run.history["loss"].notna().all()


def test_its_models_take_images_as_they_are(run):
    models = run.load_models()
    assert len(models) == 3
    images = kd.load("input").test.images
    mean = np.mean([model.predict(images, verbose=0) for model in models], axis=0)
    np.testing.assert_allclose(mean, run.test.probabilities, atol=1e-5)


def test_the_same_call_finds_the_finished_run(run, capfd):
    again = kd.cross_validate("dense", "input", folds=3, epochs=3)
    assert again.folder == run.folder
    assert again.scores == run.scores
    assert capfd.readouterr() == ("", "")  # the library prints nothing
    assert kd.open_run(run.folder).scores == run.scores


def test_the_callback_is_told_about_every_step(folder):
    told: list[tuple[object, ...]] = []

    class Fold:
        def epochs_found(self, count):
            told.append(("epochs_found", count))

        def images_trained(self, count):
            pass

        def epoch_done(self, epoch):
            told.append(("epoch_done", epoch.epoch))

    class Callback:
        def run_started(self, members, epochs, images):
            told.append(("run_started", members, epochs, len(images)))

        def fold_started(self, number):
            told.append(("fold_started", number))
            return Fold()

        def fold_done(self, number, judged, *, skipped):
            told.append(("fold_done", number, judged.images, skipped))

    other = kd.train(
        "my_net.py", "input", epochs=2, callback=Callback(), run=folder / "own", on="here"
    )
    assert told == [
        ("run_started", 1, 2, 1),
        ("fold_started", 1),
        ("epochs_found", 0),
        ("epoch_done", 1),
        ("epoch_done", 2),
        ("fold_done", 1, 289, False),
    ]
    assert other.settings.recipe == "my-net"
    assert len(other.load_models()) == 1


def test_runs_blend_and_compare(run):
    blend = kd.ensemble([run, run.folder], method="mean")
    assert blend.weights == (0.5, 0.5)
    assert blend.scores is not None
    assert blend.scores.errors == run.scores.errors
    csv = blend.write_submission("submissions/blend.csv")
    assert csv.read_bytes() == run.write_submission("submissions/copy.csv").read_bytes()
    compared = kd.compare([csv, run])
    assert compared.agreement.loc[str(csv), str(run.folder)] == 1
    assert compared.disputed.empty


def test_a_run_and_its_blend_show_themselves_in_a_notebook(run):
    text = run._repr_html_()
    assert f"{run.scores.accuracy:.5f}" in text
    assert "<svg" in text  # the learning curves
    assert kd.ensemble([run, run])._repr_html_().count(f"<td>{run.folder}</td>") == 2
    assert "<table" in kd.compare([run, run])._repr_html_()
    assert repr(kd.load("input")) == (
        "<Splits of 'sample': train=<Dataset: 1,442 images 28×28×1, 10 classes>, "
        "test=<Dataset: 355 images 28×28×1, no labels>>"
    )
    assert repr(run).startswith(f"<FinishedRun {run.folder}: 0.")
    assert repr(run.test) == "<Probabilities: 355 images × 10 classes>"
    blend = repr(kd.ensemble([run, run]))
    assert blend.startswith(
        f"<Blend (mean) of {run.folder}, {run.folder}: {run.scores.accuracy:.5f} "
    )
    assert repr(kd.compare([run, run])) == (
        f"<FileComparison of {run.folder}, {run.folder}: 0 disputed images>"
    )


def test_what_is_wrong_is_said(folder):
    with pytest.raises(
        kd.InputError, match=r"the setting 'fold'\. Did you mean 'folds'\? Expected"
    ):
        kd.cross_validate("dense", "input", fold=3)
    with pytest.raises(kd.InputError, match="unknown recipe 'denze'"):
        kd.cross_validate("denze", "input")
    for opened in (kd.open_run, lambda path: kd.compare([path, path])):
        with pytest.raises(kd.InputError, match="is not a run"):
            opened(folder / "input")
    with pytest.raises(kd.InputError, match="received no runs to blend"):
        kd.ensemble([])
    with pytest.raises(kd.InputError, match=r"compare received PosixPath instead of a list\."):
        kd.compare(folder)
    nothing: Any = None
    with pytest.raises(kd.InputError, match=r"received NoneType instead of a recipe's name"):
        kd.find_recipe(nothing)
    assert kd.find_recipe(Path("my_net.py")).name == kd.find_recipe("my_net.py").name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kd.nothing


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"folds": 1}, "folds=1. Expected a whole number of at least 2, or train() for a single"),
        ({"folds": 0}, "folds=0. Expected a whole number of at least 2."),
        ({"folds": "5"}, "folds='5'. Expected a whole number of at least 2."),
        ({"jobs": "2"}, "jobs='2'. Expected a whole number of at least 1."),
        ({"folds": 2.5}, "folds=2.5. Expected a whole number"),
        ({"seeds": 0}, "seeds=0. Expected a whole number of at least 1."),
        ({"seed": -1}, "seed=-1. Expected a whole number of at least 0."),
        ({"epochs": 0}, "epochs=0. Expected a whole number of at least 1."),
        ({"epochs": -1}, "epochs=-1. Expected"),
        ({"batch_size": 0}, "batch_size=0. Expected"),
        ({"limit": True}, "limit=True. Expected"),
        ({"learning_rate": "x"}, "learning_rate='x'. Expected a number"),
        ({"precision": "fp16"}, "precision='fp16'. Expected one of float32, bfloat16"),
        ({"validation_split": 0.2}, "cross_validate received the setting 'validation_split'"),
        ({"data": [1]}, "cross_validate received data of type list. Expected a folder, or"),
        ({"recipe": print}, "a recipe of type builtin_function_or_method. Expected the name"),
        ({"callback": print}, "a callback of type builtin_function_or_method. Expected an object"),
        ({"run": 5}, "received 5 for run. Expected the path of a file or folder, as text or as"),
        ({"submission": ""}, "received '' for submission. Expected the path of a file"),
        ({"log": True}, "received log=True. Expected names of trackers"),
        (
            {"epochs": 10**20},
            "epochs=100000000000000000000. Expected a whole number of at most",
        ),
        ({"batch_size": 10**20}, "Expected a whole number of at most 1,000,000,000."),
        ({"seeds": 10**9}, "folds=5 and seeds=1000000000. Expected at most 10,000 models: folds"),
        ({"storage": 5, "on": "ray"}, "storage=5. Expected an address as text, such as 's3://buck"),
        ({"ray_address": 5, "on": "ray"}, "ray_address=5. Expected HOST:PORT as text, or 'auto'."),
        ({"storage": Path("s3://a/b")}, "storage=PosixPath('s3:/a/b'). Expected an address as te"),
    ],
)
def test_settings_that_no_run_can_have_are_refused_before_anything_is_written(
    settings, expected, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kd.InputError) as error:
        kd.cross_validate(**{"recipe": "dense"} | settings)
    assert expected in str(error.value)
    assert not list(tmp_path.iterdir())


def test_the_current_folder_may_be_the_storage():
    assert training_api.configure("train", "dense", {}, {"storage": Path()}).storage == "."


def test_a_learning_rate_that_no_float_holds_is_refused():
    config = training_api.configure("train", "dense", {}, {"learning_rate": 10**400})
    with pytest.raises(kd.InputError, match=r"^--learning-rate 1000.* Expected a number above 0"):
        adapt_training(config, 1000)


def test_settings_of_train_are_checked_too():
    with pytest.raises(kd.InputError, match="train received the setting 'folds'") as error:
        kd.train("dense", folds=3)
    assert "folds," not in str(error.value)
    with pytest.raises(kd.InputError, match=r"validation_split=1\. Expected a number from 0"):
        kd.train("dense", validation_split=1)


def test_a_network_that_a_run_could_not_find_again_is_not_trained(folder):
    """A run of it would be opened, or even trained, with the network of a built-in recipe."""
    dense, own = kd.find_recipe("dense"), kd.find_recipe("my_net.py")
    for recipe in (
        replace(dense, name="mine"),
        replace(dense, name="fast"),
        replace(dense, name="../evil"),
        replace(dense, network=lambda: None),
        replace(dense, deslant=kd.Deslant()),
        kd.find_recipe("two-conv").with_settings({"width": 8}),
        replace(own, network=dense.network),
        replace(own, name="other"),
    ):
        with pytest.raises(
            kd.InputError, match=r"was put together in Python.*%%writefile my_net\.py"
        ):
            kd.train(recipe, "input", run=folder / "never")
    settings: dict[str, Any] = {"optimizer": "adm"}
    wrong = replace(dense, training=replace(dense.training, **settings))
    with pytest.raises(kd.InputError, match="optimizer is 'adm', expected 'rmsprop' or"):
        kd.train(wrong, "input", run=folder / "never")
    assert not (folder / "never").exists()


def test_a_known_network_may_have_other_training_settings(folder):
    dense = kd.find_recipe("dense").with_settings({"label_smoothing": 0.25})
    numbers: dict[str, Any] = {"limit": np.int64(100), "validation_split": np.float64(0.2)}
    with pytest.warns(UserWarning, match="few images, 80 for each model: batch size") as warned:
        run = kd.train(dense, "input", epochs=1, run=folder / "smooth", **numbers)
    assert warned[0].filename == __file__
    assert (Path("submissions") / "smooth.csv").exists()
    assert run.settings.training.label_smoothing == 0.25
    for teachers in (run, [run], str(run.folder), (run.folder,)):
        config = training_api.configure("train", "dense", {}, {"pseudo_labels": teachers})
        assert config.pseudo_labels == (run.folder,)


def test_an_ensemble_within_a_budget_keeps_its_plan(monkeypatch):
    record: dict[str, Any] = {"budget": "0.003T", "members": ["dense"], "folds": 2, "limit": 200}
    blend = kd.record("input", **record)
    assert [run.settings.recipe for run in blend.runs] == ["dense"]
    monkeypatch.setattr(planning, "measure_seconds", lambda *_: pytest.fail("measured again"))
    assert kd.record("input", **record).runs == blend.runs
    with pytest.raises(kd.InputError, match=r"record received the setting 'epochs'\. Expected one"):
        kd.record("input", epochs=3)
    given: Any
    for given in ([], [kd.find_recipe("dense")], 5):
        with pytest.raises(kd.InputError, match=r"record received members=.* Expected names or"):
            kd.record("input", members=given)
    given = "no"
    with pytest.raises(kd.InputError, match=r"self_training='no'\. Expected True or False\."):
        kd.record("input", self_training=given)
    budget: Any
    for budget in ("soon", 1800):
        with pytest.raises(kd.InputError, match=f"^budget='{budget}' is neither a time nor"):
            kd.record("input", budget=budget)
    no_data: Any = [1]
    with pytest.raises(kd.InputError, match="record received data of type list"):
        kd.record(no_data)
    with pytest.raises(kd.InputError, match="unknown recipe 'denze'"):
        kd.record("input", members="denze")


PIXELS = np.zeros((3, 28, 28, 1), np.uint8)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"images": [[1]]}, "received images of type list. Expected a NumPy array."),
        ({"images": PIXELS / 255}, "received images of float64 [3, 28, 28, 1]. Expected uint8 [n,"),
        ({"images": PIXELS[..., 0]}, "received images of uint8 [3, 28, 28]. Expected"),
        ({"labels": np.array([1, 2], np.uint8)}, "received labels of uint8 [2] for 3 images."),
        (
            {"labels": np.array([1, 2, 3])},
            "received labels of int64 [3] for 3 images. Expected uint8",
        ),
        ({"labels": np.array([1, 2, 11], np.uint8)}, "received the label 11. Expected 0 to 9"),
        ({"ids": np.array([1, 2])}, "received ids of int64 [2] for 3 images."),
        ({"ids": np.array(["a", "b", "c"])}, "received ids of <U1 [3] for 3 images."),
    ],
)
def test_arrays_of_another_form_are_no_data_set(changes, expected):
    arrays: dict[str, Any] = {
        "images": PIXELS,
        "labels": np.array([1, 2, 3], np.uint8),
        "ids": np.arange(3),
    }
    assert len(kd.Dataset(**arrays)) == 3
    with pytest.raises(kd.InputError) as error:
        kd.Dataset(**arrays | changes)
    assert expected in str(error.value)


def test_training_images_have_labels_and_all_images_different_ids():
    unlabelled = kd.Dataset(PIXELS, None, np.arange(3))
    repeated = kd.Dataset(PIXELS, np.zeros(3, np.uint8), np.array([1, 2, 1]))
    with pytest.raises(kd.InputError, match="the training images have no labels"):
        kd.Splits("csv", unlabelled, unlabelled)
    with pytest.raises(kd.InputError, match="two training images have the same id"):
        kd.Splits("csv", repeated, unlabelled)


def test_the_two_splits_have_one_form():
    train = kd.Dataset(PIXELS, np.zeros(3, np.uint8), np.arange(3), ("cat", "dog"))
    test = kd.Dataset(PIXELS, np.zeros(3, np.uint8), np.arange(1, 4), ("dog", "cat"))
    wide = kd.Dataset(np.repeat(PIXELS, 2, axis=2), None, np.arange(1, 4))
    name: Any = 3
    part: Any = None
    with pytest.raises(kd.InputError, match="received 3 as the source of a data set"):
        kd.Splits(name, train, train)
    with pytest.raises(kd.InputError, match=r"train of type NoneType\. Expected a kd\.Dataset"):
        kd.Splits("csv", part, test)
    with pytest.raises(kd.InputError, match=r"test of type NoneType\. Expected a kd\.Dataset"):
        kd.Splits("csv", train, part)
    with pytest.raises(kd.InputError, match=r"\('cat', 'dog'\) and test images with"):
        kd.Splits("csv", train, test)
    shapes = f"{PIXELS.shape[1:]} and test images of {wide.images.shape[1:]}. Expected the same"
    with pytest.raises(kd.InputError, match=re.escape(shapes)):
        kd.Splits("csv", train, wide)
    unlabelled = kd.Dataset(PIXELS, None, np.arange(1, 4))  # its class names mean nothing
    assert len(kd.Splits("csv", train, unlabelled).test) == 3


def test_built_in_recipes_are_for_ten_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((40, 28, 28, 1), np.uint8)
    train = kd.Dataset(images, np.array([0, 1] * 20, np.uint8), np.arange(40), ("cat", "dog"))
    data = kd.Splits("csv", train, kd.Dataset(images, None, np.arange(1, 41)))
    expected = r"'dense' distinguishes 10 classes; the data has 2\. Write a recipe file"
    with pytest.raises(kd.InputError, match=expected):
        kd.cross_validate("dense", data)
    with pytest.raises(kd.InputError, match=expected):
        kd.record(data, budget="30m", members=["dense"])
    assert not Path("runs").exists()


def test_test_images_fit_into_a_submission():
    train = kd.Dataset(PIXELS, np.zeros(3, np.uint8), np.arange(3))
    from_0 = kd.Dataset(PIXELS, None, np.arange(3))
    with pytest.raises(kd.InputError, match=r"the test id 0\. Expected ids of 1 or more"):
        kd.Splits("csv", train, from_0)
    with pytest.raises(kd.InputError, match="received no test images"):
        kd.Splits("csv", train, from_0.take(np.arange(0)))
    letters = kd.Dataset(PIXELS, np.zeros(3, np.uint8), np.arange(3), tuple("abcdefghijkl"))
    with pytest.raises(kd.InputError, match=r"received 12 classes\. Expected at most 10"):
        kd.Splits("csv", letters, kd.Dataset(PIXELS, None, np.arange(1, 4)))
    with pytest.raises(kd.InputError, match=r"seed=4294967295, the first of 2 seeds\. Expected"):
        kd.cross_validate("dense", seed=2**32 - 1, seeds=2)
    with pytest.raises(kd.InputError, match=r"storage=.*Expected an address as text"):
        kd.cross_validate("dense", storage=Path("s3://bucket/x"))
    with pytest.raises(kd.InputError, match=r"seeds=2 for a single model\. Expected 1"):
        kd.train("dense", seeds=2)


def test_a_path_may_begin_with_the_home_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run.write_submission("~/a.csv") == tmp_path / "a.csv"
    assert kd.ensemble([run]).write_submission("~/b.csv").read_bytes() == (
        (tmp_path / "a.csv").read_bytes()
    )


def test_another_thread_may_train_too():
    """Only the main thread may change what signals do."""
    failed: list[BaseException] = []

    def start() -> None:
        try:
            with child_processes.ignoring(signal.SIGINT):
                pass
        except BaseException as error:  # noqa: BLE001 — checked below
            failed.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert not failed


def test_threads_that_start_processes_keep_the_main_module():
    main, is_left = sys.modules["__main__"], threading.Event()

    def start() -> None:
        with child_processes._without_main():
            is_left.wait()

    thread = threading.Thread(target=start)
    with child_processes._without_main():
        thread.start()
        thread.join(0.1)
    is_left.set()
    thread.join()
    assert sys.modules["__main__"] is main


def test_a_warning_names_the_line_of_a_script_beside_the_package():
    name = f"{Path(training_api.__file__).parent}_mine/x.py"
    code = compile("training_api._warn('few images')", name, "exec")
    with pytest.warns(UserWarning, match="few images") as warned:
        exec(code, {"training_api": training_api})  # noqa: S102 — the code is above
    assert warned[0].filename == name


PUBLIC = sorted(name for name in kd.__all__ if not name.endswith("Error"))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_every_public_name_runs(name, run, folder):
    if not (folder / "runs" / "example").exists():
        shutil.copytree(run.folder, folder / "runs" / "example")
        run.write_submission("submissions/sample.csv")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    text = inspect.getdoc(getattr(kd, name)) or ""
    example = doctest.DocTestParser().get_doctest(text, {"kd": kd}, name, None, None)
    assert example.examples, f"{name} has no example"
    failed = io.StringIO()
    doctest.DocTestRunner(optionflags=flags).run(example, out=failed.write)
    assert not failed.getvalue()


def test_every_public_name_can_be_loaded():
    assert all(getattr(kd, name) is not None for name in kd.__all__)
    assert set(kd.__all__) <= set(dir(kd))


def test_importing_the_package_imports_nothing_else():
    code = "import sys; import kaggle_digits; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("kaggle_digits")} == {"kaggle_digits"}
    assert not loaded & {"numpy", "pandas", "keras", "typing", "dataclasses"}


def test_a_run_predicts_images_of_its_shape(run):
    images = kd.load("input").test.images
    np.testing.assert_allclose(run.predict(images), run.test.probabilities, atol=1e-6)
    assert run.predict(images[:1]).dtype == np.float32
    for wrong, message in (
        (images[0], r"received images of uint8 \[28, 28, 1\]\. Expected uint8 \[n, height"),
        (images / 255, r"received images of float64 \[355, 28, 28, 1\]\. Expected uint8"),
        ("digit.png", r"received images of type str\. Expected a NumPy array"),
        (images[:, 1:], r"'dense' takes images of \(28, 28, 1\); the data has \(27, 28, 1\)"),
    ):
        with pytest.raises(kd.InputError, match=message):
            run.predict(wrong)
    table = run.confusion_matrix
    assert table.loc["3"].sum() == (run.oof.labels == 3).sum()
