"""Malicious or damaged runs: nothing blocks, no path escapes and nothing is deleted."""

import errno
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import files, plots, runs, safe_reading
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from kaggle_digits.runs import Run, Settings, predictions, provenance, records
from kaggle_digits.training import gathering
from tests import product
from tests.runs.test_provenance import write_run

PRECIOUS = "precious"
CLASSES = tuple("0123456789")


def settings(**changes):
    recipe = find("dense")
    values: dict[str, Any] = {
        "command": "cv", "recipe": "dense", "training": recipe.training, "folds": 2, "seeds": 1,
        "seed": 0, "validation_split": None, "limit": None, "source": "csv",
        "train_fingerprint": "a", "test_fingerprint": "b", "backend": "tensorflow",
    }  # fmt: skip
    return Settings(**values | changes)


def open_run(folder, **changes):
    return runs.open_for_training(folder, settings(**changes), class_names=CLASSES, command="cv")


@pytest.fixture
def outside(tmp_path):
    """A folder with a file that must not change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text(PRECIOUS)
    return folder


@pytest.fixture
def run(tmp_path):
    return Run(write_run(tmp_path / "runs" / "one", rows=3))


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# ---------------------------------------------------------------------------------------- links


@pytest.mark.parametrize(
    "name", [".lock", "run.json", "fold-1", "folds.npy", ".train-images.tmp.npy", "plots", "other"]
)
def test_a_run_with_links_is_not_trained(name, outside, tmp_path):
    folder = tmp_path / "run"
    with open_run(folder):
        pass
    path = folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(outside if name in ("fold-1", "plots") else outside / "file")
    with pytest.raises(InputError, match=r"it is a link"), open_run(folder):
        pass
    assert (outside / "file").read_text() == PRECIOUS
    assert [path.name for path in outside.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["checkpoint.keras", "history.csv", "model.keras", "oof.npz"])
def test_nor_one_with_links_in_a_fold(name, outside, tmp_path):
    folder = tmp_path / "run"
    with open_run(folder):
        pass
    (folder / "fold-2").mkdir()
    (folder / "fold-2" / name).symlink_to(outside / "file")
    with pytest.raises(InputError, match=rf"fold-2/{name} is damaged: it is a link"):
        open_run(folder).__enter__()
    assert (outside / "file").read_text() == PRECIOUS


@pytest.mark.parametrize("where", ["plots", "plots/test-image-1.png"])
def test_no_picture_is_drawn_through_a_link(where, outside, run):
    path = run.folder / where
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside if where == "plots" else outside / "file")
    one = predictions.find_image(run, "test", 1)
    with pytest.raises(InputError, match=r"plots.* is damaged: it is a link"):
        plots.draw_answer(run, one, np.zeros((28, 28, 1), np.uint8), "test")
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == PRECIOUS


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "test.npz", "submission.csv"])
def test_nothing_is_read_through_a_link(name, run, tmp_path):
    elsewhere = shutil.copytree(run.folder, tmp_path / "elsewhere")
    (elsewhere / "metrics.json").write_text("{}")
    (run.folder / name).unlink(missing_ok=True)
    (run.folder / name).symlink_to(elsewhere / name)
    reads = {
        "run.json": lambda: run.facts,
        "metrics.json": lambda: run.metrics,
        "test.npz": lambda: run.arrays("test"),
        "submission.csv": lambda: run.submission,
    }
    with pytest.raises(InputError, match=rf"{name} is damaged: it is a link; expected a regular"):
        reads[name]()


def test_models_behind_links_are_not_opened(run, outside):
    (run.folder / "fold-1").symlink_to(outside)
    with pytest.raises(InputError, match=r"fold-1 is damaged: it is a link"):
        run.models()


def test_a_run_may_lie_behind_a_link_itself(run, tmp_path):
    (tmp_path / "mine").symlink_to(run.folder)
    assert Run(tmp_path / "mine").arrays("test")["ids"].tolist() == [1, 2, 3]


# -------------------------------------------------------------------------------------- damaged

WHOLE = {"recipe": "r", "source": "csv", "folds": 1, "seeds": 1, "training": {"epochs": 1}}
TOP = {"state": "running", "started": "2026-01-01", "settings": WHOLE}
DEEP = '{"settings":' + "[" * 200_000 + "]" * 200_000 + "}"


def with_settings(**changes):
    return json.dumps(TOP | {"settings": WHOLE | changes})


DESCRIPTIONS = {
    '{"settings": {}, "state": "running", "started": ""}': "it has no setting recipe",
    '{"settings": ': "Expecting value",
    "": "Expecting value",
    "null": "it is None, expected an object",
    "[]": "it is a list, expected an object",
    '{"state": "running"}': "settings is missing",
    with_settings(seed=-1): "it has the seed -1 and the limit None",
    with_settings(limit=0): "and the limit 0, expected a seed from 0",
    '{"state": "running", "settings": []}': "settings is a list, expected an object",
    DEEP: "nested too deeply",
    '{"settings": {"folds": ' + "9" * 5000 + "}}": "integer string conversion",
    "\xff": "codec can't decode",
    with_settings(folds=10**9): "it has 1000000000 folds and 1 seeds, expected 1 to 10,000",
    with_settings(folds=10_000, seeds=10_000): "it has 10000 folds and 10000 seeds",
    with_settings(folds=0): "it has 0 folds and 1 seeds",
    with_settings(seeds=-1): "it has 1 folds and -1 seeds",
    with_settings(folds=True): "settings.folds is True",
    with_settings(folds=1.5): "settings.folds is 1.5",
    with_settings(folds="5"): "settings.folds is '5'",
    with_settings(folds=None): "settings.folds is None",
    with_settings(recipe="../../x"): "settings.recipe is '../../x', expected letters, digits",
    with_settings(source="a/b"): "settings.source is 'a/b'",
    with_settings(source="\x1b[2J"): r"settings.source is '\x1b[2J'",
    with_settings(training=3): "settings.training is 3, expected an object",
    with_settings(training={}): "settings.training.epochs is missing",
    with_settings(training={"epochs": "many"}): "settings.training.epochs is 'many'",
    with_settings(limit="all"): "settings.limit is 'all'",
    json.dumps(TOP | {"state": "great"}): "state is 'great', expected 'running' or 'finished'",
    json.dumps(TOP | {"started": None}): "started is None, expected str",
    json.dumps(TOP | {"started": "x" * 20_000}): "started is longer than 10,000 characters",
    json.dumps(TOP | {"class_names": "0123"}): "class_names is '0123'",
    json.dumps(TOP | {"class_names": ["a"] * 5000}): "it has 5,000 classes",
    json.dumps(TOP | {"class_names": [1, 2]}): "class_names is 1, expected str",
    json.dumps({"started": "", "settings": WHOLE}): "state is missing",
}


@pytest.mark.parametrize("text", DESCRIPTIONS, ids=lambda text: text[:60])
def test_a_damaged_description_is_told_and_left_out(text, run):
    bad = run.folder.parent / "bad"
    bad.mkdir()
    (bad / "run.json").write_bytes(text.encode("latin-1"))
    found, [damaged] = runs.list_runs(bad.parent)
    assert [run.folder.name for run in found] == ["one"]
    assert (damaged.folder, damaged.file) == (bad, "run.json")
    assert DESCRIPTIONS[text] in damaged.reason
    assert len(damaged.reason) < 300
    assert (
        provenance.find_provenance(safe_reading.sha256_of(run.submission), bad.parent, bad.parent)
        is not None
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("metrics.json", "{", "Expecting property name"),
        ("metrics.json", "[]", "expected an object"),
        ("metrics.json", '{"oof": 3}', "oof is 3, expected an object"),
        ("metrics.json", '{"oof": {"accuracy": "high"}}', "oof.accuracy is 'high'"),
        ("metrics.json", '{"test": {}}', "test.accuracy is missing"),
        ("metrics.json", '{"seconds": "long"}', "seconds is 'long'"),
        ("fold-1/finished.json", "{}", "seconds is missing"),
        ("fold-1/finished.json", '{"seconds": 1, "scores": {}}', "scores.accuracy is missing"),
        ("fold-1/finished.json", '{"seconds": [], "scores": null}', "seconds is a list, expected"),
    ],
)  # fmt: skip
def test_so_is_a_damaged_score(name, text, reason, run):
    (run.folder / name).parent.mkdir(exist_ok=True)
    (run.folder / name).write_text(text)
    found, [damaged] = runs.list_runs(run.folder.parent)
    assert (found, damaged.file) == ([], name)
    assert reason in damaged.reason


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "submission.csv", "test.npz"])
@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a link", "a socket"])
def test_so_is_a_file_that_is_none(name, kind, run, monkeypatch):
    path = run.folder / name
    path.unlink(missing_ok=True)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a socket":
        monkeypatch.chdir(run.folder)  # a socket's path may not be long
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    else:
        path.symlink_to("/dev/zero")
    found, damaged = runs.list_runs(run.folder.parent)
    assert (found, damaged[0].file) == ([], name)
    assert f"it is {kind}; expected a regular file" in damaged[0].reason


def test_a_file_without_end_is_not_read(run):
    with (run.folder / "run.json").open("wb") as file:
        file.truncate(records.MAX_JSON_BYTES + 1)
    [damaged] = runs.list_runs(run.folder.parent)[1]
    assert "it has 4,194,305 bytes; expected at most 4,194,304" in damaged.reason


def test_the_scores_of_the_most_models_are_read(run):
    fold = {
        "accuracy": 0.9930952380952381, "log_loss": 0.023456789012345678, "errors": 10_000,
        "images": 42_000, "standard_error": 0.00040412345678901234,
    }  # fmt: skip
    scores = {"oof": fold, "test": fold, "seconds": 1e6, "folds": [fold] * records.MAX_MEMBERS}
    files.write_json(run.folder / "metrics.json", scores)
    assert run.metrics == scores


@pytest.mark.parametrize(("denied", "file"), [("fold-1", "fold-1/finished.json"), ("", "run.json")])
def test_a_run_with_a_locked_folder_is_left_out_with_the_reason(denied, file, run, monkeypatch):
    """Root may open any folder, so the system's answer is imitated."""
    locked = Run(write_run(run.folder.parent / "locked", rows=3)).folder / denied
    locked.mkdir(exist_ok=True)
    lstat = Path.lstat

    def deny(path):
        if path.is_relative_to(locked) and path != locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", deny)
    found, [damaged] = runs.list_runs(run.folder.parent)
    assert [run.folder.name for run in found] == ["one"]
    assert (damaged.file, damaged.reason) == (file, "Permission denied")


def test_a_link_to_itself_is_left_out_with_the_reason(run):
    (run.folder.parent / "loop").symlink_to("loop")
    found, [damaged] = runs.list_runs(run.folder.parent)
    assert [run.folder.name for run in found] == ["one"]
    assert "symbolic links" in damaged.reason


def test_commands_go_on_beside_a_damaged_run(run, tmp_path):
    for name in ("pipe", "zero"):
        shutil.copytree(run.folder, tmp_path / "runs" / name)
        (tmp_path / "runs" / name / "submission.csv").unlink()
    os.mkfifo(tmp_path / "runs" / "pipe" / "submission.csv")
    (tmp_path / "runs" / "zero" / "submission.csv").symlink_to("/dev/zero")
    write_run(tmp_path / "runs" / "two", rows=3, label=5)
    shutil.copy(run.submission, tmp_path / "mine.csv")
    listed = product.run("runs", cwd=tmp_path, timeout=60)
    assert "runs/pipe/submission.csv is damaged: it is a named pipe" in listed.stderr
    assert "it is a link" in listed.stderr
    assert "runs/one" in listed.stdout
    assert "runs/pipe" not in listed.stdout
    compared = product.run("compare", "mine.csv", "runs/two", cwd=tmp_path, timeout=60).stdout
    assert "agreement over 3 images" in compared
    done = product.run("compare", "mine.csv", "runs/pipe", cwd=tmp_path, timeout=60, code=2)
    assert "submission.csv is damaged: it is a named pipe" in done.stderr


# --------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"ids": np.array([1, 1, 2])},
            "is damaged: an id occurs more than once. Repeat the command",
        ),
        ({"probabilities": np.full((3, 10), np.nan, "f4")}, "Expected numbers from 0 to 1"),
        ({"probabilities": np.full((3, 10), 2, "f4")}, "Expected numbers from 0 to 1"),
        ({"probabilities": np.ones((3, 4), "f4")}, "expected shape (3, 10)"),
        ({"labels": np.array([1, 2, 10])}, "received labels from 1 to 10, expected 0 to 9"),
    ],
)
def test_arrays_are_checked_before_they_are_used(changes, reason, run):
    files.write_npz(run.folder / "test.npz", **run.arrays("test") | changes)
    with pytest.raises(InputError) as raised:
        predictions.read_test([run])
    assert reason in str(raised.value)


def test_test_labels_are_those_of_all_runs(run, tmp_path):
    other = Run(write_run(tmp_path / "other", rows=3))
    arrays = {name: run.arrays("test")[name] for name in ("ids", "probabilities")}
    labels = np.array([1, 2, 3], np.uint8)
    files.write_npz(run.folder / "test.npz", **arrays, labels=labels)

    files.write_npz(other.folder / "test.npz", **arrays, labels=labels)
    np.testing.assert_array_equal(predictions.read_test([run, other]).labels, labels)
    files.write_npz(other.folder / "test.npz", **arrays, labels=labels[::-1])
    assert predictions.read_test([run, other]).labels is None
    files.write_npz(other.folder / "test.npz", **arrays)
    assert predictions.read_test([run, other]).labels is None


def test_runs_must_fit_together(run, tmp_path):
    other = Run(write_run(tmp_path / "other", rows=3))
    files.write_npz(
        other.folder / "test.npz", **other.arrays("test") | {"ids": np.array([1, 2, 4])}
    )
    with pytest.raises(InputError, match=r"has other ids of test images than .* was changed"):
        predictions.read_test([run, other])
    other = Run(write_run(tmp_path / "wide", rows=3))
    rewrite(other.folder / "run.json", class_names=[*CLASSES, "ten"])
    files.write_npz(
        other.folder / "test.npz", ids=np.arange(1, 4), probabilities=np.full((3, 11), 1 / 11)
    )
    with pytest.raises(InputError, match=r"knows 11 classes. Expected 10"):
        predictions.read_test([run, other])
    rewrite(other.folder / "run.json", settings={"folds": 1, "seeds": 1})
    with pytest.raises(InputError, match=r"run.json is damaged: it has no setting test_finge"):
        predictions.read_test([run, other])


# ------------------------------------------------------------------------------------- settings


def test_a_run_says_which_setting_it_lacks(run):
    with pytest.raises(InputError, match=r"that this version does not know: \w+ is missing"):
        _ = run.settings
    rewrite(run.folder / "run.json", settings={**WHOLE, "moonlight": 1})
    with pytest.raises(InputError, match=r"holds settings that this version does not know: 'moon"):
        _ = run.settings


def test_a_foreign_recipe_is_neither_imported_nor_run(tmp_path, monkeypatch):
    """What run.json names must not be looked up as a path or a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    folder = tmp_path / "foreign"
    with open_run(folder):
        pass
    for path in (folder / "recipe.py", tmp_path / "evil.py"):
        path.write_text(code)
    whole = json.loads((folder / "run.json").read_text())
    for name in ("evil.py", "foreign/recipe.py", str(folder / "recipe.py"), "evil:RECIPE", "evil"):
        settings_ = whole["settings"] | {"recipe": name}
        rewrite(folder / "run.json", settings=settings_)
        with pytest.raises(InputError, match=r"is not built in|expected letters, digits"):
            Run(folder).recipe()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "kaggle-digits").exists()


# ----------------------------------------------------------------------------- what is not ours


@pytest.mark.parametrize("name", [".important.tmp.txt", ".bashrc", ".ssh", ".a.123.tmp.keras"])
def test_a_folder_of_hidden_files_is_not_empty(name, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / name).write_text(PRECIOUS)
    with pytest.raises(InputError, match=r"is not a run, and not empty"):
        open_run(folder).__enter__()
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, PRECIOUS)]


def test_only_what_this_program_left_is_removed(tmp_path):
    folder = tmp_path / "run"
    with open_run(folder):
        pass
    ours = [
        "fold-1/.checkpoint.4711.tmp.keras",
        ".metrics.1.tmp.json",
        ".test-labels.tmp.npy",
        ".kaggle-digits-abcdefgh.tmp/submission.csv",
        "fold-12/.kaggle-digits-abc_1234.tmp/new/model.keras",
    ]
    theirs = [
        ".notes.tmp.txt",
        "notes/.model.1.tmp.keras",
        "fold-1/.model.1.tmp.keras.bak",
        "fold-1/other/.oof.2.tmp.npz",
        "fold-x/.oof.2.tmp.npz",
        ".kaggle-digits-abcdefgh.tmp2/a",
        ".kaggle-digits-tmp",
        "plots/.confusion.12.tmp.png",
    ]
    for name in [*ours, *theirs]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(PRECIOUS)
    with open_run(folder):
        pass
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left - {".lock"} == {*theirs, "run.json"}  # versions of filelock leave it or not


def test_what_a_living_process_writes_is_not_removed(tmp_path):
    with files.workspace(tmp_path) as mine:
        (mine / "a").write_text(PRECIOUS)
        files.remove_abandoned(tmp_path)
        files.write_text(tmp_path / "b", "beside it")
        assert (mine / "a").read_text() == PRECIOUS
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_abandoned_name_that_is_a_link_leads_nowhere(outside, tmp_path):
    link = tmp_path / ".kaggle-digits-abcdefgh.tmp"
    link.symlink_to(outside)
    files.write_text(tmp_path / "a", "x")
    assert link.is_symlink()
    assert (outside / "file").read_text() == PRECIOUS


def test_reading_all_this_is_quick(run):
    for number in range(1, 301):
        (run.folder / f"fold-{number}").mkdir()
    rewrite(run.folder / "run.json", settings=WHOLE | {"folds": 5_000, "seeds": 2})
    started = time.perf_counter()
    found, damaged = runs.list_runs(run.folder.parent)
    assert (len(found), damaged) == (1, [])
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("test", {"probabilities": np.full((2, 10), 0.1, "f4")}),
        ("test", {"probabilities": np.full((3, 9), 1 / 9, "f4")}),
        ("oof", {"rows": np.array([0, 3]), "probabilities": np.full((2, 10), 0.1, "f4")}),
        ("oof", {"rows": np.array([-1]), "probabilities": np.full((1, 10), 0.1, "f4")}),
        ("oof", {"rows": np.array([1]), "probabilities": np.full((2, 10), 0.1, "f4")}),
        ("oof", {"rows": np.array([0])}),
    ],
)
def test_a_damaged_fold_stops_gathering_in_words(name, arrays, run):
    rewrite(run.folder / "run.json", settings=json.loads(json.dumps(asdict(settings()))))
    for number in (1, 2):
        fold = run.folder / f"fold-{number}"
        fold.mkdir()
        mark = {"seconds": 1.0, "scores": None}
        (fold / "finished.json").write_text(json.dumps(mark))
        files.write_npz(fold / "test.npz", probabilities=np.full((3, 10), 0.1, "f4"))
    files.write_npz(fold / f"{name}.npz", **arrays)
    images = Dataset(
        np.zeros((3, 28, 28, 1), np.uint8), np.arange(3, dtype=np.uint8), np.arange(1, 4)
    )
    with pytest.raises(InputError, match=rf"fold-2/{name}.npz"):
        gathering.gather(run, Splits("csv", images, images))
