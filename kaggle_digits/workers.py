"""Folds trained at the same time, each in a process of its own.

The processes get their fold numbers one after another, so each pays TensorFlow's start once. Images
lie in files that all of them map: the system keeps one copy in memory. What they say comes back
through pipes; a process whose parent is gone ends itself.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kaggle_digits import files
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import KaggleDigitsError, OutsideError
from kaggle_digits.training import Epoch, Watcher

TrainFold = Callable[[Path, Splits, int, Watcher], None]


class Folds(Protocol):
    """Whoever wants to see several folds at once."""

    def fold_started(self, number: int) -> Watcher:
        """Return who watches the fold."""


@dataclass(frozen=True)
class Task:
    """What a process needs to train folds of a run.

    Attributes:
        train_fold: trains the fold of that number and leaves its files; a function that can be
            imported.
        folder: the run's.
        threads: of each process.
        splits: what is trained on; its arrays go to the processes as files.

    """

    train_fold: TrainFold
    folder: Path
    threads: int
    splits: Splits


@dataclass
class _Worker:
    process: BaseProcess
    pipe: "connection.Connection[Any, Any]"
    fold: int = 0
    watcher: Watcher | None = None


def trained(task: Task, numbers: Sequence[int], jobs: int, folds: Folds) -> Iterator[int]:
    """Train the folds ``numbers``, ``jobs`` at a time, and yield each number when it is done.

    Raises:
        KaggleDigitsError: what a fold's training raised.
        OutsideError: a process was killed.

    """
    waiting = list(numbers)
    with _shared(task) as arguments, _started(arguments, min(jobs, len(waiting))) as workers:
        for worker in workers:
            _give(worker, waiting.pop(0), folds)
        busy = {worker.pipe: worker for worker in workers}
        while busy:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # what was waited for came back
                if not _heard(worker):
                    continue
                yield worker.fold
                if waiting:
                    _give(worker, waiting.pop(0), folds)
                else:
                    del busy[worker.pipe]


def _give(worker: _Worker, number: int, folds: Folds) -> None:
    worker.fold, worker.watcher = number, folds.fold_started(number)
    with contextlib.suppress(OSError):  # it ended: what is heard from it next says so
        worker.pipe.send(number)


def _heard(worker: _Worker) -> bool:
    """Take one message of ``worker`` to its watcher; return whether its fold is done."""
    try:
        name, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        raise OutsideError(_how_it_ended(worker)) from None
    if name == "failed":
        raise value
    if name != "done":
        getattr(worker.watcher, name)(value)
    return bool(name == "done")


def _how_it_ended(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return (
        f"the process that trained fold {worker.fold} {how}. If memory ran out, use fewer --jobs. "
        "Every finished epoch is kept: start the command again to go on."
    )


@contextlib.contextmanager
def _shared(task: Task) -> Iterator[tuple[Any, ...]]:
    """Put the images where every process can map them, and yield what a process is started with."""
    # A name that whoever opens the run next removes, if this process should not come to it.
    paths = {part: task.folder / f".{part}-images.tmp.npy" for part in ("train", "test")}
    described = {}
    try:
        for part, path in paths.items():
            dataset: Dataset = getattr(task.splits, part)
            _save(path, dataset.images)
            described[part] = (path, dataset.labels, dataset.ids, dataset.class_names)
        yield (task.train_fold, task.folder, task.threads, task.splits.source, described)
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


def _save(path: Path, images: Any) -> None:
    try:
        np.save(path, images, allow_pickle=False)
    except OSError as error:
        raise files.error_from(error, path) from error


@contextlib.contextmanager
def _started(arguments: tuple[Any, ...], count: int) -> Iterator[list[_Worker]]:
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    # Inherited: Ctrl-C is for this process, which then ends the others without a traceback.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
            process.start()
            theirs.close()
            workers.append(_Worker(process, ours))
    finally:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()


def serve(
    pipe: "connection.Connection[Any, Any]",
    train_fold: TrainFold,
    folder: Path,
    threads: int,
    source: str,
    described: dict[str, Any],
) -> None:
    """Train the folds whose numbers come through ``pipe``, until it is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    splits = Splits(source, **{part: _mapped(*values) for part, values in described.items()})
    with contextlib.suppress(EOFError, OSError):
        while True:
            number = pipe.recv()
            try:
                train_fold(folder, splits, number, _Relay(pipe))
            except KaggleDigitsError as error:
                pipe.send(("failed", error))
                return
            pipe.send(("done", None))


def _mapped(path: Path, labels: Any, ids: Any, class_names: tuple[str, ...]) -> Dataset:
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    return Dataset(images, labels, ids, class_names)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


class _Relay:
    """The watcher in a process: sends what it is told to the parent."""

    def __init__(self, pipe: "connection.Connection[Any, Any]") -> None:
        self.pipe = pipe

    def epochs_found(self, count: int) -> None:
        self.pipe.send(("epochs_found", count))

    def images_trained(self, count: int) -> None:
        self.pipe.send(("images_trained", count))

    def epoch_done(self, epoch: Epoch) -> None:
        self.pipe.send(("epoch_done", epoch))
