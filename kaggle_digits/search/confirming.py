"""Confirm the winner of a search with new seeds, on images that no trial was chosen by."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kaggle_digits import recipes
from kaggle_digits.evaluation import ensembling
from kaggle_digits.recipes import Recipe
from kaggle_digits.runs import Run
from kaggle_digits.search.study import Confirmation, Confirmed, Study, best
from kaggle_digits.search.trials import SearchCallback, Trainer


def confirm(study: Study, confirmations: int, trainer: Trainer, watcher: SearchCallback) -> None:
    """Train the winner and the recipe's own settings with new seeds; write the winner's recipe."""
    ranked = best(study.trials)
    if not ranked:
        return
    winner, own = ranked[0], study.trials[0]
    recipe = trainer.write_recipe(winner, study.winner, "search")
    seeds = tuple(trainer.config.seed + number for number in range(1, confirmations + 1))

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
    if trainer.config.epochs is not None:  # so that the recipe trains as it was confirmed
        params = winner.params | {"epochs": trainer.config.epochs}
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
