"""A run's JSON files as anybody may have changed them."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kaggle_digits
from kaggle_digits.cli import app
from kaggle_digits.errors import InputError
from kaggle_digits.runs import Run, environment
from tests import helpers

SETTINGS = {"recipe": "bn20", "source": "csv", "folds": 2, "seeds": 1, "training": {"epochs": 3}}
DESCRIPTION = {"state": "finished", "started": "2026-01-02T03:04:05+00:00", "settings": SETTINGS}
SCORES = {"accuracy": 0.5, "log_loss": 1.5, "errors": 2, "images": 4, "standard_error": 0.25}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "runs" / "a" / "fold-1").mkdir(parents=True)
    run = Run(tmp_path / "runs" / "a")
    write(run, "run.json", DESCRIPTION)
    write(run, "metrics.json", {"oof": SCORES, "folds": [SCORES], "test": None, "seconds": 2.5})
    write(run, "fold-1/finished.json", {"seconds": 2.5, "scores": SCORES})
    return run


def write(run: Run, name: str, value: Any) -> None:
    (run.folder / name).write_text(value if isinstance(value, str) else json.dumps(value))


def changed(**settings: Any) -> dict[str, Any]:
    return DESCRIPTION | {"settings": SETTINGS | settings}


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("{", "is damaged: Expecting property name"),
        ("[" * 100_000, "is damaged: its brackets are nested too deeply"),
        ([], "it is a list, expected an object"),
        (DESCRIPTION | {"state": None}, "state is None, expected 'running'"),
        (DESCRIPTION | {"class_names": 10}, "class_names is 10, expected tuple"),
        (DESCRIPTION | {"environment": []}, "environment is a list, expected dict"),
        ({"state": "finished"}, "settings is missing"),
        (changed(folds="two"), "settings.folds is 'two', expected int"),
        (changed(folds=0), "it has 0 folds and 1 seeds, expected 1 to 10,000 models"),
        (changed(folds=10**15), "expected 1 to 10,000 models"),
        (changed(recipe=[]), "settings.recipe is a list, expected str"),
        (changed(training={"epochs": "many"}), "settings.training.epochs is 'many', expected int"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_damaged_run_json_says_what_is_wrong_with_it(description, problem, run):
    write(run, "run.json", description)
    with pytest.raises(InputError) as caught:
        run.models()
    assert str(caught.value).startswith(f"{run.folder / 'run.json'} is damaged: ")
    assert problem in str(caught.value)
    assert "Remove the folder and train again" in str(caught.value)


def test_a_setting_that_is_missing_is_named(run):
    settings = {name: value for name, value in SETTINGS.items() if name != "folds"}
    write(run, "run.json", DESCRIPTION | {"settings": settings})
    with pytest.raises(InputError, match="is damaged: it has no setting folds"):
        run.models()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"optimizer": "magic"}, "training.optimizer is 'magic', expected 'rmsprop' or 'adam'"),
        ({"augmentation": {"rotation": "far"}}, "training.augmentation.rotation is 'far'"),
        ({"batch_size": 64.5}, "training.batch_size is 64.5, expected int"),
        ({"speed": 3}, "training.'speed' is not known"),
    ],
    ids=str,
)
def test_settings_that_this_version_does_not_know(change, problem, run):
    settings = asdict(helpers.run_settings())
    write(run, "run.json", DESCRIPTION | {"settings": settings})
    assert asdict(run.settings) == settings
    settings["training"] |= change
    write(run, "run.json", DESCRIPTION | {"settings": settings})
    with pytest.raises(
        InputError, match="holds settings that this version does not know"
    ) as caught:
        assert run.settings
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("metrics.json", {"oof": {"accuracy": "high"}}, "oof.accuracy is 'high', expected float"),
        ("metrics.json", {"oof": []}, "oof is a list, expected an object"),
        ("metrics.json", "[" * 100_000, "its brackets are nested too deeply"),
        ("fold-1/finished.json", {"seconds": 1, "scores": {}}, "scores.accuracy is missing"),
        ("fold-1/finished.json", "\0", "Expecting value"),
    ],
)
def test_runs_leaves_out_a_run_with_a_damaged_file(name, value, problem, run, monkeypatch):
    monkeypatch.chdir(run.folder.parent.parent)
    write(run, name, value)
    done = CliRunner().invoke(app, ["runs"])
    assert done.exit_code == 0
    assert f"runs/a/{name} is damaged: {problem}" in done.stderr
    assert "The run is omitted." in done.stderr
    assert "No runs in" in done.stdout


def test_a_fold_whose_mark_is_damaged_can_be_trained_again(run):
    write(run, "fold-1/finished.json", "")
    with pytest.raises(InputError) as caught:
        run.fold_scores(1)
    path = run.folder / "fold-1" / "finished.json"
    assert f"Remove {path} and run the same command again" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": np.array([0, 10])}, "received labels from 0 to 10, expected 0 to 9"),
        ({"labels": np.array([-1, 9])}, "received labels from -1 to 9, expected 0 to 9"),
        ({"labels": None}, "lacks labels"),
        ({"ids": np.arange(3)}, "(probabilities): received an array of shape (2, 10)"),
        ({"probabilities": np.full((2, 9), 0.1)}, "expected shape (2, 10) and dtype floating"),
    ],
    ids=str,
)
def test_arrays_that_do_not_belong_to_the_run(changes, problem, run):
    arrays = {"ids": np.arange(2), "probabilities": np.full((2, 10), 0.1), "labels": np.arange(2)}
    whole = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(run.folder / "oof.npz", **whole)
    with pytest.raises(InputError, match=r"oof\.npz") as caught:
        run.arrays("oof")
    assert problem in str(caught.value)
    assert "Repeat the command that made the run: it rewrites the file." in str(caught.value)


def test_the_environment_names_the_commit_of_the_checkout():
    checkout = Path(kaggle_digits.__file__).parent.parent
    if not (checkout / ".git").exists():
        pytest.skip("this is no checkout")
    git = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    head = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    assert environment()["git_commit"] == head
