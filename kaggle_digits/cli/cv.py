"""``kaggle-digits cv``: cross-validate and write the averaged predictions as a submission."""

from pathlib import Path

from kaggle_digits.cli import options


def command(
    recipe: options.Recipe = "bn20",
    folds: options.Folds = 5,
    seeds: options.Seeds = 1,
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
    jobs: options.Jobs = None,
    ray_address: options.RayAddress = None,
    storage: options.Storage = None,
    run: options.RunFolder = None,
    submission: options.Submission = None,
    log: options.Log = None,
    json: options.Json = False,
) -> None:
    """Train with cross-validation and write an averaged CSV.

    Trains folds × seeds models, scores them out-of-fold, and averages their test probabilities.

    After a crash or Ctrl-C, the same command resumes after the last finished epoch.
    """
    from kaggle_digits import recipes

    found = recipes.find(recipe)  # reports a mistyped name before heavy imports
    from kaggle_digits.cli.running import train_and_report
    from kaggle_digits.training.configuration import TrainConfig

    train_and_report(
        TrainConfig(
            recipe=found,
            folds=folds,
            seeds=seeds,
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
