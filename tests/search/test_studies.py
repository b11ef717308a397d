"""Search without training: which trials are tried, and what a study's folder holds."""

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import pipeline
from kaggle_digits.errors import InputError
from kaggle_digits.recipes.space import Space
from kaggle_digits.search.confirming import confirm
from kaggle_digits.search.study import Shared, Study, Trial
from kaggle_digits.search.summary import summarize
from kaggle_digits.search.trials import Trainer
from kaggle_digits.search.trying import SearchConfig, _try
from kaggle_digits.training.configuration import TrainConfig
from tests.search.test_search import NET, needs_optuna

SHARED = Shared("dense", None, "", 2, 0, None, None, None, "", "tensorflow")
SPACE: Space = {"learning_rate": kd.Real(1e-4, 1e-1, log=True), "epochs": kd.Integer(1, 9)}


class Untrained(Trainer):
    """Train nothing. ``die_at`` is the name of the recipe at whose training the process dies."""

    die_at: str | None = None

    def train(self, trial, watcher):
        del watcher
        accuracy = trial.params.get("learning_rate", 0.05)
        ended = Trial(trial.number, trial.params, "finished", (accuracy, accuracy))
        self.study.write(ended)
        return ended

    def run(self, recipe, *_: Any) -> Any:
        if recipe.name == self.die_at:
            signal.raise_signal(signal.SIGKILL)
        arrays = {"probabilities": np.eye(10), "labels": np.arange(10)}
        return SimpleNamespace(arrays=lambda _: arrays, metrics={"oof": {"accuracy": 0.5}})


def make_trainer(folder: Path, recipe: str = "dense", **settings: Any) -> Untrained:
    config = TrainConfig(recipe=kd.find_recipe(recipe), folds=2, **settings)
    return Untrained(Study(folder), config, mock.Mock())


def confirm_best(folder: Path, die_at: str | None = None) -> None:
    """Confirm the best trial of the study in ``folder``, or die in the middle of it."""
    trainer = make_trainer(folder)
    if die_at == "confirmed.json":
        die = mock.Mock(side_effect=lambda _: signal.raise_signal(signal.SIGKILL))
        with mock.patch.object(Study, "write_confirmation", die):
            confirm(trainer.study, 1, trainer, mock.Mock())
    trainer.die_at = die_at
    confirm(trainer.study, 1, trainer, mock.Mock())


# ------------------------------------------------------------------------------------ the trials


@needs_optuna
def test_a_removed_trial_is_tried_again(tmp_path):
    trainer = make_trainer(tmp_path)
    study = trainer.study
    config = SearchConfig(train=trainer.config, trials=12, seconds=None, confirmations=0)
    watcher = mock.Mock()
    _try(study, config, SPACE, trainer, watcher, 0)
    before = study.trials
    assert [trial.number for trial in before] == list(range(1, 13))
    (tmp_path / "trial-1.json").unlink()
    (tmp_path / "trial-11.json").unlink()  # suggested by the results of those before it
    watcher.reset_mock()
    _try(study, config, SPACE, trainer, watcher, 0)
    assert study.trials == before
    assert watcher.trial_started.call_count == 2


def test_only_what_a_search_describes_is_used_of_a_configuration(monkeypatch, tmp_path):
    given: dict[str, Any] = {"epochs": 3, "precision": "float32", "jobs": 2, "on": "processes"}
    ignored: dict[str, Any] = {"batch_size": 7, "learning_rate": 0.5, "log": ("mlflow",)}
    trainer = make_trainer(tmp_path, **given, **ignored, seeds=2, limit=9)
    training = mock.Mock(return_value=(mock.Mock(), None))
    monkeypatch.setattr(pipeline, "run_training", training)
    mine = tmp_path / "held-back.csv"
    mine.write_text("ImageId,Label\n1,2\n")
    Trainer.run(trainer, trainer.config.recipe, tmp_path / "run", 5, mock.Mock())
    config = training.call_args.args[0]
    recipe, csv = trainer.config.recipe, config.submission
    assert config == TrainConfig(
        recipe=recipe, folds=2, seed=5, run=tmp_path / "run", submission=csv, **given
    )
    assert mine.read_text() == "ImageId,Label\n1,2\n"
    assert list(tmp_path.iterdir()) == [mine]


# ------------------------------------------------------------------------------------ its folder


def test_a_folder_with_other_files_is_no_study(tmp_path):
    (tmp_path / "winner.py").write_text("mine")
    with (
        pytest.raises(InputError, match=r"is not a study, and not empty: it holds 'winner.py'"),
        Study(tmp_path).open(SHARED),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["winner.py"]


def test_no_recipe_in_the_folder_is_executed(tmp_path):
    study = Study(tmp_path)
    study.write(Trial(1, {}, "finished", (0.5,)))
    study.write(Trial(2, {"epochs": 3}, "finished", (0.6,)))
    for name in ("trial-1.py", "trial-2.py", "winner.py"):
        (tmp_path / name).write_text("raise SystemExit('executed')")
    confirm_best(tmp_path)
    assert kd.find_recipe(str(study.winner)).training.epochs == 3


@needs_optuna
def test_a_recipe_without_a_space_is_summarized(tmp_path):
    (tmp_path / "net.py").write_text(NET[: NET.index("    space=")] + ")\n")
    trainer = make_trainer(tmp_path, str(tmp_path / "net.py"))
    study = Study(tmp_path / "study")
    sha256 = trainer.config.recipe.program_sha256
    with study.open(Shared(**(vars(SHARED) | {"recipe_sha256": sha256}))):
        for number, batch_size in enumerate((16, 32, 8), start=1):
            params = {
                "learning_rate": 4e-3,
                "batch_size": batch_size,
                "label_smoothing": 0.1,
                "augmentation.rotation": 5.0,
                "augmentation.shift": 0.1,
                "augmentation.zoom": 0.1,
            }
            trial = Trial(number, {} if number == 1 else params, "finished", (0.5,))
            study.write(trial)
            trainer.write_recipe(trial, study.recipe(trial), f"t{number}")
    assert summarize(study).trials == 3


# ------------------------------------------------------------------------------ the confirmation


def test_the_winner_has_the_epochs_and_the_precision_of_its_confirmation(tmp_path):
    trainer = make_trainer(tmp_path, epochs=1, precision="float16")
    trainer.study.write(Trial(1, {}, "finished", (0.5,)))
    confirm(trainer.study, 1, trainer, mock.Mock())
    training = kd.find_recipe(str(trainer.study.winner)).training
    assert (training.epochs, training.precision) == (1, "float16")


@pytest.mark.parametrize("die_at", ["dense-t2", "confirmed.json"])
def test_a_killed_confirmation_shows_no_unconfirmed_winner(die_at, tmp_path):
    study = Study(tmp_path)
    study.write(Trial(1, {}, "finished", (0.5,)))
    confirm_best(tmp_path)
    study.write(Trial(2, {"epochs": 3}, "finished", (0.6,)))
    program = "from pathlib import Path; from tests.search.test_studies import confirm_best; "
    command = f"{program}confirm_best(Path({str(tmp_path)!r}), {die_at!r})"
    done = subprocess.run([sys.executable, "-c", command], check=False)
    assert done.returncode == -signal.SIGKILL
    confirmed = study.confirmation
    recipe = kd.find_recipe(str(study.winner))
    assert confirmed is None or (confirmed.trial, recipe.training.epochs == 3) == (1, False)
    confirm_best(tmp_path)
    assert study.confirmation is not None
    assert study.confirmation.trial == 2
    assert kd.find_recipe(str(study.winner)).training.epochs == 3
