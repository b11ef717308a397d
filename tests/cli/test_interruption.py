"""A run that is killed goes on with the same command and ends with the same bytes."""

import copy
import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.cli import interruption
from tests import product
from tests.helpers import write_competition

# In one process. training/ kills several, and resumes every kind of network with the same bytes.
CV = (*product.DENSE, "--on", "here")
SUBMISSION = Path("out.csv")
RESULTS = ("submission.csv", "oof.npz", "test.npz", "metrics.json", "folds.npy")


@pytest.fixture
def data(undisturbed):
    return undisturbed / "input"


@pytest.fixture(scope="module")
def finished(undisturbed, tmp_path_factory):
    """Return a copy of the finished run's folder, in which commands may write."""
    return shutil.copytree(undisturbed, tmp_path_factory.mktemp("finished") / "copy")


def interrupted(cwd: Path, data: Path, after: str, how: signal.Signals, wait: float = 0.0):
    """Start the run, send it a signal once the line ``after`` came, and return the process."""
    process = product.started(*CV, "--input", data, cwd=cwd)
    lines = product.read_until(process, after)
    time.sleep(wait)
    process.send_signal(how)
    _, rest = process.communicate(timeout=60)
    return process, "".join(lines) + rest


def test_make_is_named_where_make_runs_the_command(monkeypatch, capsys):
    monkeypatch.setenv(interruption.MADE_BY, "make submit PUSH=0")
    with pytest.raises(KeyboardInterrupt), interruption.resume_advice(Path("runs/x")):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("Resume with:\n  make submit PUSH=0\n")


def test_sigkill_in_an_epoch_and_ctrl_c_between_folds(data, finished, tmp_path):
    run = tmp_path / "run"

    process, _ = interrupted(tmp_path, data, "fold 1/3  epoch 1/6", signal.SIGKILL, wait=0.1)
    assert process.returncode == -signal.SIGKILL
    assert (run / "fold-1" / "checkpoint.keras").exists()
    assert not (run / "fold-1" / "finished.json").exists()

    saved = shutil.copytree(run, tmp_path / "saved")
    for _ in range(5):  # on a busy machine the line may be read after the other folds are trained
        process, text = interrupted(tmp_path, data, "fold 1/3  finished", signal.SIGINT)
        if process.returncode != 0:
            break
        shutil.rmtree(run)
        (tmp_path / SUBMISSION).unlink()
        shutil.copytree(saved, run)
    assert "fold 1/3  resumes after epoch" in text
    assert process.returncode == 130
    assert "Interrupted. Every finished epoch is kept in run. Resume with:" in text
    assert "kaggle-digits cv --recipe dense --folds 3 --epochs 6" in text
    assert "Traceback" not in text

    assert (run / "fold-1" / "finished.json").exists()
    assert not (run / "submission.csv").exists()
    assert not (tmp_path / SUBMISSION).exists()

    before = (run / "fold-1" / "model.keras").stat().st_mtime_ns
    last = product.run(*CV, "--input", data, cwd=tmp_path)
    assert "fold 1/3  finished earlier" in last.stderr
    assert (run / "fold-1" / "model.keras").stat().st_mtime_ns == before  # not trained again

    expected = (finished / SUBMISSION).read_bytes()
    assert (tmp_path / SUBMISSION).read_bytes() == expected
    assert (run / "submission.csv").read_bytes() == expected
    for name in ("oof.npz", "test.npz"):
        with np.load(run / name) as ours, np.load(finished / "run" / name) as theirs:
            for key in theirs:
                np.testing.assert_array_equal(ours[key], theirs[key])
    assert not [path for path in run.rglob("*") if ".tmp" in path.name or "checkpoint" in path.name]


def test_what_a_finished_run_holds(finished):
    run = finished / "run"
    for name in RESULTS:
        assert (run / name).exists()
    folds = np.load(run / "folds.npy")
    assert folds.shape == (1, 240)
    assert sorted(np.unique(folds)) == [1, 2, 3]
    with np.load(run / "oof.npz") as oof:
        assert oof["probabilities"].shape == (240, 10)
        np.testing.assert_array_equal(oof["ids"], np.arange(1, 241))
        np.testing.assert_array_equal(oof["labels"], np.arange(240) % 10)
    with np.load(run / "test.npz") as test:
        assert test["probabilities"].shape == (40, 10)
        np.testing.assert_array_equal(test["ids"], np.arange(1, 41))


def test_a_finished_run_is_not_trained_again(data, finished):
    again = product.call(*CV, "--input", data, "--submission", "again.csv", cwd=finished)
    assert again.stderr.count("finished earlier") == 3
    assert (finished / "again.csv").read_bytes() == (finished / SUBMISSION).read_bytes()


def test_another_process_in_the_same_folder_is_refused(data, tmp_path):
    first = product.started(*CV, "--input", data, cwd=tmp_path)
    try:
        while not (tmp_path / "run" / "run.json").exists():
            time.sleep(0.05)
        second = product.call(*CV, "--input", data, cwd=tmp_path, code=2)
        assert "run is in use by another `kaggle-digits`" in second.stderr
    finally:
        first.kill()
        first.communicate()


def test_other_settings_or_data_are_refused_with_both_values(data, finished, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (finished / "run").rglob("*")}
    changed = [*CV]
    changed[changed.index("--epochs") + 1] = "4"
    done = product.call(*changed, "--input", data, cwd=finished, code=2)
    assert "training.epochs: the run has 6, this command has 4" in done.stderr
    other = write_competition(tmp_path / "other", train=240, test=40, seed=1)
    done = product.call(*CV, "--input", other, cwd=finished, code=2)
    assert "train_fingerprint: the run has" in done.stderr
    assert "To start a new run, use another --run" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (finished / "run").rglob("*")} == before


def test_a_run_of_an_earlier_version_goes_on_and_one_of_a_later_is_refused(
    data, finished, tmp_path
):
    path = shutil.copytree(finished / "run", tmp_path / "run") / "run.json"
    (tmp_path / "run" / "metrics.json").unlink()
    whole = json.loads(path.read_text())
    earlier = copy.deepcopy(whole)
    del earlier["settings"]["training"]["weight_decay"], earlier["class_names"]
    training = earlier["settings"]["training"]
    training["parts"] = training.pop("batch_splits")
    training["undistorted_epochs"] = training.pop("final_epochs_without_augmentation")
    path.write_text(json.dumps(earlier))
    product.call(*CV, "--input", data, cwd=tmp_path)
    assert (tmp_path / "run" / "metrics.json").exists()
    for width in (14, None):  # its recipe was another one before
        deslanted = copy.deepcopy(whole)
        deslanted["settings"]["deslant"] = {"width": width}
        path.write_text(json.dumps(deslanted))
        done = product.call(*CV, "--input", data, cwd=tmp_path, code=2)
        assert (
            f"deslant.width: the run has {width}, this command has no such setting" in done.stderr
        )
    later = copy.deepcopy(whole)
    later["settings"]["training"]["moonlight"] = 1
    path.write_text(json.dumps(later))
    done = product.call(*CV, "--input", data, cwd=tmp_path, code=2)
    assert "holds settings that this version does not know" in done.stderr
    assert "moonlight" in done.stderr


def test_what_follows_a_run(data, finished):
    """Commands that read a finished run."""
    product.call("predict", "run", "--input", data, "--submission", "predicted.csv", cwd=finished)
    assert (finished / "predicted.csv").read_bytes() == (finished / SUBMISSION).read_bytes()

    evaluated = product.call("evaluate", "run", "--worst", "3", cwd=finished).stdout
    assert "accuracy  0." in evaluated
    assert "predict" in evaluated
    assert evaluated.strip().splitlines()[-1].count(".") == 2

    listed = product.call("runs", "--folder", ".", cwd=finished).stdout
    assert "3/3" in listed

    for method in ("mean", "geometric", "vote", "hill-climb"):
        blended = product.call(
            "ensemble", "run", "run", "--method", method, "--submission", f"{method}.csv",
            cwd=finished,
        ).stdout  # fmt: skip
        assert f"= {method}" in blended
        # a run blended with itself is itself
        assert (finished / f"{method}.csv").read_bytes() == (finished / SUBMISSION).read_bytes()

    done = product.call("submit", SUBMISSION, "--input", data, "--if-possible", cwd=finished).stdout
    assert "is not for the competition" in done
