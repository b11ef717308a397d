"""``kaggle-digits record``: train the best ensemble that fits a budget."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Dataset
    from kaggle_digits.training.configuration import TrainConfig
    from kaggle_digits.training.planning import Budget, Plan


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
            "record-5,record-width,record-deslanted,record-7]",
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
    from kaggle_digits import results, submissions, trackers
    from kaggle_digits.cli import ensemble
    from kaggle_digits.recipes import find
    from kaggle_digits.training import planning
    from kaggle_digits.training.configuration import TrainConfig

    trackers.require_trackers(log or ())
    allowed = None if budget is None else planning.parse_budget(budget)
    chosen = planning.MEMBERS if members is None else tuple(members.split(","))
    name = "-".join(
        part
        for part in (
            "record",
            (budget or "").lower(),
            f"{folds}-fold",
            f"seed{seed}" if seed else "",
            precision.value if precision else "",
            f"n{limit}" if limit else "",
            "self-training" if self_training else "",
            *(find(member).name for member in chosen if members is not None),
        )
        if part
    )
    csv = submission or options.SUBMISSIONS / f"{name}.csv"
    submissions.require_target(csv)  # fail before hours of work
    train, test_images = _load_images(input_, limit, seed, chosen)
    config = TrainConfig(
        recipe=find(chosen[0]),
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
    pseudo_labelled = test_images if self_training else 0
    path = options.RUNS / name / "plan.json"
    plan = _plan(path, allowed, train, config, chosen, pseudo_labelled)
    if plan_only:
        return
    runs = [
        run
        for repeat in range(plan.seeds)
        for run in _train_members(plan, replace(config, seed=seed + repeat), input_)
    ]
    blend = results.ensemble(runs)
    blend.write_submission(csv)
    ensemble.report(blend, csv, as_json=False)


def _load_images(
    input_: Path, limit: int | None, seed: int, members: Sequence[str]
) -> "tuple[Dataset, int]":
    """Return the training images and the number of test images.

    Raises:
        InputError: the members need images of another shape, or there are too few images.

    """
    from kaggle_digits import datasets
    from kaggle_digits.datasets.advice import add_advice
    from kaggle_digits.training import cross_validation, planning

    splits = datasets.load(input_)
    planning.require_members(members, splits.train)
    with add_advice(input_):
        cross_validation.require_all_classes(splits.train)
    return cross_validation.subsample(splits.train, limit, seed), len(splits.test)


def _plan(
    path: Path,
    budget: "Budget | None",
    train: "Dataset",
    config: "TrainConfig",
    members: Sequence[str],
    pseudo_labelled: int,
) -> "Plan":
    from kaggle_digits import pipeline
    from kaggle_digits.training import planning

    folds = config.folds
    trainings = planning.configure_members(len(train), folds, config.precision, members)
    made_for = planning.circumstances(train, trainings, pseudo_labelled)
    plan = planning.load_plan(path, made_for)
    if plan is None:
        typer.echo(
            "Measuring how fast this machine trains the members, for half a minute", err=True
        )
        with tempfile.TemporaryDirectory() as folder:
            seconds = planning.measure_seconds(trainings, folds, Path(folder))
        plan = planning.make_plan(
            budget,
            len(train),
            folds,
            seconds,
            planning.count_flop_of_members(members),
            pipeline.count_jobs(config, train),
            pseudo_labelled,
        )
        planning.save_plan(path, plan, made_for)
    rounds = 2 if plan.self_training else 1
    models = rounds * plan.folds * plan.seeds * len(plan.members)
    typer.echo(
        f"Plan         {', '.join(plan.members)}: {plan.folds} folds × {plan.seeds} seed"
        f"{'s' if plan.seeds > 1 else ''} × {plan.epochs} epochs, {models} models"
        f"{' in two rounds, the second with pseudo-labels' if rounds > 1 else ''}\n"
        f"Estimate     {plan.seconds / 60:,.0f} min: {plan.flop / 1e15:.2f} PFLOP at "
        f"{plan.rate / 1e9:,.0f} GFLOP/s, measured here\n"
        f"Expected     {_describe_expected(plan, len(train))}\n"
        f"Plan file    {path}; remove it to make a new plan",
        err=True,
    )
    return plan


def _describe_expected(plan: "Plan", images: int) -> str:
    from kaggle_digits.recipes.recipe import SPLIT
    from kaggle_digits.training import planning

    expected = planning.expect_errors(plan, images)
    if expected is None:
        return "unknown: no such plan was measured"
    errors, standard_error = expected
    return (
        f"{errors} ± {standard_error} errors in {images:,} images, out-of-fold, from plans "
        f"measured on {SPLIT}"
    )


def _train_members(plan: "Plan", config: "TrainConfig", input_: Path) -> list[Path]:
    """Cross-validate the members and return their runs' folders: those of the last round.

    Each member has its own run, so that a larger budget reuses what a smaller one trained.
    """
    from kaggle_digits.cli.running import train_and_report
    from kaggle_digits.recipes import find

    config = replace(config, folds=plan.folds, epochs=plan.epochs)

    def train(pseudo_labels: tuple[Path, ...]) -> list[Path]:
        runs = []
        for member in plan.members:
            chosen = replace(config, recipe=find(member), pseudo_labels=pseudo_labels)
            runs.append(train_and_report(chosen, input_, as_json=False))
        return runs

    runs = train(())
    return train(tuple(runs)) if plan.self_training else runs
