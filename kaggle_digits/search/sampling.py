"""Optuna: which settings to try next, and which setting mattered. The only module that imports it.

The journal has one writer, this process. It is made again from the trials by every command, so that
it never holds a trial whose process is gone.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.optional_packages import require_packages
from kaggle_digits.recipes.space import Choice, Real, Space
from kaggle_digits.search.study import Trial

RANDOM_TRIALS = 8  # before the first suggestion that follows from results
MIN_TRIALS = 4  # finished ones, for the importance of settings


def require_optuna() -> Any:
    """Return the module optuna.

    Raises:
        InputError: it is not installed.

    """
    require_packages(["optuna"], extra="search", needed_by="`search`")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class Sampler:
    """Suggest settings that follow from earlier trials.

    The same trials and seed give the same suggestion: a killed search continues as it would have.
    """

    def __init__(self, journal: Path, space: Space, trials: Sequence[Trial], seed: int) -> None:
        self.optuna = require_optuna()
        self.seed = seed
        self.distributions = {name: self._distribution(space[name]) for name in space}
        for path in (journal, journal.with_name(f"{journal.name}.lock")):
            path.unlink(missing_ok=True)  # a killed process may have left the lock
        backend = self.optuna.storages.journal.JournalFileBackend(str(journal))
        self.study = self.optuna.create_study(
            storage=self.optuna.storages.JournalStorage(backend),
            study_name="search",
            direction="maximize",
        )
        for trial in trials:
            self.tell(trial)

    def _distribution(self, dimension: Any) -> Any:
        distributions = self.optuna.distributions
        if isinstance(dimension, Choice):
            return distributions.CategoricalDistribution(dimension.options)
        kind = (
            distributions.FloatDistribution
            if isinstance(dimension, Real)
            else distributions.IntDistribution
        )
        return kind(dimension.low, dimension.high, log=dimension.log)

    def suggest(self, number: int) -> dict[str, Any]:
        """Return the settings of trial ``number``."""
        seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        self.study.sampler = self.optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=RANDOM_TRIALS
        )
        asked = self.study.ask(self.distributions)
        self.study.tell(asked, state=self.optuna.trial.TrialState.FAIL)  # `tell` adds its result
        return dict(asked.params)

    def tell(self, trial: Trial) -> None:
        """Add a trial that ended. The recipe's own settings may lie outside the space: no trial."""
        if not trial.params or trial.state == "running":
            return
        state = self.optuna.trial.TrialState
        pruned = trial.state == "pruned"
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=state.PRUNED if pruned else state.COMPLETE,
                params=trial.params,
                distributions=self.distributions,
                value=trial.accuracy,
                intermediate_values=dict(enumerate(trial.accuracies, start=1)),
            )
        )

    def importances(self) -> dict[str, float]:
        """Return the share of the variance that each setting explains, largest first.

        Empty with fewer than four finished trials.
        """
        states = (self.optuna.trial.TrialState.COMPLETE,)
        if len(self.study.get_trials(states=states)) < MIN_TRIALS:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = self.optuna.importance.get_param_importances(
                    self.study,
                    evaluator=self.optuna.importance.FanovaImportanceEvaluator(seed=self.seed),
                )
            except (RuntimeError, ValueError):  # all trials scored the same
                return {}
        return {name: float(share) for name, share in found.items()}
