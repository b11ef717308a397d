"""Folds trained at the same time, each in a process of its own.

The processes get their fold numbers one after another, so each pays TensorFlow's start once. The
data set lies in files that all of them map: the system keeps one copy of it in memory, and each
process takes from it what its fold trains on. What they say comes back through pipes; a process
whose parent is gone ends itself.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kaggle_digits import child_processes, credentials, files
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import KaggleDigitsError, OutsideError, out_of_memory
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.training.fit import FoldCallback
from kaggle_digits.training.history import Epoch

TrainFold = Callable[[Path, Splits, int, FoldCallback], None]

SHARED = {
    "images": Form("uint8", ("images", "height", "width", "channels")),
    "labels": Form("uint8", ("images",)),
    "ids": Form("integer", ("images",)),
}
GPUS = "CUDA_VISIBLE_DEVICES"
AGAIN = "Run the same command again: it shares the images anew."


class FoldsCallback(Protocol):
    """Whoever wants to see several folds at once."""

    def fold_started(self, number: int) -> FoldCallback:
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
    watcher: FoldCallback | None = None


def train_folds(
    task: Task, numbers: Sequence[int], jobs: int, folds: FoldsCallback
) -> Iterator[int]:
    """Train the folds ``numbers``, ``jobs`` at a time, and yield each number when it is done.

    Raises:
        KaggleDigitsError: what a fold's training raised.
        OutsideError: a process was killed.

    """
    waiting = list(numbers)
    with _share(task) as arguments, _start_workers(arguments, min(jobs, len(waiting))) as workers:
        for worker in workers:
            _give(worker, waiting.pop(0), folds)
        busy = {worker.pipe: worker for worker in workers}
        while busy:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # what was waited for came back
                if not _handle_message(worker):
                    continue
                yield worker.fold
                if waiting:
                    _give(worker, waiting.pop(0), folds)
                else:
                    del busy[worker.pipe]


def _give(worker: _Worker, number: int, folds: FoldsCallback) -> None:
    worker.fold, worker.watcher = number, folds.fold_started(number)
    with contextlib.suppress(OSError):  # it ended: what is heard from it next says so
        worker.pipe.send(number)


def _handle_message(worker: _Worker) -> bool:
    """Take one message of ``worker`` to its watcher; return whether its fold is done."""
    try:
        name, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        raise OutsideError(_describe_end(worker)) from None
    if name == "failed":
        raise value
    if name != "done":
        getattr(worker.watcher, name)(value)
    return bool(name == "done")


def _describe_end(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return (
        f"the process that trained fold {worker.fold} {how}. Every finished epoch is kept: start "
        "the command again to go on. If memory ran out, start anew with fewer --jobs: with other "
        "threads a fold it is another run."
    )


@contextlib.contextmanager
def _share(task: Task) -> Iterator[tuple[Any, ...]]:
    """Put the data set where every process can map it, and yield what a process is started with."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(files.workspace(task.folder))
        except OSError as error:
            raise files.error_from(error, task.folder) from error
        described = {}
        for part in ("train", "test"):
            dataset: Dataset = getattr(task.splits, part)
            arrays = {"images": dataset.images, "labels": dataset.labels, "ids": dataset.ids}
            paths = {
                name: folder / f"{part}-{name}.npy"
                for name, array in arrays.items()
                if array is not None
            }
            for name, path in paths.items():
                _save(path, arrays[name])
            described[part] = (paths, dataset.class_names)
        # Little enough for a pipe: a process that ends before it reads them holds up nobody.
        yield (task.train_fold, task.folder, task.threads, task.splits.source, described)


def _save(path: Path, images: Any) -> None:
    try:
        np.save(path, images, allow_pickle=False)
    except OSError as error:
        raise files.error_from(error, path) from error


@contextlib.contextmanager
def _start_workers(arguments: tuple[Any, ...], count: int) -> Iterator[list[_Worker]]:
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    # At the end they are killed, busy or not. The files that they leave go with the folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            with child_processes.ignoring(signal.SIGINT, signal.SIGTERM):
                for index in range(count):
                    ours, theirs = context.Pipe()
                    process = context.Process(
                        target=serve,
                        args=(theirs, scratch, choose_gpu(index), *arguments),
                        daemon=True,
                    )
                    with credentials.withheld():
                        process.start()
                    theirs.close()
                    workers.append(_Worker(process, ours))
            yield workers
        finally:
            for worker in workers:
                worker.process.kill()
            for worker in workers:
                worker.process.join()


def choose_gpu(index: int) -> str | None:
    """Return which GPU the process ``index`` (0, 1, …) uses; None leaves it to the backend.

    Where CUDA_VISIBLE_DEVICES names several, each process takes one of them: a fold on each.
    """
    gpus = [name for name in os.environ.get(GPUS, "").split(",") if name.strip()]
    return gpus[index % len(gpus)].strip() if len(gpus) > 1 else None


def serve(
    pipe: "connection.Connection[Any, Any]",
    scratch: str,
    gpu: str | None,
    train_fold: TrainFold,
    folder: Path,
    threads: int,
    source: str,
    described: dict[str, Any],
) -> None:
    """Train the folds whose numbers come through ``pipe``, until it is closed."""
    child_processes.end_with_parent()
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    if gpu is not None:
        os.environ[GPUS] = gpu
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    splits = Splits(source, _map_dataset(*described["train"]), _map_dataset(*described["test"]))
    while True:
        try:
            number = pipe.recv()
        except (EOFError, OSError):
            return
        answer = _outcome(train_fold, folder, splits, number, pipe)
        with contextlib.suppress(OSError):  # nobody listens any more: the next number says so
            pipe.send(answer)
        if answer[0] == "failed":
            return


def _outcome(
    train_fold: TrainFold,
    folder: Path,
    splits: Splits,
    number: int,
    pipe: "connection.Connection[Any, Any]",
) -> tuple[str, Any]:
    try:
        train_fold(folder, splits, number, _Relay(pipe))
    except KaggleDigitsError as error:
        return "failed", error
    except Exception as error:  # noqa: BLE001 — it is raised where the user can be told
        if "--debug" in sys.argv:
            traceback.print_exc()
        if known := out_of_memory(error):
            return "failed", known
        return "failed", OutsideError(
            f"fold {number} broke off: unexpected {type(error).__name__}: {error}. Every finished "
            "epoch is kept: start the command again to go on, with --debug to see where it is from."
        )
    return "done", None


def _map_dataset(paths: dict[str, Path], class_names: tuple[str, ...]) -> Dataset:
    arrays = {
        name: read_array(path, SHARED[name], mapped=True, advice=AGAIN)
        for name, path in paths.items()
    }
    return Dataset(arrays["images"], arrays.get("labels"), arrays["ids"], class_names)


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
