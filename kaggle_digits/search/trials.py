"""Train one trial after the other on the same images, and stop hopeless ones."""

import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from kaggle_digits import files, pipeline, recipes, safe_reading
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import DivergedError
from kaggle_digits.evaluation import Scores
from kaggle_digits.recipes import Recipe
from kaggle_digits.runs import Run
from kaggle_digits.search.study import Study, Trial
from kaggle_digits.training.configuration import TrainConfig
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


class _PrunedError(Exception):
    """The trial is hopeless."""


def is_hopeless(accuracies: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Return whether a trial is below the median of the others on the same folds.

    Args:
        accuracies: of the trial's finished folds, the first folds.
        others: the same of other trials; those with fewer folds are ignored.

    """
    count = len(accuracies)
    rivals = [statistics.mean(other[:count]) for other in others if len(other) >= count]
    return len(rivals) >= MIN_RIVALS and statistics.mean(accuracies) < statistics.median(rivals)


class Trainer:
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
        callback = callback or pipeline.NullCallback()
        with files.workspace(self.study.folder) as temporary:
            config = TrainConfig(
                recipe=recipe,
                folds=self.config.folds,
                seed=seed,
                epochs=self.config.epochs,
                precision=self.config.precision,
                on=self.config.on,
                jobs=self.config.jobs,
                ray_address=self.config.ray_address,
                storage=self.config.storage,
                run=folder,
                submission=temporary / "held-back.csv",  # of no use: the labels are known
            )
            result, _ = pipeline.run_training(
                config,
                self.splits,
                command=f"kaggle-digits search --study {self.study.folder}",
                watching=lambda _: nullcontext(callback),
                tell=watcher.note,
            )
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
        hopeless = self.find_hopeless()
        self.trial = replace(
            self.trial,
            accuracies=hopeless or self.in_order(),
            seconds=round(self.before + time.monotonic() - self.started, 1),
        )
        if not skipped:
            self.study.write(self.trial)  # a resumed trial adds its time to this one
            self.watcher.fold_done(self.trial)
        if hopeless:
            raise _PrunedError

    def find_hopeless(self) -> tuple[float, ...]:
        """Return the accuracies of the fewest first folds that are hopeless; empty if none are.

        Folds that are trained at the same time end in any order. One after the other, the trial
        would have been stopped after these.
        """
        found = self.in_order()
        firsts = (found[:count] for count in range(1, min(len(found) + 1, self.members)))
        return next((first for first in firsts if is_hopeless(first, self.others)), ())

    def in_order(self) -> tuple[float, ...]:
        """Return the accuracies of fold 1, 2, … up to the first that is not finished."""
        found = []
        for number in range(1, len(self.accuracies) + 1):
            if number not in self.accuracies:
                break
            found.append(self.accuracies[number])
        return tuple(found)
