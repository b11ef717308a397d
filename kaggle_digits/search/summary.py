"""What a study has found: the best trials, their uncertainty, the importance of each setting."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import recipes, safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import Recipe
from kaggle_digits.recipes.space import default_space
from kaggle_digits.search.sampling import Sampler
from kaggle_digits.search.study import OWN, Confirmation, Study, Trial, best
from kaggle_digits.terminal_text import describe_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 5  # trials
LEFT, BELOW, HEIGHT = 1.9, 0.6, 2.6  # inches


@dataclass(frozen=True)
class Summary:
    """What a study has found.

    Attributes:
        trials: number of trials.
        pruned: number of trials that were stopped early.
        best: the best trials, the best first.
        importances: share of the variance that each setting explains, largest first.
        confirmation: the winner with new seeds; None before it is confirmed.
        winner: the winner's recipe file; None before it is confirmed.

    """

    trials: int
    pruned: int
    best: tuple[Trial, ...]
    importances: dict[str, float]
    confirmation: Confirmation | None
    winner: Path | None


def summarize(study: Study) -> Summary:
    """Return what ``study`` has found.

    Raises:
        InputError: the folder holds no study, or a file is damaged.

    """
    shared, trials = study.shared, study.trials
    confirmation = study.confirmation
    return Summary(
        trials=len(trials),
        pruned=sum(trial.state == "pruned" for trial in trials),
        best=tuple(best(trials)[:SHOWN]),
        importances=_importances(study, trials, shared.seed),
        confirmation=confirmation,
        winner=study.winner if confirmation and study.winner.exists() else None,
    )


def _importances(study: Study, trials: Sequence[Trial], seed: int) -> dict[str, float]:
    import tempfile

    tried = [trial for trial in trials if trial.params]
    if not tried:
        return {}
    recipe = _recipe(study)
    space = recipe.space or default_space(recipe.training)
    with tempfile.TemporaryDirectory() as folder:  # a search may be writing the study's journal
        return Sampler(Path(folder) / "journal.log", space, tried, seed).importances()


def _recipe(study: Study) -> Recipe:
    """Return the searched recipe, from the first trial's file if this user has allowed it."""
    shared = study.shared
    if shared.recipe_sha256 is None:
        return recipes.find_built_in(shared.recipe)

    path = study.recipe(OWN)
    if not path.is_file() or not recipes.trust.is_trusted(safe_reading.sha256_of(path)):
        raise InputError(
            f"{path} is a Python program that must be executed to show this study, and it was "
            "never allowed on this machine. Read it. If you trust it, allow it with: "
            f"kaggle-digits recipes {path}"
        )
    return recipes.loading.load_file(path.absolute())


def standard_error(accuracies: Sequence[float]) -> float:
    """Return the standard error of the mean over folds or seeds; 0 for a single one."""
    if len(accuracies) == 1:
        return 0.0
    return float(statistics.stdev(accuracies) / len(accuracies) ** 0.5)


def draw(study: Study, importances: dict[str, float]) -> "Figure":
    """Return a picture of a study: the accuracy of each trial, and the importance of settings."""
    from matplotlib.ticker import MaxNLocator

    from kaggle_digits.plots import canvas

    trials = [trial for trial in study.trials if trial.accuracies]
    bars = 0.3 * len(importances)
    head = canvas.head_height(1)
    below = BELOW + bars + canvas.MARGIN if importances else 0
    total = head + HEIGHT + BELOW + below
    title = f"Search over {describe_count(len(trials), 'trial')}"
    figure = canvas.make_figure(total, title, "mean accuracy of the finished folds")
    width = canvas.WIDTH - LEFT - 3 * canvas.MARGIN
    above = canvas.axes_at(figure, LEFT, total - head - HEIGHT, width, HEIGHT)
    shown = (("finished", canvas.BLUE, "finished"), ("pruned", canvas.FAINT, "stopped early"))
    for state, colour, label in shown:
        chosen = [trial for trial in trials if trial.state == state]
        above.scatter(
            [trial.number for trial in chosen],
            [trial.accuracy for trial in chosen],
            color=colour,
            label=label,
        )
    above.set_xlabel("trial (1 has the recipe's own settings)")
    above.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    above.set_xlim(0.5, max((trial.number for trial in trials), default=1) + 0.5)
    above.set_ylabel("accuracy")
    above.legend(fontsize=9, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    if importances:
        axes = canvas.axes_at(figure, LEFT, BELOW, width, bars)
        names = list(importances)[::-1]
        axes.barh(names, [importances[name] for name in names], color=canvas.BLUE)
        axes.set_xlim(0, 1)
        axes.set_xlabel("importance: share of the variance of the accuracy")
    return figure
