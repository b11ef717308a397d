"""``kaggle-digits predict``: a finished run's models on the test images."""

from pathlib import Path
from typing import Annotated

import typer

from kaggle_digits.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    input_: options.Input = Path("input"),
    submission: options.Submission = None,
) -> None:
    """Write a CSV from a finished run's models.

    Their probabilities for the test images in --input are averaged.
    """
    from kaggle_digits import cross_validation, datasets, runs, submissions

    finished = runs.Run(run)
    finished.require_finished()
    csv = submission or options.SUBMISSIONS / f"{run.resolve().name}-predicted.csv"
    submissions.require_target(csv)
    splits = datasets.load(input_)
    test = splits.test
    probabilities = cross_validation.predicted(finished, test.images)
    submissions.write(csv, test.ids, probabilities.argmax(axis=1))
    print(f"Submission   {csv} ({len(test):,} rows)")
    trained_on = finished.description["settings"]["source"]
    if "sample" in (splits.source, trained_on):
        print("             made from the embedded sample: it is no entry for the competition")
