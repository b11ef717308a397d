"""``kaggle-digits train``: train one model on one split."""

from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import options


def command(
    recipe: options.Recipe = "bn20",
    validation_split: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.99,
            metavar="SHARE",
            help="Share of the training images to hold out; 0 trains on all of them.",
            rich_help_panel=options.DATA,
        ),
    ] = 0.2,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    precision: options.ChosenPrecision = None,
    limit: options.Limit = None,
    exclude: options.Exclude = None,
    pseudo_labels: options.PseudoLabels = None,
    seed: options.Seed = 0,
    input_: options.Input = Path("input"),
    on: options.On = None,
    # One model needs no jobs. The commands that resume runs of earlier versions may have it.
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, hidden=True)] = None,
    ray_address: options.RayAddress = None,
    storage: options.Storage = None,
    run: options.RunFolder = None,
    submission: options.Submission = None,
    log: options.Log = None,
    json: options.Json = False,
) -> None:
    """Train one model on one split.

    The split is stratified. The model is scored on the held-out images after every epoch. A CSV
    for the test images is written at the end.

    After a crash or Ctrl-C, the same command resumes after the last finished epoch.
    """
    from kaggle_digits import recipes

    found = recipes.find(recipe)  # reports a mistyped name before heavy imports
    from kaggle_digits.cli.running import train_and_report
    from kaggle_digits.training.configuration import TrainConfig

    train_and_report(
        TrainConfig(
            recipe=found,
            folds=1,
            validation_split=validation_split,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            precision=None if precision is None else precision.value,
            limit=limit,
            exclude=exclude,
            pseudo_labels=tuple(pseudo_labels or ()),
            seed=seed,
            on=None if on is None else on.value,
            jobs=jobs,
            ray_address=ray_address,
            storage=storage,
            run=run,
            submission=submission,
            log=tuple(log or ()),
        ),
        input_,
        as_json=json,
    )
