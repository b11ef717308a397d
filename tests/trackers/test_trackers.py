"""Runs in TensorBoard's event files and in MLflow's store: whole, and nothing twice."""

import importlib.util

import pytest

from kaggle_digits import trackers
from kaggle_digits.errors import InputError
from kaggle_digits.pipeline import NullCallback
from kaggle_digits.training.history import Epoch, read_history, write_history
from tests import product
from tests.report.made_runs import EPOCHS, make_data, make_run


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a finished run of two folds, its data beside it; MLflow's store in that folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    data = make_data(tmp_path / "input")
    return make_run(tmp_path / "runs" / "it's a run", data, 0), data


def track(made, name):
    """Write the run as `cv` does that finds it finished."""
    run, data = made
    with trackers.tracking(run, [name], NullCallback(), data) as callback:
        callback.run_started(2, EPOCHS, (30, 30))
        for number in (1, 2):
            callback.fold_done(number, None, skipped=True)


def interrupt(made, name):
    """Write the run as a process does that is killed in the second epoch of its first fold."""
    run, data = made
    history = read_history(run.fold(1) / "history.csv")
    with trackers.tracking(run, [name], NullCallback(), data) as callback:
        fold = callback.fold_started(1)
        fold.epochs_found(0)
        fold.epoch_done(history[0])
        raise KeyboardInterrupt


def resume(made, name):
    """Write the run as the process does that resumes it."""
    run, data = made
    history = read_history(run.fold(1) / "history.csv")
    with trackers.tracking(run, [name], NullCallback(), data) as callback:
        fold = callback.fold_started(1)
        fold.epochs_found(1)
        for epoch in history[1:]:
            fold.epoch_done(epoch)
        callback.fold_done(1, None, skipped=False)
        callback.fold_done(2, None, skipped=True)


def read_events(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed",
    )
    read = accumulator.EventAccumulator(str(folder), {"images": 0, "tensors": 0})
    read.Reload()
    return read


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")


@pytest.fixture
def mlflow_client():
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    from mlflow import MlflowClient

    return MlflowClient


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_shows_curves_settings_scores_and_plots(made):
    from tensorboard.util.tensor_util import make_ndarray

    run, _ = made
    track(made, "tensorboard")
    track(made, "tensorboard")  # the same command again
    folder = run.folder / "tensorboard"
    assert sorted(path.name for path in folder.iterdir()) == [
        "fold-1", "fold-2", "results", "settings",
    ]  # fmt: skip
    for fold in (1, 2):
        for part, loss in (("train", 1.0), ("validation", 1.1)):
            events = read_events(folder / f"fold-{fold}" / part)
            losses = events.Tensors("epoch_loss")
            assert [event.step for event in losses] == [0, 1, 2]
            assert make_ndarray(losses[0].tensor_proto) == pytest.approx(loss)
    results = read_events(folder / "results").Tags()["tensors"]
    assert {"oof_accuracy", "oof_log_loss", "seconds", "confusion", "learning-curves"} <= set(
        results
    )
    (settings,) = read_events(folder / "settings").Tensors("settings")
    assert b"training.epochs" in make_ndarray(settings.tensor_proto).item()


@pytest.mark.usefixtures("tensorboard")
def test_a_resumed_run_is_in_tensorboard_once(made):
    with pytest.raises(KeyboardInterrupt):
        interrupt(made, "tensorboard")
    folder = made[0].folder / "tensorboard"
    assert not (folder / "results").exists()
    resume(made, "tensorboard")
    losses = read_events(folder / "fold-1" / "train").Tensors("epoch_loss")
    assert [event.step for event in losses] == [0, 1, 2]


def test_mlflow_has_each_epoch_once_whatever_happens(made, mlflow_client):
    run, _ = made
    with pytest.raises(KeyboardInterrupt):
        interrupt(made, "mlflow")
    client = mlflow_client()
    experiment = client.get_experiment_by_name("kaggle-digits").experiment_id
    stored = client.search_runs([experiment])
    assert {each.info.status for each in stored} == {"KILLED"}
    resume(made, "mlflow")
    track(made, "mlflow")  # the same command again
    stored = {each.data.tags["mlflow.runName"]: each for each in client.search_runs([experiment])}
    assert set(stored) == {"it's a run", "fold-1", "fold-2"}
    assert {each.info.status for each in stored.values()} == {"FINISHED"}
    parent = stored["it's a run"]
    for fold in ("fold-1", "fold-2"):
        assert stored[fold].data.tags["mlflow.parentRunId"] == parent.info.run_id
        for name in ("loss", "val_accuracy", "learning_rate"):
            history = client.get_metric_history(stored[fold].info.run_id, name)
            assert [metric.step for metric in history] == [1, 2, 3]
    assert parent.data.params["recipe"] == run.settings.recipe
    accuracy = client.get_metric_history(parent.info.run_id, "oof_accuracy")
    assert [metric.value for metric in accuracy] == [run.metrics["oof"]["accuracy"]]
    plots = {item.path for item in client.list_artifacts(parent.info.run_id, "plots")}
    assert {"plots/confusion.png", "plots/learning-curves.png"} <= plots


@pytest.mark.usefixtures("tensorboard")
def test_what_was_not_held_out_is_left_out(made):
    run, _ = made
    nothing = float("nan")
    write_history(
        run.fold(1) / "history.csv", [Epoch(1, 0.5, 0.9, nothing, nothing, 0.001, 1.0, 9.0)]
    )
    track(made, "tensorboard")
    assert not (run.folder / "tensorboard" / "fold-1" / "validation").exists()


def test_without_trackers_the_callback_stays_as_it_is(made):
    run, data = made
    watcher = NullCallback()
    with trackers.tracking(run, [], watcher, data) as callback:
        assert callback is watcher


def test_an_unknown_tracker_is_refused_before_anything_is_trained(tmp_path):
    data = make_data(tmp_path / "input")
    done = product.call(
        "cv", "--recipe", "dense", "--input", data, "--log", "nosuch", cwd=tmp_path, code=2
    )
    assert "received the tracker 'nosuch'. Expected one of mlflow, tensorboard." in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_tracker_that_is_not_installed_names_the_command(name, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda each: None if each == name else found(each)
    )
    with pytest.raises(InputError, match=rf"pip install 'kaggle-digits\[{name}\]'"):
        trackers.require_trackers([name])
