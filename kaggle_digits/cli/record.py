"""``kaggle-digits record``: train the best ensemble that fits a budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options
from kaggle_digits.terminal_text import add_prefix

if TYPE_CHECKING:
    from kaggle_digits.training.planning import Plan


def command(
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|FLOP",
            help="Time, such as 30m or 8h, or work, such as 500T (FLOP).  [default: no limit, "
            "every member with three seeds]",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    members: Annotated[
        str | None,
        typer.Option(
            "--members",
            metavar="NAME|FILE,…",
            help="Recipes to choose from, comma-separated, most useful first.  [default: "
            "record-deslanted,record-5,record-width,record-7]",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    folds: options.Folds = 5,
    self_training: Annotated[
        bool,
        typer.Option(
            "--self-training",
            help="Train every member a second time, with pseudo-labels from the first round, and "
            "average the second round.",
            rich_help_panel=options.TRAINING,
        ),
    ] = False,
    precision: options.ChosenPrecision = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    input_: options.Input = Path("input"),
    on: options.On = None,
    jobs: options.Jobs = None,
    ray_address: options.RayAddress = None,
    storage: options.Storage = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            "--submission",
            metavar="CSV",
            help="File to write, with ImageId,Label.  [default: named after the budget, in "
            "submissions/]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    log: options.Log = None,
    plan_only: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Print and save the plan, with an estimate of the time; train nothing.",
            rich_help_panel=options.TRAINING,
        ),
    ] = False,
) -> None:
    """Train the best ensemble that fits a time budget.

    Measures the machine for half a minute, then prints a plan of networks, epochs and repetitions
    that fit --budget, and trains them. The plan is saved: the same command resumes it. Members that
    another budget trained for as many epochs are not trained again.
    """
    from kaggle_digits import blending, datasets, recording, submissions, trackers
    from kaggle_digits.cli import ensemble
    from kaggle_digits.cli.running import train_and_report
    from kaggle_digits.datasets.advice import add_advice
    from kaggle_digits.recipes import find
    from kaggle_digits.training import planning
    from kaggle_digits.training.configuration import TrainConfig

    trackers.require_trackers(log or ())
    chosen = _list_members(members)
    train = TrainConfig(
        recipe=find((chosen or planning.MEMBERS)[0]),
        folds=folds,
        seed=seed,
        precision=None if precision is None else precision.value,
        limit=limit,
        on=None if on is None else on.value,
        jobs=jobs,
        ray_address=ray_address,
        storage=storage,
        log=tuple(log or ()),
    )
    config = recording.RecordConfig(
        train=train, budget=budget, members=chosen, self_training=self_training
    )
    with add_advice(input_):
        splits = datasets.load(input_)
        csv = submission or options.SUBMISSIONS / f"{config.name_plan(splits)}.csv"
        submissions.require_target(csv)  # fail before hours of work
        plan = recording.find_plan(config, splits, _say_that_it_measures)
    _print_plan(plan, limit or len(splits.train), config.name_plan_file(splits))
    if plan_only:
        return
    runs = recording.train_members(
        config, plan, lambda member: train_and_report(member, input_, as_json=False)
    )
    blend = blending.ensemble(runs)
    blend.write_submission(csv)
    ensemble.report(blend, csv, as_json=False)


def _list_members(names: str | None) -> tuple[str, ...]:
    """Return the names that are separated by commas; no names for the built-in members."""
    if not names:
        return ()
    return tuple(name.strip() for name in names.split(","))


def _say_that_it_measures() -> None:
    typer.echo("Measuring how fast this machine trains the members, for half a minute", err=True)


def _print_plan(plan: "Plan", images: int, path: Path) -> None:
    rounds = 2 if plan.self_training else 1
    models = rounds * plan.folds * plan.seeds * len(plan.members)
    minutes = plan.seconds / 60
    estimate = f"{minutes:,.0f} min" if minutes > 1 else f"{plan.seconds:.0f} s"
    typer.echo(
        f"Plan         {', '.join(plan.members)}: {plan.folds} folds × {plan.seeds} seed"
        f"{'s' if plan.seeds > 1 else ''} × {plan.epochs} epochs, {models} models"
        f"{' in two rounds, the second with pseudo-labels' if rounds > 1 else ''}\n"
        f"Estimate     {estimate}: {add_prefix(plan.flop)}FLOP at "
        f"{add_prefix(plan.rate)}FLOP/s, measured here\n"
        f"Expected     {_describe_expected(plan, images)}\n"
        f"Plan file    {path}; remove it to make a new plan",
        err=True,
    )


def _describe_expected(plan: "Plan", images: int) -> str:
    from kaggle_digits.recipes.recipe import SPLIT
    from kaggle_digits.training.measured_plans import find_measured

    measured = find_measured(plan, images)
    if measured is None:
        return "unknown: no such plan was measured"
    return (
        f"{measured.errors} ± {measured.standard_error:.0f} errors in {images:,} images, "
        f"out-of-fold, as measured with {measured.folds} folds of {measured.epochs} epochs on "
        f"{SPLIT}"
    )
