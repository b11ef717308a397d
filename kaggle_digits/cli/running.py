"""Print the progress and the result of a run for ``train``, ``cv`` and ``record``."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from kaggle_digits import pipeline, trackers
from kaggle_digits.cli import options, printing, progress
from kaggle_digits.cli.interruption import resume_advice
from kaggle_digits.datasets.advice import add_advice
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.runs import Run, provenance
from kaggle_digits.terminal_text import escape
from kaggle_digits.training.configuration import TrainConfig
from kaggle_digits.training.cross_validation import TrainingCallback
from kaggle_digits.training.gathering import Result


def train_and_report(config: TrainConfig, input_: Path, *, as_json: bool) -> Path:
    """Train on the data in ``input_``, print the result and return the run folder."""
    splits = pipeline.load_data(input_, config)
    printing.print_notes(splits)
    command = shlex.join([options.program(), *sys.argv[1:]])
    with add_advice(input_):
        result, csv = pipeline.run_training(
            config, splits, command=command, watching=_watch, tell=printing.print_note, data=input_
        )
    provenance.note_run(csv, result.run, options.SUBMISSIONS)
    _report(result, csv, splits, as_json=as_json)
    if not as_json:
        for name in config.log:
            print(f"Log          {trackers.describe(name, result.run)}")
    return result.run.folder


@contextlib.contextmanager
def _watch(run: Run) -> Iterator[TrainingCallback]:
    _warn_of_other_versions(run)
    with resume_advice(run.folder), progress.show_progress(sys.stderr) as watcher:
        yield watcher


def _warn_of_other_versions(run: Run) -> None:
    changes = run.other_versions()
    if changes and run.facts.state != "finished":
        print(
            f"Note: {run.folder} was started with other versions "
            f"({escape(', '.join(changes))}). The resumed run may give another result than an "
            "uninterrupted one. For a reproducible result, start a new run with --run.",
            file=sys.stderr,
        )


def _report(result: Result, csv: Path, splits: Splits, *, as_json: bool) -> None:
    if as_json:
        printing.print_json(
            {
                "run": str(result.run.folder),
                "submission": str(csv),
                "seconds": result.seconds,
                "oof": result.oof and asdict(result.oof),
                "folds": [fold and asdict(fold) for fold in result.folds],
                "test": result.test and asdict(result.test),
            }
        )
        return
    print(f"Run          {result.run.folder}")
    for name, scores in (("Held out", result.oof), ("Test", result.test)):
        if scores:
            print(f"{name:12} {printing.describe_scores(scores)}")
    print(f"Training     {result.seconds:,.0f} s")
    print(f"Submission   {csv} ({len(splits.test):,} rows)")
    if leaked := result.run.test_images_in_train:
        print(
            f"             {leaked:,} of the test images occur in the training images: `submit` "
            "needs --declared-external"
        )
    if splits.source == "sample":
        print(printing.FROM_SAMPLE)
