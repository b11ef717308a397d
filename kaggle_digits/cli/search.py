"""``kaggle-digits search``: try settings of a recipe, and confirm the best ones."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.cli.interruption import resume_advice
from kaggle_digits.errors import InputError
from kaggle_digits.terminal_text import describe_count

if TYPE_CHECKING:
    from kaggle_digits.search.study import Confirmed, Study, Trial
    from kaggle_digits.search.summary import Summary

DEFAULT_TRIALS = 20


def command(
    recipe: options.Recipe = "bn20",
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            min=1,
            metavar="N",
            help="Number of trials of the study in all; a larger number continues it.  [default: "
            f"{DEFAULT_TRIALS}, or no limit with --budget]",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time of this command, such as 30m or 2h.  [default: no limit]",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    folds: options.Folds = 4,
    confirm: Annotated[
        int,
        typer.Option(
            "--confirm",
            min=0,
            metavar="N",
            help="Number of new seeds with which the winner is confirmed; 0 confirms nothing.",
            rich_help_panel=options.TRAINING,
        ),
    ] = 3,
    epochs: options.Epochs = None,
    precision: options.ChosenPrecision = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    input_: options.Input = Path("input"),
    on: options.On = None,
    jobs: options.Jobs = None,
    ray_address: options.RayAddress = None,
    storage: options.Storage = None,
    study: Annotated[
        Path | None,
        typer.Option(
            "--study",
            metavar="DIR",
            help="Folder of the study.  [default: named after the recipe, in runs/]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Train nothing; show what the study has found.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Search for better settings of a recipe.

    Cross-validates settings that the recipe's space allows, all on the same folds, and stops those
    that fall behind. A part of the images is held back: the winner and the recipe's own settings
    are scored on it at the end, with new seeds.

    After a crash or Ctrl-C, the same command resumes. More --trials or time continue the study.
    """
    from kaggle_digits import recipes

    found = recipes.find(recipe)
    from kaggle_digits import pipeline
    from kaggle_digits.datasets.advice import add_advice
    from kaggle_digits.search.study import Study
    from kaggle_digits.search.trying import SearchConfig, search
    from kaggle_digits.training.configuration import TrainConfig

    folder = study or options.RUNS / f"search-{found.name}"
    if show:
        _report(Study(folder), as_json=json)
        return
    seconds = None if budget is None else _seconds(budget)
    config = TrainConfig(
        recipe=found,
        folds=folds,
        epochs=epochs,
        precision=None if precision is None else precision.value,
        limit=limit,
        seed=seed,
        on=None if on is None else on.value,
        jobs=jobs,
        ray_address=ray_address,
        storage=storage,
    )
    splits = pipeline.load_data(input_, config)
    printing.print_notes(splits)
    searching = SearchConfig(
        train=config,
        trials=trials or (DEFAULT_TRIALS if budget is None else None),
        seconds=seconds,
        confirmations=confirm,
    )
    with resume_advice(folder), add_advice(input_):
        searched = search(searching, splits, folder, _Lines())
    _report(searched, as_json=json)


def _seconds(budget: str) -> float:
    from kaggle_digits.training.budget import parse_budget

    no_time = f"--budget {budget} is not a time. Expected a time, such as 30m or 2h."
    try:
        parsed = parse_budget(budget)
    except InputError as error:
        raise InputError(no_time) from error
    if parsed.unit != "s":
        raise InputError(no_time)
    return parsed.amount


class _Lines:
    """Print one line per trial on stderr."""

    def __init__(self) -> None:
        self.notes: set[str] = set()

    def trial_started(self, trial: "Trial", *, resumed: bool) -> None:
        settings = _settings(trial) or "the recipe's own settings"
        self._print(f"trial {trial.number}  {'resumes: ' if resumed else ''}{settings}")

    def fold_done(self, trial: "Trial") -> None:
        if trial.accuracies:
            count = len(trial.accuracies)
            self._print(f"trial {trial.number}  fold {count}: {trial.accuracies[-1]:.5f}")

    def trial_done(self, trial: "Trial", best: "Trial | None") -> None:
        ended = "accuracy" if trial.state == "finished" else "stopped early, accuracy so far"
        best_text = f"; best: trial {best.number} with {best.accuracy:.5f}" if best else ""
        self._print(f"trial {trial.number}  {ended} {trial.accuracy:.5f}{best_text}")

    def note(self, text: str | None) -> None:
        if text is not None and text not in self.notes:  # most trials have the same
            self.notes.add(text)
            printing.print_note(text)

    def confirming(self, name: str, seed: int) -> None:
        whose = "the winner" if name == "winner" else "the recipe's own settings"
        self._print(f"confirm  {whose} with seed {seed}")

    @staticmethod
    def _print(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _settings(trial: "Trial") -> str:
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial.params.items()
    )


def _report(study: "Study", *, as_json: bool) -> None:
    from kaggle_digits.plots import save
    from kaggle_digits.search.summary import draw, summarize

    summary = summarize(study)
    if as_json:
        winner = None if summary.winner is None else str(summary.winner)
        printing.print_json({"study": str(study.folder), **asdict(summary), "winner": winner})
        return
    picture = study.folder / "plots" / "search.png"
    save(picture, draw(study, summary.importances))
    trials = describe_count(summary.trials, "trial")
    print(f"Study        {study.folder}: {trials}, {summary.pruned} stopped early")
    _print_best(summary)
    _print_confirmation(summary)
    print(f"Plot         {picture}")


def _print_best(summary: "Summary") -> None:
    from kaggle_digits.search.summary import standard_error

    for trial in summary.best:
        error = standard_error(trial.accuracies)
        settings = _settings(trial) or "the recipe's own settings"
        print(
            f"Trial {trial.number:<6} accuracy {trial.accuracy:.5f} ± {error:.5f} over "
            f"{len(trial.accuracies)} folds  {settings}"
        )
    for name, share in summary.importances.items():
        print(f"Importance   {share:.2f}  {name}")


def _print_confirmation(summary: "Summary") -> None:
    from kaggle_digits.search.study import OWN

    confirmed = summary.confirmation
    if confirmed is None:
        return
    if confirmed.trial == OWN.number:
        print("Confirmed    the recipe's own settings, which no trial exceeded, with new seeds:")
        _print_confirmed("own", confirmed.own)
        return
    print(f"Confirmed    trial {confirmed.trial} and the recipe's own settings, with new seeds:")
    _print_confirmed("winner", confirmed.winner)
    _print_confirmed("own", confirmed.own)
    print(
        f"Gain         {confirmed.gain:+.5f} ± {confirmed.gain_error:.5f} on the "
        f"{confirmed.images:,} held-back images, on which no trial was trained or chosen"
    )
    if summary.winner is not None:
        print(
            f"Winner       {summary.winner}; train it with:\n"
            f"             kaggle-digits cv --recipe {summary.winner}"
        )


def _print_confirmed(name: str, scores: "Confirmed") -> None:
    from statistics import mean

    from kaggle_digits.search.summary import standard_error

    spread = f" ± {standard_error(scores.oof):.5f} over {len(scores.oof)} seeds"
    print(
        f"  {name:10} out-of-fold {mean(scores.oof):.5f}{spread if len(scores.oof) > 1 else ''}; "
        f"held back {scores.held_back:.5f} ± {scores.standard_error:.5f}"
    )
