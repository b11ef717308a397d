"""What a notebook can say: the public API, without a command line."""

import doctest
import inspect
import io
import shutil
import subprocess
import sys

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import datasets
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


@pytest.fixture(scope="module")
def run(folder):
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
    assert str(run.folder) in kd.ensemble([run])._repr_html_()
    assert "<table" in kd.compare([run, run])._repr_html_()


def test_what_is_wrong_is_said(folder):
    with pytest.raises(kd.InputError, match=r"received the setting 'fold'\. Expected one of"):
        kd.cross_validate("dense", "input", fold=3)
    with pytest.raises(kd.InputError, match="unknown recipe 'denze'"):
        kd.cross_validate("denze", "input")
    with pytest.raises(kd.InputError, match="is not a run"):
        kd.open_run(folder / "input")
    with pytest.raises(kd.InputError, match="received no runs to blend"):
        kd.ensemble([])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kd.nothing


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
