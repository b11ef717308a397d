"""Train folds as tasks of a Ray cluster.

The driver is this process. It gives the images to Ray's object store, which copies them once to
each node that trains. A task streams messages back: the driver writes every finished epoch's
checkpoint and every finished fold into the run's folder, so no disk is shared. With a storage that
all nodes share, checkpoints go there instead, and the driver fetches finished folds. A fold whose
worker or node is lost is given away again with its last checkpoint. Ray's own retries are off,
because they would repeat the task with the checkpoint that it began with.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.backend import INTRA_OP, backend_name
from kaggle_digits.errors import OutsideError, unpack_error
from kaggle_digits.runs import Run
from kaggle_digits.runs.folder import RECIPE_FILE
from kaggle_digits.training.executors import FoldsCallback, Task
from kaggle_digits.training.executors.ray_cluster import Cluster, connect
from kaggle_digits.training.executors.ray_storage import Storage, open_for
from kaggle_digits.training.executors.ray_worker import (
    CHECKPOINT,
    FOLD_FILES,
    HISTORY,
    MARK,
    describe_data,
    read_files,
    train_remotely,
    versions,
)
from kaggle_digits.training.fit import FoldCallback
from kaggle_digits.training.history import Epoch
from kaggle_digits.training.pseudo_labels import PSEUDO_LABELS

RUN_FILES = ("run.json", "folds.npy", PSEUDO_LABELS, RECIPE_FILE)
MAX_LOSSES = 5  # of a fold without a finished epoch between them


@dataclass
class _Fold:
    """A fold that waits or is being trained."""

    number: int
    folder: Path
    messages: Any = None  # Ray's generator of messages
    watcher: FoldCallback | None = None
    losses: int = 0


@dataclass(frozen=True)
class OnRay:
    """Train folds on a Ray cluster.

    Attributes:
        address: ``HOST:PORT`` of the cluster's head, or ``auto``; None takes the variable
            RAY_ADDRESS, and without it starts Ray on this machine and ends it afterwards.
        jobs: largest number of folds given to the cluster at the same time; None for all.
        storage: absolute path of a folder on a shared disk, or an address of fsspec, for the files
            of folds in training; None sends them to the driver.

    """

    address: str | None = None
    jobs: int | None = None
    storage: str | None = None

    def train_folds(
        self, task: Task, numbers: Sequence[int], folds: FoldsCallback
    ) -> Iterator[int]:
        """Train the folds ``numbers`` and yield each number when its files are written.

        Raises:
            InputError: Ray is not installed, or the versions of a node are others.
            KaggleDigitsError: the training of a fold failed.
            OutsideError: the cluster cannot be reached, or a fold was lost again and again.

        """
        if not numbers:
            return
        run = Run(task.folder.absolute())
        waiting = deque(_Fold(number, run.fold(number)) for number in numbers)
        cpus = task.batch_splits * task.threads
        address = self.address or os.environ.get("RAY_ADDRESS") or None
        storage = None if self.storage is None else open_for(run, self.storage)
        with connect(address, cpus, task.splits) as cluster:
            give = _Giver(cluster, task, cpus, storage)
            running: list[_Fold] = []
            try:
                while waiting or running:
                    while waiting and len(running) < (self.jobs or len(numbers)):
                        running.append(give(waiting.popleft()))
                    for fold in cluster.wait(running):
                        answer = _receive(cluster, fold, folds, storage)
                        if answer is None:
                            continue
                        running.remove(fold)
                        if answer == "done":
                            yield fold.number
                        else:
                            waiting.appendleft(fold)
            finally:
                for fold in running:
                    cluster.cancel(fold.messages)
            if storage is not None:
                storage.remove()


class _Giver:
    """Give folds to the cluster."""

    def __init__(self, cluster: Cluster, task: Task, cpus: int, storage: Storage | None) -> None:
        self.task = task
        self.storage = None if storage is None else storage.address
        self.versions = versions()
        self.data = cluster.put(describe_data(task.splits))
        self.run_files = cluster.put(read_files(task.folder, RUN_FILES))
        # Ray sets the first of the variables alone, and to the number of CPUs of the task.
        variables = {
            "OMP_NUM_THREADS": str(task.threads),
            INTRA_OP: str(task.threads),
            "KERAS_BACKEND": backend_name(),
        }
        self.function = cluster.remote(train_remotely, cpus, variables)

    def __call__(self, fold: _Fold) -> _Fold:
        resume = read_files(fold.folder, (HISTORY, CHECKPOINT))
        if CHECKPOINT not in resume:
            resume = {}
        fold.messages = self.function.remote(
            self.versions,
            self.data,
            self.run_files,
            resume,
            self.storage,
            self.task.train_fold,
            fold.number,
        )
        return fold


def _receive(
    cluster: Cluster, fold: _Fold, folds: FoldsCallback, storage: Storage | None
) -> str | None:
    """Handle the next message of ``fold``; return ``done`` or ``lost`` if it was the last one."""
    received = cluster.receive(fold.messages)
    if isinstance(received, OutsideError):
        fold.losses += 1
        if fold.losses == MAX_LOSSES:
            raise OutsideError(
                f"the worker that trained fold {fold.number} was lost {MAX_LOSSES} times without "
                f"finishing an epoch. The last time: {received} Every finished epoch is kept: run "
                "the same command again to resume. If memory ran out, use fewer --jobs."
            )
        return "lost"
    name, value = received
    if name == "failed":
        raise unpack_error(*value)
    if name == "done":
        if storage is None:
            _keep(fold.folder, value, FOLD_FILES)
        else:
            _fetch(storage.inside(f"fold-{fold.number}"), fold.folder)
    elif name == "started":
        if fold.watcher is None:
            fold.watcher = folds.fold_started(fold.number)
    elif name == "epoch_done":
        epoch, kept = value
        # The history first: a row without its checkpoint is dropped on resuming.
        _keep(fold.folder, kept, (HISTORY, CHECKPOINT))
        fold.losses = 0
        _watcher(fold).epoch_done(Epoch(*epoch))
    else:
        getattr(_watcher(fold), name)(value)
    return "done" if name == "done" else None


def _fetch(stored: Storage, folder: Path) -> None:
    """Move the files of a finished fold from the storage to ``folder``."""
    contents = stored.read(FOLD_FILES)
    if MARK not in contents:
        raise OutsideError(
            f"--storage {stored.address} lacks the files of a finished fold. Expected the files "
            "that its node wrote. Check that every node and this machine see the same files, then "
            "run the same command again."
        )
    _keep(folder, contents, FOLD_FILES)
    stored.remove()  # last: a driver that is killed before it resumes from them


def _watcher(fold: _Fold) -> FoldCallback:
    assert fold.watcher is not None  # noqa: S101 — `started` is a task's first message
    return fold.watcher


def _keep(folder: Path, contents: dict[str, bytes], names: Sequence[str]) -> None:
    for name in names:
        if name in contents:
            files.write_bytes(folder / name, contents[name])
