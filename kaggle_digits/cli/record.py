"""``kaggle-digits record``: the strongest ensemble that a budget of time allows."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Dataset
    from kaggle_digits.record import Budget, Plan


def command(
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|FLOP", help="Such as 30m, 8h or 500T (FLOP); without it, everything."
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts; each is held out once.")] = 5,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    input_: options.Input = Path("input"),
    submission: Annotated[
        Path | None, typer.Option("--submission", metavar="CSV", help="Where to write it.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained and how long it takes.")
    ] = False,
) -> None:
    """Cross-validate different networks and average them.

    Measures this machine for some seconds, then plans members, epochs and repetitions that fit
    --budget, and says so. The plan is kept: started again, the same command goes on with it.
    Members that another budget trained for as many epochs are not trained again.
    """
    from kaggle_digits import record, submissions
    from kaggle_digits.cli import ensemble

    allowed = None if budget is None else record.budget_of(budget)
    name = "-".join(
        part
        for part in (
            "record",
            (budget or "").lower(),
            f"{folds}-fold",
            f"seed{seed}" if seed else "",
            f"n{limit}" if limit else "",
        )
        if part
    )
    csv = submission or options.SUBMISSIONS / f"{name}.csv"
    submissions.require_target(csv)  # before hours of work, not after them
    train = _images(input_, limit, seed)
    plan = _plan(options.RUNS / name / "plan.json", allowed, folds, train)
    if plan_only:
        return
    runs = [
        _trained(member, plan, seed + repeat, limit, input_)
        for repeat in range(plan.seeds)
        for member in plan.members
    ]
    ensemble.command(runs, csv)


def _images(input_: Path, limit: int | None, seed: int) -> "Dataset":
    """Return what will be trained on.

    Raises:
        InputError: the members take other images, or there are fewer.

    """
    from kaggle_digits import cross_validation, datasets, record
    from kaggle_digits.recipes import find

    train = datasets.load(input_).train
    cross_validation.require_shape(find(record.MEMBERS[0]), train.images)
    return cross_validation.limited(train, limit, seed)


def _plan(path: Path, budget: "Budget | None", folds: int, train: "Dataset") -> "Plan":
    from kaggle_digits import record

    made_for = record.circumstances(train, folds)
    plan = record.kept_plan(path, made_for)
    if plan is None:
        typer.echo(
            "Measuring how fast this machine trains the members, for half a minute", err=True
        )
        with tempfile.TemporaryDirectory() as folder:
            seconds = record.measured_seconds(len(train), folds, Path(folder))
        plan = record.planned(budget, len(train), folds, seconds, record.flop_of_members())
        record.keep_plan(path, plan, made_for)
    models = plan.folds * plan.seeds * len(plan.members)
    typer.echo(
        f"Plan         {', '.join(plan.members)}: {plan.folds} folds × {plan.seeds} seed"
        f"{'s' if plan.seeds > 1 else ''} × {plan.epochs} epochs, {models} models\n"
        f"Estimate     {plan.seconds / 60:,.0f} min: {plan.flop / 1e15:.2f} PFLOP at "
        f"{plan.rate / 1e9:,.0f} GFLOP/s, measured here\n"
        f"             kept in {path}; remove it to measure and plan anew",
        err=True,
    )
    return plan


def _trained(member: str, plan: "Plan", seed: int, limit: int | None, input_: Path) -> Path:
    """Cross-validate one member and return its run's folder.

    A run of its own each, so that a larger budget goes on from what a smaller one trained.
    """
    from kaggle_digits.cli.running import Order, carry_out

    return carry_out(
        Order(
            command="cv",
            recipe=member,
            folds=plan.folds,
            seeds=1,
            validation_split=None,
            epochs=plan.epochs,
            batch_size=None,
            learning_rate=None,
            limit=limit,
            seed=seed,
            jobs=1,
            input=input_,
            run=None,
            submission=None,
            json=False,
        )
    )
