"""Search: what is tried, what is kept, and that a killed search ends like one that was not."""

import importlib.util
import itertools
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import kaggle_digits as kd
from kaggle_digits.cli import search as search_command
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Scores
from kaggle_digits.recipes.space import Dimension, default_space, find_fault
from kaggle_digits.runs import Run
from kaggle_digits.search.study import Confirmation, Confirmed, Study, Trial, best
from kaggle_digits.search.summary import Summary
from kaggle_digits.search.trials import _PrunedError, _TrialCallback, is_hopeless, recipe_text
from tests import product, untrained
from tests.helpers import write_competition

HAS_OPTUNA = importlib.util.find_spec("optuna") is not None
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
needs_optuna = pytest.mark.skipif(not HAS_OPTUNA, reason="Optuna is not installed")

NET = """
import kaggle_digits as kd

def network(units=8):
    import keras
    from keras import layers
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dense(units, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])

RECIPE = kd.Recipe(
    name="small",
    summary="",
    network=network,
    training=kd.Training(optimizer="adam", learning_rate=1e-3, batch_size=16, epochs=2),
    space={"units": kd.Integer(4, 32), "learning_rate": kd.Real(1e-4, 1e-1, log=True)},
)
"""
SEARCH = ("search", "--recipe", "net.py", "--folds", "2", "--epochs", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=120, test=20)


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """A folder in which a study of three trials was searched and confirmed, and the output."""
    if not HAS_OPTUNA:
        pytest.skip("Optuna is not installed")
    folder = tmp_path_factory.mktemp("searched")
    (folder / "net.py").write_text(NET)
    options = ("--trials", "3", "--confirm", "1", "--input", data)
    return folder, product.call(*SEARCH, *options, cwd=folder)


def tried(folder: Path):
    study = Study(folder / "runs" / "search-small")
    return [(one.number, one.params, one.state, one.accuracies) for one in study.trials]


# ------------------------------------------------------------------------------------- a search


def test_a_search_tries_the_own_settings_and_those_of_the_space(searched):
    folder, done = searched
    [own, *others] = tried(folder)
    assert own[1] == {}
    for _, params, state, accuracies in others:
        assert 4 <= params["units"] <= 32
        assert 1e-4 <= params["learning_rate"] <= 1e-1
        assert (state, len(accuracies)) == ("finished", 2)
    assert "trial 1  the recipe's own settings" in done.stderr
    study = Study(folder / "runs" / "search-small")
    settings = [Run(study.run(trial)).settings for trial in study.trials]
    assert len({one.train_fingerprint for one in settings}) == 1
    folds = {(study.run(trial) / "folds.npy").read_bytes() for trial in study.trials}
    assert len(folds) == 1, "all trials have the same folds"
    confirmed = study.confirmation
    assert confirmed is not None
    assert confirmed.images == 40  # a third of 120
    assert confirmed.winner.seeds == (1,)


def test_a_resumed_trial_adds_its_time(tmp_path):
    study, trial = Study(tmp_path), Trial(1, {}, seconds=100.0)
    judged = Scores(0.5, 1.0, 5, 10, 0.1)
    callback = _TrialCallback(study, trial, mock.Mock())
    callback.run_started(2, 1, (10, 10))
    callback.fold_done(1, judged, skipped=False)
    assert callback.trial.seconds >= 100
    [written] = study.trials
    assert written.accuracies == (0.5,)
    assert written.seconds == callback.trial.seconds


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_a_trial_is_stopped_after_the_same_fold_in_whatever_order_they_end(order, tmp_path):
    study, accuracies = Study(tmp_path), {1: 0.90, 2: 0.99, 3: 0.95}
    for number in range(1, 6):
        study.write(Trial(number, {}, "finished", (0.93, 0.93, 0.93)))
    callback = _TrialCallback(study, Trial(6, {}), mock.Mock())
    callback.run_started(3, 1, (10, 10, 10))

    def finish_folds():
        for fold in order:
            callback.fold_done(fold, Scores(accuracies[fold], 1.0, 5, 10, 0.1), skipped=False)

    with pytest.raises(_PrunedError):
        finish_folds()
    assert callback.trial.accuracies == (0.90,)


def test_seeds_of_the_confirmation_are_checked_before_the_trials(data, tmp_path):
    options = ("--recipe", "dense", "--seed", str(2**32 - 1), "--confirm", "1", "--input", data)
    done = product.call("search", *options, cwd=tmp_path, code=2)
    assert "received seed=4294967295, the first of 2 seeds. Expected seeds up" in done.stderr
    assert not (tmp_path / "runs").exists()


@needs_optuna
def test_a_note_says_what_few_images_change(data, tmp_path):
    options = ("--folds", "2", "--epochs", "1", "--trials", "1", "--confirm", "1")
    with untrained.training_takes_no_time():
        done = product.call("search", "--recipe", "dense", *options, "--input", data, cwd=tmp_path)
    note = "Note: few images, 40 for each model: batch size 16 instead of 128"
    assert done.stderr.count(note) == 1  # of the trial and the confirmation


@pytest.mark.parametrize("trial", [1, 2])
def test_a_winner_is_compared_with_the_recipes_own_settings(trial, capsys):
    own = Confirmed((1,), (0.9,), 0.8, 0.01)
    winner = Confirmed((1,), (0.91,), 0.82, 0.01)
    found = Confirmation(trial, 40, winner, own, 0.02, 0.01)
    search_command._print_confirmation(Summary(3, 0, (), {}, found, Path("winner.py")))
    text = capsys.readouterr().out
    assert "  own        out-of-fold 0.90000; held back 0.80000 ± 0.01000" in text
    assert ("Gain         +0.02000 ± 0.01000 on the 40 held-back images" in text) is (trial == 2)
    assert ("kaggle-digits cv --recipe winner.py" in text) is (trial == 2)
    assert ("own settings, which no trial exceeded" in text) is (trial == 1)


def test_the_winner_is_a_recipe_for_cv(searched, data):
    folder, _ = searched
    winner = "runs/search-small/winner.py"
    options = ("--folds", "2", "--epochs", "1", "--input", data, "--run", "run")
    product.call("cv", "--recipe", winner, *options, cwd=folder)
    study = Study(folder / "runs" / "search-small")
    [first, *_] = best(study.trials)
    settings = Run(folder / "run").settings
    assert settings.recipe == "small-search"
    assert kd.find_recipe(str(folder / winner)).training.epochs == 1  # as it was confirmed
    if first.params:
        assert settings.training.learning_rate == first.params["learning_rate"]


def test_show_and_json_train_nothing(searched):
    folder, _ = searched
    shown = product.call("search", "--recipe", "net.py", "--show", cwd=folder)
    assert "3 trials" in shown.stdout
    assert (folder / "runs/search-small/plots/search.png").stat().st_size > 10_000
    facts = json.loads(
        product.call("search", "--recipe", "net.py", "--show", "--json", cwd=folder).stdout
    )
    assert facts["trials"] == 3
    assert facts["winner"] == "runs/search-small/winner.py"


def test_more_trials_continue_and_other_settings_are_refused(searched, data):
    folder, _ = searched
    before = tried(folder)
    more = ("--trials", "7", "--confirm", "0", "--input", data)
    with untrained.training_takes_no_time():
        product.call(*SEARCH, *more, cwd=folder)
    after = tried(folder)
    assert after[:3] == before
    assert len(after) == 7
    study = Study(folder / "runs" / "search-small")
    with_models = [t for t in study.trials if list(study.run(t).glob("fold-*/model.keras"))]
    assert len(with_models) <= 5
    assert {trial.number for trial in best(study.trials)[:5]} >= {t.number for t in with_models}
    assert all(list(study.run(trial).glob("fold-*/oof.npz")) for trial in study.trials)
    refused = product.call(*SEARCH, "--seed", "3", "--input", data, cwd=folder, code=2)
    assert "seed: the study has 0, this command has 3" in refused.stderr
    assert "start a new one with --study" in refused.stderr


@needs_optuna
@pytest.mark.slow
def test_a_killed_search_ends_like_one_that_was_not(searched, data, tmp_path):
    folder, _ = searched
    (tmp_path / "net.py").write_text(NET)
    command = (*SEARCH, "--trials", "3", "--confirm", "1", "--input", data)
    for text in ("trial 1  fold 1", "trial 2  fold 1", "trial 3  units", "confirm "):
        process = product.started(*command, cwd=tmp_path)
        product.read_until(process, text)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    product.run(*command, cwd=tmp_path)
    assert tried(tmp_path) == tried(folder)[:3]
    assert not list((tmp_path / "runs/search-small").glob(".*.tmp*"))


@needs_optuna
@needs_ray
@pytest.mark.slow
def test_a_search_on_ray_tries_the_same(data, tmp_path):
    for place in ("here", "ray"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "net.py").write_text(NET)
        options = ("--trials", "3", "--confirm", "0", "--on", place, "--input", data)
        product.run(*SEARCH, *options, cwd=tmp_path / place)
    assert tried(tmp_path / "ray") == tried(tmp_path / "here")


# ---------------------------------------------------------------------------------------- parts


def test_a_trial_is_compared_on_its_own_folds():
    others = [(0.9, 0.5), (0.8, 0.5), (0.7, 0.9), (0.6, 0.9)]
    assert not is_hopeless((0.76,), others)
    assert is_hopeless((0.74,), others)
    assert not is_hopeless((0.74,), others[:3]), "too few to compare with"
    assert is_hopeless((0.74, 0.6), others)
    assert not is_hopeless((0.1, 0.1), [(0.9,)] * 9), "others without a second fold do not count"


@needs_optuna
def test_the_same_trials_give_the_same_suggestion(tmp_path):
    from kaggle_digits.search.sampling import Sampler

    space: dict[str, Dimension] = {
        "a": kd.Real(0, 1),
        "b": kd.Choice(("x", "y")),
        "c": kd.Integer(1, 9),
    }
    trials: list[Trial] = [Trial(1, {}, "finished", (0.5,))]
    sampler = Sampler(tmp_path / "one.log", space, trials, seed=0)
    for number in range(2, 14):
        params = sampler.suggest(number)
        again = Sampler(tmp_path / "two.log", space, trials, seed=0)
        assert again.suggest(number) == params
        ended = Trial(number, params, "finished", (params["a"], params["a"]))
        trials.append(replace(ended, state="pruned") if number % 3 == 0 else ended)
        sampler.tell(trials[-1])
    assert max(sampler.importances().items(), key=lambda item: item[1])[0] == "a"


def test_settings_replace_those_of_training_augmentation_and_network():
    recipe = kd.find_recipe("two-conv").with_settings(
        {"learning_rate": 0.5, "augmentation.shift": 0.1, "width": 16}
    )
    assert recipe.training.learning_rate == 0.5
    assert recipe.training.augmentation == kd.Affine(shift=0.1)
    assert recipe.network.keywords == {"width": 16}  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"'learnin_rate'\. Did you mean 'learning_rate'\?"):
        recipe.with_settings({"learnin_rate": 1})
    assert recipe.with_settings({"augmentation": None}).training.augmentation is None
    with pytest.raises(InputError, match=r"received the setting 'augmentation.rot'"):
        recipe.with_settings({"augmentation.rot": 5})
    values: Any
    for values in (5, {5: 1}):
        with pytest.raises(InputError, match=r"with_settings received .*5.*\. Expected a dict"):
            recipe.with_settings(values)


def test_a_long_name_is_cut_for_the_recipes_of_trials(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET.replace('name="small"', f'name="{"n" * 64}"'))
    path.write_text(recipe_text(kd.find_recipe(str(path)), Trial(12, {"units": 5}), "search"))
    assert kd.find_recipe(str(path)).name == "n" * 57 + "-search"


def test_built_in_spaces_hold():
    from kaggle_digits.recipes import RECIPES

    for recipe in RECIPES.values():
        space = recipe.space or default_space(recipe.training)
        assert find_fault(space, recipe.network) is None, recipe.name


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('{"units": kd.Integer(4, 4)}', "goes from 4 to 4, expected two growing numbers"),
        ('{"units": kd.Real(0, 1, log=True)}', "above 0 for log=True"),
        ('{"unitz": kd.Integer(4, 8)}', "space names 'unitz', expected a setting of Training"),
        ('{"units": kd.Choice((4,))}', "needs a tuple of two or more numbers or texts"),
        ('{"units": kd.Choice(4)}', "needs a tuple of two or more numbers or texts, received 4"),
        (
            '{"optimizer": kd.Choice("adam")}',
            "needs a tuple of two or more numbers or texts, received 'adam'",
        ),
        ('{"units": kd.Integer(1.5, 3)}', "goes from 1.5 to 3, expected whole numbers"),
        ('{"units": (4, 8)}', "expected Real, Integer or Choice"),
        ("[4, 8]", "space is a list, expected a dict"),
    ],
)
def test_a_wrong_space_is_refused_with_its_file(space, message, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET.replace(NET[NET.index("space=") + 6 : NET.rindex(",\n)")], space))
    with pytest.raises(InputError, match=r"net\.py, line") as raised:
        kd.find_recipe(str(path))
    assert message in str(raised.value)


def test_without_optuna_the_message_says_how_to_install_it(monkeypatch, data, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = product.call("search", "--recipe", "dense", "--input", data, cwd=tmp_path, code=2)
    assert "pip install 'kaggle-digits[search]'" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--show",), "holds no study: study.json is missing"),
        (("--budget", "500T"), "--budget 500T is not a time"),
        (("--budget", "5"), "--budget 5 is not a time. Expected a time, such as 30m or 2h."),
    ],
)
def test_what_is_wrong_is_said(options, message, data, tmp_path):
    done = product.call("search", *options, "--input", data, cwd=tmp_path, code=2)
    assert message in done.stderr


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "study.json").write_text('{"recipe": 5}')
    with pytest.raises(InputError, match=r"study.json is damaged: .* start a new study"):
        _ = Study(tmp_path).shared
