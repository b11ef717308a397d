"""``kaggle-digits cv``: stratified cross-validation, and the submission of its averaged folds."""

from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits import recipes
from kaggle_digits.cli import options


def command(
    recipe: options.Recipe = "bn20",
    folds: Annotated[int, typer.Option(min=2, help="Parts; each is held out once.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Times the whole is repeated.")] = 1,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    precision: options.ChosenPrecision = None,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    input_: options.Input = Path("input"),
    jobs: Annotated[
        int, typer.Option(min=1, help="Folds at the same time, each with its share of the cores.")
    ] = 1,
    run: options.RunFolder = None,
    submission: options.Submission = None,
    json: options.Json = False,
) -> None:
    """Cross-validate and write the ensemble's CSV.

    Trains folds × seeds models, scores them out-of-fold, and averages their test probabilities.

    Started again after a crash or Ctrl-C, the same command goes on where it was broken off.
    """
    found = recipes.find(recipe)  # a mistyped name is said before anything heavier is imported
    from kaggle_digits.cli.running import carry_out
    from kaggle_digits.pipeline import TrainConfig

    carry_out(
        TrainConfig(
            recipe=found,
            folds=folds,
            seeds=seeds,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            precision=None if precision is None else precision.value,
            limit=limit,
            seed=seed,
            run=run,
            jobs=jobs,
            submission=submission,
        ),
        input_,
        as_json=json,
    )
