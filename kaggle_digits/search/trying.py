"""Train trials, stop hopeless ones, and confirm the winner with new seeds."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kaggle_digits import files, pipeline, recipes, safe_reading
from kaggle_digits.backend import backend_name
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import DivergedError
from kaggle_digits.evaluation import Scores, ensembling
from kaggle_digits.recipes import Recipe
from kaggle_digits.recipes.space import Space, default_space
from kaggle_digits.runs import Run
from kaggle_digits.search.sampling import Sampler, require_optuna
from kaggle_digits.search.study import Confirmation, Confirmed, Shared, Study, Trial, best
from kaggle_digits.training import cross_validation, splitting
from kaggle_digits.training.configuration import TrainConfig, require_seeds
from kaggle_digits.training.fit import NullFoldCallback

MIN_RIVALS = 4  # trials with that fold, before a trial may be stopped


class SearchCallback(Protocol):
    """Receive the progress of a search."""

    def trial_started(self, trial: Trial, *, resumed: bool) -> None:
        """Receive the trial that is trained next."""

    def fold_done(self, trial: Trial) -> None:
        """Receive a trial with the accuracies of its finished folds."""

    def trial_done(self, trial: Trial, best: Trial | None) -> None:
        """Receive a trial that ended, and the best one so far."""

    def note(self, text: str | None) -> None:
        """Receive a note on the settings of the next training, None for no note."""

    def confirming(self, name: str, seed: int) -> None:
        """Receive which recipe is trained next with a new seed: ``winner`` or ``own``."""


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


class _PrunedError(Exception):
    """The trial is hopeless."""


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
    cross_validation.require_shape(recipe, splits.train.images)
    splitting.require_all_classes(splits.train)
    space = recipe.space or default_space(recipe.training)
    train = splitting.subsample(splits.train, config.train.limit, config.train.seed)
    study = Study(folder)
    with study.open(_shared(config.train, train, space)):
        trainer = _Trainer(study, config.train, _hold_back(splits.source, train, config.train))
        _try(study, config, space, trainer, watcher, started)
        if config.confirmations:
            _confirm(study, config, trainer, watcher)
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
    trainer: "_Trainer",
    watcher: SearchCallback,
    started: float,
) -> None:
    sampler = Sampler(study.folder / "journal.log", space, study.trials, config.train.seed)
    while True:
        trials = study.trials
        open_ = [trial for trial in trials if trial.state == "running"]
        if not open_ and not _may_start(config, trials, time.monotonic() - started):
            return
        if open_:
            trial = open_[0]
        else:
            number = len(trials) + 1
            trial = Trial(number, {} if number == 1 else sampler.suggest(number))
        watcher.trial_started(trial, resumed=bool(open_))
        ended = trainer.train(trial, watcher)
        sampler.tell(ended)
        study.remove_models()
        watcher.trial_done(ended, next(iter(best(study.trials)), None))


def _may_start(config: SearchConfig, trials: Sequence[Trial], passed: float) -> bool:
    """Return whether there is room for one more trial, and for confirming the winner after it."""
    if config.trials is not None and len(trials) >= config.trials:
        return False
    whole = [trial.seconds for trial in trials if trial.state == "finished"]
    if config.seconds is None or not whole:
        return True
    needed = statistics.mean(whole) * (1 + 2 * config.confirmations)
    return passed + needed <= config.seconds


def is_hopeless(accuracies: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Return whether a trial is below the median of the others on the same folds.

    Args:
        accuracies: of the trial's finished folds, the first folds.
        others: the same of other trials; those with fewer folds are ignored.

    """
    count = len(accuracies)
    rivals = [statistics.mean(other[:count]) for other in others if len(other) >= count]
    return len(rivals) >= MIN_RIVALS and statistics.mean(accuracies) < statistics.median(rivals)


class _Trainer:
    """Train trials and confirming runs on the same images."""

    def __init__(self, study: Study, config: TrainConfig, splits: Splits) -> None:
        self.study, self.config, self.splits = study, config, splits

    def train(self, trial: Trial, watcher: SearchCallback) -> Trial:
        """Train the folds of a trial, or the rest of them, and record how it ended."""
        recipe = self.write_recipe(trial, self.study.recipe(trial), f"t{trial.number}")
        self.study.write(trial)  # from now on it is resumed
        callback = _TrialCallback(self.study, trial, watcher)
        try:
            self.run(recipe, self.study.run(trial), self.config.seed, watcher, callback)
            ended = replace(callback.trial, state="finished")
        except _PrunedError:
            ended = replace(callback.trial, state="pruned")
        except DivergedError:
            if trial.number == 1:  # the recipe's own settings
                raise
            ended = replace(callback.trial, state="pruned", accuracies=(0.0,))
        self.study.write(ended)
        return ended

    def write_recipe(self, trial: Trial, path: Path, suffix: str) -> Recipe:
        """Write a trial as a recipe file and return the recipe."""
        files.write_text(path, recipe_text(self.config.recipe, trial, suffix))
        recipe = recipes.loading.load_file(path.absolute())
        # The user's own file, and what this module adds.
        recipes.trust.trust(safe_reading.sha256_of(path))
        return recipe

    def run(
        self,
        recipe: Recipe,
        folder: Path,
        seed: int,
        watcher: SearchCallback,
        callback: Any = None,
    ) -> Run:
        """Cross-validate a recipe on the images of the search."""
        csv = self.study.folder / "held-back.csv"  # of no use: the labels are known
        config = replace(
            self.config,
            recipe=recipe,
            seeds=1,
            seed=seed,
            limit=None,
            validation_split=None,
            run=folder,
            submission=csv,
        )
        callback = callback or pipeline.NullCallback()
        result, _ = pipeline.run_training(
            config,
            self.splits,
            command=f"kaggle-digits search --study {self.study.folder}",
            watching=lambda _: nullcontext(callback),
            tell=watcher.note,
        )
        csv.unlink(missing_ok=True)
        return result.run


def recipe_text(base: Recipe, trial: Trial, suffix: str) -> str:
    """Return the text of a recipe file: ``base`` with the settings of ``trial``."""
    if base.program is None:
        start = f'import kaggle_digits as kd\n\nRECIPE = kd.find_recipe("{base.name}")\n'
    else:
        start = base.program.decode().rstrip() + "\n"
    settings = "".join(f"    {key!r}: {value!r},\n" for key, value in trial.params.items())
    name = base.name[: recipes.loading.MAX_NAME - len(suffix) - 1]
    return (
        f"{start}\n\n# Settings that `kaggle-digits search` tried as trial {trial.number}.\n"
        "from dataclasses import replace as _replace  # noqa: E402\n\n"
        f"_SETTINGS = {{\n{settings}}}\n"
        f'RECIPE = _replace(RECIPE.with_settings(_SETTINGS), name="{name}-{suffix}")\n'
    )


class _TrialCallback:
    """Collect the accuracies of a trial's folds, and stop the trial if it is hopeless."""

    def __init__(self, study: Study, trial: Trial, watcher: SearchCallback) -> None:
        self.study, self.watcher = study, watcher
        self.started = time.monotonic()
        self.trial = trial
        self.before = trial.seconds
        self.accuracies: dict[int, float] = {}
        self.others = [other.accuracies for other in study.trials if other.number < trial.number]
        self.members = 0

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Keep the number of folds."""
        del epochs, images
        self.members = members

    def fold_started(self, number: int) -> NullFoldCallback:
        """Return a callback that does nothing."""
        del number
        return NullFoldCallback()

    def fold_done(self, number: int, judged: Scores | None, *, skipped: bool) -> None:
        """Keep the fold's accuracy; compare the first folds with those of the other trials."""
        assert judged is not None  # noqa: S101 — each fold holds images out
        self.accuracies[number] = judged.accuracy
        self.trial = replace(
            self.trial,
            accuracies=self.in_order(),
            seconds=round(self.before + time.monotonic() - self.started, 1),
        )
        if not skipped:
            self.study.write(self.trial)  # a resumed trial adds its time to this one
            self.watcher.fold_done(self.trial)
        count = len(self.trial.accuracies)
        if 0 < count < self.members and is_hopeless(self.trial.accuracies, self.others):
            raise _PrunedError

    def in_order(self) -> tuple[float, ...]:
        """Return the accuracies of fold 1, 2, … up to the first that is not finished."""
        found = []
        for number in range(1, len(self.accuracies) + 1):
            if number not in self.accuracies:
                break
            found.append(self.accuracies[number])
        return tuple(found)


# ----------------------------------------------------------------------------------------- confirm


def _confirm(
    study: Study, config: SearchConfig, trainer: _Trainer, watcher: SearchCallback
) -> None:
    """Train the winner and the recipe's own settings with new seeds; write the winner's recipe."""
    ranked = best(study.trials)
    if not ranked:
        return
    winner, own = ranked[0], study.trials[0]
    recipe = trainer.write_recipe(winner, study.winner, "search")
    seeds = tuple(config.train.seed + number for number in range(1, config.confirmations + 1))

    def train(name: str, folder: Callable[[int], str], recipe: Recipe) -> list[Run]:
        runs = []
        for seed in seeds:
            watcher.confirming(name, seed)
            runs.append(trainer.run(recipe, study.folder / folder(seed), seed, watcher))
        return runs

    own_recipe = recipes.loading.load_file(study.recipe(own).absolute())
    theirs = train("own", lambda seed: f"confirm-own-{seed}", own_recipe)
    ours = theirs
    if winner.number != own.number:
        ours = train("winner", lambda seed: f"confirm-{winner.number}-{seed}", recipe)
    if config.train.epochs is not None:  # so that the recipe trains as it was confirmed
        params = winner.params | {"epochs": config.train.epochs}
        trainer.write_recipe(replace(winner, params=params), study.winner, "search")
    correct, own_correct = _held_back_answers(ours), _held_back_answers(theirs)
    gain = correct.astype(float) - own_correct
    study.write_confirmation(
        Confirmation(
            trial=winner.number,
            images=len(correct),
            winner=_confirmed(seeds, ours, correct),
            own=_confirmed(seeds, theirs, own_correct),
            gain=float(gain.mean()),
            gain_error=float(gain.std() / len(gain) ** 0.5),
        )
    )


def _held_back_answers(runs: Sequence[Run]) -> npt.NDArray[np.bool_]:
    """Return for each held-back image whether the mean of ``runs`` is right, bool ``[n]``."""
    arrays = [run.arrays("test") for run in runs]
    mean = ensembling.blend([array["probabilities"] for array in arrays])
    return np.asarray(mean.argmax(axis=1) == arrays[0]["labels"])


def _confirmed(
    seeds: tuple[int, ...], runs: Sequence[Run], correct: npt.NDArray[np.bool_]
) -> Confirmed:
    oof = tuple(float((run.metrics or {})["oof"]["accuracy"]) for run in runs)
    share = float(correct.mean())
    return Confirmed(seeds, oof, share, (share * (1 - share) / len(correct)) ** 0.5)
