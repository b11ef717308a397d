"""Train several folds at the same time, each in its own process.

A process trains one fold after another, so it starts TensorFlow only once. All processes map the
same files with the data set: the system keeps one copy in memory, and each process reads the images
of its fold. Progress comes back through pipes. A process ends itself when its parent is gone.
"""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import child_processes, credentials, files
from kaggle_digits.backend import INTRA_OP, reserve_process
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import (
    KaggleDigitsError,
    OutsideError,
    out_of_memory,
    pack_error,
    unpack_error,
)
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.training.executors import FoldsCallback, Task, TrainFold
from kaggle_digits.training.fit import FoldCallback
from kaggle_digits.training.history import Epoch

SHARED = {
    "images": Form("uint8", ("images", "height", "width", "channels")),
    "labels": Form("uint8", ("images",)),
    "ids": Form("integer", ("images",)),
}
GPUS = "CUDA_VISIBLE_DEVICES"
AGAIN = "Run the same command again: it rewrites the file."


@dataclass
class _Worker:
    process: BaseProcess
    pipe: "connection.Connection[Any, Any]"
    fold: int = 0
    watcher: FoldCallback | None = None


@dataclass(frozen=True)
class Processes:
    """Train folds in child processes.

    Attributes:
        jobs: number of folds trained at the same time.

    """

    jobs: int

    def train_folds(
        self, task: Task, numbers: Sequence[int], folds: FoldsCallback
    ) -> Iterator[int]:
        """Train the folds ``numbers`` and yield each number when its files are written.

        Raises:
            KaggleDigitsError: the training of a fold failed.
            OutsideError: a process was killed.

        """
        waiting = list(numbers)
        count = min(self.jobs, len(waiting))
        with _share(task) as arguments, _start_workers(arguments, count) as workers:
            for worker in workers:
                _give(worker, waiting.pop(0), folds)
            busy = {worker.pipe: worker for worker in workers}
            while busy:
                for pipe in connection.wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]  # `wait` returns the objects that it was given
                    if not _handle_message(worker):
                        continue
                    yield worker.fold
                    if waiting:
                        _give(worker, waiting.pop(0), folds)
                    else:
                        del busy[worker.pipe]


def _give(worker: _Worker, number: int, folds: FoldsCallback) -> None:
    worker.fold, worker.watcher = number, folds.fold_started(number)
    with contextlib.suppress(OSError):  # it ended: the next receive reports that
        worker.pipe.send(number)


def _handle_message(worker: _Worker) -> bool:
    """Pass one message of ``worker`` to its callback; return whether its fold is done."""
    try:
        name, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        raise OutsideError(_describe_end(worker)) from None
    if name == "failed":
        raise unpack_error(*value)
    if name != "done":
        getattr(worker.watcher, name)(value)
    return bool(name == "done")


def _describe_end(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    return (
        f"the process that trained fold {worker.fold} {how}. Every finished epoch is kept: run the "
        "same command again to resume. If memory ran out, add --jobs with a smaller number: the "
        "result stays the same."
    )


@contextlib.contextmanager
def _share(task: Task) -> Iterator[tuple[Any, ...]]:
    """Write the data set to files that every process can map; yield the arguments of `serve`."""
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
        # Small enough for a pipe's buffer: a process that ends before reading does not block us.
        yield (task.train_fold, task.folder, task.threads, task.splits.source, described)


def _save(path: Path, images: Any) -> None:
    try:
        np.save(path, images, allow_pickle=False)
    except OSError as error:
        raise files.error_from(error, path) from error


@contextlib.contextmanager
def _start_workers(arguments: tuple[Any, ...], count: int) -> Iterator[list[_Worker]]:
    workers: list[_Worker] = []
    # At the end all workers are killed, even busy ones. Their files are removed with the folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            for index in range(count):
                with credentials.withheld():
                    started = child_processes.start(serve, scratch, choose_gpu(index), *arguments)
                workers.append(_Worker(*started))
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
    gpus = list_gpus()
    return gpus[index % len(gpus)] if len(gpus) > 1 else None


def list_gpus() -> list[str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names."""
    return [name.strip() for name in os.environ.get(GPUS, "").split(",") if name.strip()]


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
    reserve_process()
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    if gpu is not None:
        os.environ[GPUS] = gpu
    os.environ[INTRA_OP] = os.environ["OMP_NUM_THREADS"] = str(threads)
    splits = Splits(source, _map_dataset(*described["train"]), _map_dataset(*described["test"]))
    while True:
        try:
            number = pipe.recv()
        except (EOFError, OSError):
            return
        answer = train_and_report(train_fold, folder, splits, number, _Relay(pipe))
        with contextlib.suppress(OSError):  # the parent is gone: the next receive ends this
            pipe.send(answer)
        if answer[0] == "failed":
            return


def train_and_report(
    train_fold: TrainFold, folder: Path, splits: Splits, number: int, watcher: FoldCallback
) -> tuple[str, Any]:
    """Train one fold; return ``done`` and None, or ``failed`` and the result of `pack_error`."""
    try:
        train_fold(folder, splits, number, watcher)
    except KaggleDigitsError as error:
        return "failed", pack_error(error)
    except Exception as error:  # noqa: BLE001 — raised again in the parent
        if "--debug" in sys.argv:
            traceback.print_exc()
        if known := out_of_memory(error):
            return "failed", pack_error(known)
        unexpected = OutsideError(
            f"fold {number} failed: unexpected {type(error).__name__}: {error}. Every finished "
            "epoch is kept: run the same command again to resume, with --debug for the traceback."
        )
        return "failed", pack_error(unexpected)
    return "done", None


def _map_dataset(paths: dict[str, Path], class_names: tuple[str, ...]) -> Dataset:
    arrays = {
        name: read_array(path, SHARED[name], mapped=True, advice=AGAIN)
        for name, path in paths.items()
    }
    return Dataset(arrays["images"], arrays.get("labels"), arrays["ids"], class_names)


class _Relay:
    """Send the progress of a fold to the parent process."""

    def __init__(self, pipe: "connection.Connection[Any, Any]") -> None:
        self.pipe = pipe

    def epochs_found(self, count: int) -> None:
        self.pipe.send(("epochs_found", count))

    def images_trained(self, count: int) -> None:
        self.pipe.send(("images_trained", count))

    def epoch_done(self, epoch: Epoch) -> None:
        self.pipe.send(("epoch_done", epoch))
