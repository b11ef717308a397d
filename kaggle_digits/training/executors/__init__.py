"""Executors: where the folds of a run are trained. Nothing outside this package knows which.

here       in this process, one fold after another
processes  several folds at the same time, each in its own process
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.training.fit import FoldCallback

TrainFold = Callable[[Path, Splits, int, FoldCallback], None]


class FoldsCallback(Protocol):
    """Receive the progress of several folds."""

    def fold_started(self, number: int) -> FoldCallback:
        """Return the callback for that fold."""


@dataclass(frozen=True)
class Task:
    """Everything that is needed to train folds of a run.

    Attributes:
        train_fold: function that trains one fold and writes its files. It must be importable.
        folder: the run's folder.
        splits: the images.
        batch_splits: number of splits of a batch, which are computed at the same time.
        threads: number of threads per split.

    """

    train_fold: TrainFold
    folder: Path
    splits: Splits
    batch_splits: int
    threads: int


class Executor(Protocol):
    """Train folds somewhere. The files of each fold end up in the run's folder."""

    @property
    def jobs(self) -> int | None:
        """Number of folds trained at the same time; None if it is unknown."""

    def train_folds(
        self, task: Task, numbers: Sequence[int], folds: FoldsCallback
    ) -> Iterator[int]:
        """Train the folds ``numbers`` and yield each number when its files are written.

        Raises:
            KaggleDigitsError: the training of a fold failed.
            OutsideError: a process or a machine was lost.

        """
