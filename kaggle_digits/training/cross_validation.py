"""Train stratified folds × seeds: skip finished folds, resume others, gather the probabilities.

The single split of ``train`` is the same with one fold, whose held-out images are the validation
split.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.backend import share_cores, start_keras
from kaggle_digits.datasets.dataset import Rows, Splits
from kaggle_digits.evaluation import Scores, scores
from kaggle_digits.formats.arrays import read_array
from kaggle_digits.runs import Run, Settings
from kaggle_digits.runs.description import REWRITTEN
from kaggle_digits.training import fit, predicting
from kaggle_digits.training.executors import Executor, FoldsCallback, Task
from kaggle_digits.training.gathering import Result, gather, read_fold_scores
from kaggle_digits.training.pseudo_labels import (
    PSEUDO_LABELS,
    PseudoLabels,
    add_pseudo_labelled,
    read_pseudo_labels,
)
from kaggle_digits.training.run_images import count_images
from kaggle_digits.training.splitting import FOLD_IDS, FoldIds, split_rows


@runtime_checkable
class TrainingCallback(FoldsCallback, Protocol):
    """Receive the progress of a run."""

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Receive the number of models, the epochs of each and each model's training images."""

    def fold_started(self, number: int) -> fit.FoldCallback:
        """Return the callback for the model ``number`` (1 … members), which is trained next."""

    def fold_done(self, number: int, judged: Scores | None, *, skipped: bool) -> None:
        """Receive a saved model's scores on its held-out images; None without held-out images."""


def train_run(
    run: Run,
    splits: Splits,
    assignment: FoldIds,
    watcher: TrainingCallback,
    executor: Executor,
    pseudo_labels: PseudoLabels,
) -> Result:
    """Train the unfinished folds of ``run``, gather the predictions and return the finished run.

    Args:
        run: opened by `runs.open_for_training`; its settings say what to train.
        splits: the images. ``train`` has the ``n`` images of ``assignment``.
        assignment: int16 ``[seeds, n]``, from `assign_folds` or `assign_holdout`.
        watcher: called after every step.
        executor: where the models are trained.
        pseudo_labels: int16 ``[members, test images]``, from `make_pseudo_labels`.

    Returns:
        The result, with all files of the run written.

    """
    settings = run.settings
    _save(run.folder / "folds.npy", assignment)
    if settings.pseudo_labelled_images:
        _save(run.folder / PSEUDO_LABELS, pseudo_labels)
    members = range(1, settings.members + 1)
    watcher.run_started(
        settings.members,
        settings.training.epochs,
        count_images(assignment, settings.folds, pseudo_labels),
    )
    finished = {number: run.is_fold_finished(number) for number in members}
    for number in members:
        if finished[number]:
            _finish_fold(run, number, watcher, skipped=True)
    left = [number for number in members if not finished[number]]
    for number in executor.train_folds(_task(run, splits), left, watcher):
        _finish_fold(run, number, watcher, skipped=False)
    return gather(run, splits)


def _save(path: Path, array: npt.NDArray[np.int16]) -> None:
    with files.replacing(path) as new:
        np.save(new, array, allow_pickle=False)


def _finish_fold(run: Run, number: int, watcher: TrainingCallback, *, skipped: bool) -> None:
    # A crash may have left the checkpoint of a fold that is already marked as finished.
    (run.fold(number) / "checkpoint.keras").unlink(missing_ok=True)
    watcher.fold_done(number, read_fold_scores(run, number), skipped=skipped)


def count_threads(settings: Settings) -> int:
    """Return the number of threads per split of a batch; earlier versions did not record it."""
    return settings.threads or share_cores(settings.training.batch_splits)


def _task(run: Run, splits: Splits) -> Task:
    settings = run.settings
    batch_splits = settings.training.batch_splits
    return Task(train_fold, run.folder, splits, batch_splits, count_threads(settings))


def train_fold(folder: Path, splits: Splits, number: int, watcher: fit.FoldCallback) -> None:
    """Train one fold and save its model, its predictions and ``finished.json``.

    Args:
        folder: the run's folder, with its ``run.json`` and ``folds.npy``.
        splits: the images of the run.
        number: number of the model, 1 … members.
        watcher: called after every step.

    """
    run = Run(folder)
    settings = run.settings
    start_keras(settings.training.batch_splits, settings.threads)
    assignment = read_array(folder / "folds.npy", FOLD_IDS, advice=REWRITTEN)
    kept, held_out = split_rows(assignment, settings.folds, number)
    labels = read_pseudo_labels(run, len(splits.test))
    train = add_pseudo_labelled(splits.train.take(kept), splits.test, labels[number - 1])
    repeat, fold = divmod(number - 1, settings.folds)
    model, history = fit.train_model(
        run.recipe(trusted=True),
        settings.training,
        train,
        splits.train.take(held_out) if len(held_out) else None,
        seed=(settings.seed + repeat, fold),
        folder=run.fold(number),
        watcher=watcher,
    )
    started = time.perf_counter()
    fold_scores = _save_predictions(run.fold(number), model, splits, held_out)
    with files.replacing(run.fold(number) / "model.keras") as path:
        model.network.save(path, include_optimizer=False)
    seconds = sum(epoch.seconds for epoch in history) + time.perf_counter() - started
    mark = {"seconds": round(seconds, 1), "scores": fold_scores and asdict(fold_scores)}
    files.write_json(run.fold(number) / "finished.json", mark)


def _save_predictions(
    folder: Path, model: predicting.Predictor, splits: Splits, held_out: Rows
) -> Scores | None:
    test = model.predict(splits.test.images)
    files.write_npz(folder / "test.npz", probabilities=test)
    images = splits.train.take(held_out)
    if not len(held_out) or images.labels is None:
        return None
    oof = model.predict(images.images)
    files.write_npz(folder / "oof.npz", rows=held_out, probabilities=oof)
    return scores(oof, images.labels)
