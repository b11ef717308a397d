"""Confirm the winner of a search with new seeds, on images that no trial was chosen by."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kaggle_digits.evaluation import ensembling
from kaggle_digits.runs import Run
from kaggle_digits.search.study import OWN, Confirmation, Confirmed, Study, Trial, best
from kaggle_digits.search.trials import SearchCallback, Trainer


def confirm(study: Study, confirmations: int, trainer: Trainer, watcher: SearchCallback) -> None:
    """Train the winner and the recipe's own settings with new seeds; write the winner's recipe."""
    ranked = best(study.trials)
    if not ranked:
        return
    winner = ranked[0]
    seeds = tuple(trainer.config.seed + number for number in range(1, confirmations + 1))

    def train(name: str, folder: Callable[[int], str], trial: Trial) -> list[Run]:
        recipe = trainer.write_recipe(trial, study.recipe(trial), f"t{trial.number}")
        runs = []
        for seed in seeds:
            watcher.confirming(name, seed)
            runs.append(trainer.run(recipe, study.folder / folder(seed), seed, watcher))
        return runs

    theirs = train("own", lambda seed: f"confirm-own-{seed}", OWN)
    ours = theirs
    if winner.number != OWN.number:
        ours = train("winner", lambda seed: f"confirm-t{winner.number}-{seed}", winner)
    correct, own_correct = _held_back_answers(ours), _held_back_answers(theirs)
    gain = correct.astype(float) - own_correct
    study.remove_confirmation()  # a killed process must not leave it beside another recipe
    _write_winner(study, winner, trainer)
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


def _write_winner(study: Study, winner: Trial, trainer: Trainer) -> None:
    """Write the winner's recipe, so that it trains as it was confirmed."""
    overrides = {"epochs": trainer.config.epochs, "precision": trainer.config.precision}
    given = {name: value for name, value in overrides.items() if value is not None}
    trainer.write_recipe(replace(winner, params=winner.params | given), study.winner, "search")


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
