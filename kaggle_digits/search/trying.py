"""Search: try settings of a recipe's space on the same folds, then confirm the best."""

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits.backend import backend_name
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.recipes.checking import require_classes, require_shape
from kaggle_digits.recipes.space import Space, default_space
from kaggle_digits.search.confirming import confirm
from kaggle_digits.search.sampling import Sampler, require_optuna
from kaggle_digits.search.study import OWN, Shared, Study, Trial, best
from kaggle_digits.search.trials import SearchCallback, Trainer
from kaggle_digits.training import splitting
from kaggle_digits.training.configuration import TrainConfig, require_seeds


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Configuration of a search.

    Attributes:
        train: how each trial is trained: the recipe, folds, seed, epochs, precision, limit and
            where. The other attributes are ignored.
        trials: number of trials of the study in all; None for no limit.
        seconds: time for this call in seconds; None for no limit.
        confirmations: number of new seeds with which the winner is confirmed; 0 for none.

    """

    train: TrainConfig
    trials: int | None
    seconds: float | None
    confirmations: int


def search(config: SearchConfig, splits: Splits, folder: Path, watcher: SearchCallback) -> Study:
    """Start or continue the study in ``folder`` and return it.

    One more part than there are folds is cut off the training images. It is held back: no trial
    trains on it or is chosen by it. All trials have the same folds of the others.

    Args:
        config: what to search.
        splits: the images; the test images are not used.
        folder: the folder of the study.
        watcher: called after every step.

    Raises:
        InputError: a setting does not fit the recipe or the data, or the folder holds something
            else.

    """
    require_optuna()
    started = time.monotonic()
    require_seeds(config.train.seed, 1 + config.confirmations)
    recipe = config.train.recipe
    require_shape(recipe, splits.train.images)
    require_classes(recipe, splits.train)
    splitting.require_all_classes(splits.train)
    space = recipe.space or default_space(recipe.training)
    train = splitting.subsample(splits.train, config.train.limit, config.train.seed)
    study = Study(folder)
    with study.open(_shared(config.train, train, space)):
        trainer = Trainer(study, config.train, _hold_back(splits.source, train, config.train))
        _try(study, config, space, trainer, watcher, started)
        if config.confirmations:
            confirm(study, config.confirmations, trainer, watcher)
    return study


def _shared(config: TrainConfig, train: Dataset, space: Space) -> Shared:
    recipe = config.recipe
    return Shared(
        recipe=recipe.name,
        recipe_sha256=recipe.program_sha256,
        space=", ".join(f"{name}={dimension}" for name, dimension in space.items()),
        folds=config.folds,
        seed=config.seed,
        epochs=config.epochs,
        precision=config.precision,
        limit=config.limit,
        train_fingerprint=train.fingerprint,
        backend=backend_name(),
    )


def _hold_back(source: str, train: Dataset, config: TrainConfig) -> Splits:
    """Return the images to search with; the held-back ones stand where test images do."""
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    parts = splitting.assign_folds(train.labels, config.folds + 1, 1, config.seed)[0]
    held_back = parts == config.folds + 1
    return Splits(
        source, train.take(np.flatnonzero(~held_back)), train.take(np.flatnonzero(held_back))
    )


def _try(
    study: Study,
    config: SearchConfig,
    space: Space,
    trainer: Trainer,
    watcher: SearchCallback,
    started: float,
) -> None:
    """Go through the trials in order, and train those that are missing or have not ended.

    So each suggestion follows from the trials before it, even if the file of one was removed.
    """
    sampler = Sampler(study.folder / "journal.log", space, [], config.train.seed)
    earlier = {trial.number: trial for trial in study.trials}
    for number in itertools.count(1):
        resumed = number in earlier
        if resumed:
            trial = earlier[number]
        elif _may_start(config, study.trials, time.monotonic() - started):
            trial = OWN if number == OWN.number else Trial(number, sampler.suggest(number))
        else:
            return
        if trial.state == "running":
            watcher.trial_started(trial, resumed=resumed)
            trial = trainer.train(trial, watcher)
            study.remove_models()
            watcher.trial_done(trial, next(iter(best(study.trials)), None))
        sampler.tell(trial)


def _may_start(config: SearchConfig, trials: Sequence[Trial], passed: float) -> bool:
    """Return whether there is room for one more trial, and for confirming the winner after it."""
    if config.trials is not None and len(trials) >= config.trials:
        return False
    whole = [trial.seconds for trial in trials if trial.state == "finished"]
    if config.seconds is None or not whole:
        return True
    needed = statistics.mean(whole) * (1 + 2 * config.confirmations)
    return passed + needed <= config.seconds
