"""Train folds in this process, one after another."""

from collections.abc import Iterator, Sequence

from kaggle_digits.backend import can_compute_with, start_keras
from kaggle_digits.training.executors import FoldsCallback, Task
from kaggle_digits.training.executors.processes import Processes


class InProcess:
    """Train folds in this process.

    The first computation of a process fixes its number of threads. If this process has another
    number than the run, as in a notebook after a run of another recipe, one child process trains.
    """

    jobs = 1

    def train_folds(
        self, task: Task, numbers: Sequence[int], folds: FoldsCallback
    ) -> Iterator[int]:
        """Train the folds ``numbers`` and yield each number when its files are written."""
        if not numbers:
            return
        start_keras(task.batch_splits, task.threads)
        if not can_compute_with(task.threads):
            yield from Processes(1).train_folds(task, numbers, folds)
            return
        for number in numbers:
            task.train_fold(task.folder, task.splits, number, folds.fold_started(number))
            yield number
