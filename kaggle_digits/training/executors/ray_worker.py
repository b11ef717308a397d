"""Train one fold on a node of a Ray cluster, and send its files to the driver.

No disk is shared with the driver: what the fold needs comes as arguments, and each finished epoch's
checkpoint goes back, or with ``--storage`` to a place that all nodes share. Arguments and messages
hold plain values, because another version of this package may receive them.
"""

import contextlib
import os
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import files, runs, safe_reading
from kaggle_digits.backend import reserve_process
from kaggle_digits.credentials import environment_without_credentials
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError, KaggleDigitsError, pack_error
from kaggle_digits.training.executors import TrainFold
from kaggle_digits.training.executors.processes import train_and_report
from kaggle_digits.training.executors.ray_storage import Storage, require_shared
from kaggle_digits.training.history import Epoch

HISTORY, CHECKPOINT, MARK = "history.csv", "checkpoint.keras", "finished.json"
# In the order in which the driver writes them: the last one says that the fold is finished.
FOLD_FILES = (HISTORY, "model.keras", "oof.npz", "test.npz", MARK)
REPORT_SECONDS = 0.5  # between two messages about images

Message = tuple[str, Any]


def describe_data(splits: Splits) -> dict[str, Any]:
    """Return ``splits`` as plain values, which Ray keeps once on each node."""
    parts = {
        name: (part.images, part.labels, part.ids, part.class_names)
        for name, part in (("train", splits.train), ("test", splits.test))
    }
    return {"source": splits.source, **parts}


def versions() -> dict[str, str]:
    """Return the versions that a fold's result depends on, and Ray's."""
    from importlib.metadata import version

    ignored = ("machine", "git_commit")
    found = {name: text for name, text in runs.environment().items() if name not in ignored}
    return {**found, "ray": version("ray")}


def describe_differences(here: Mapping[str, str], expected: Mapping[str, str]) -> str | None:
    """Describe which versions of this node are not the ``expected`` ones; None if all are."""
    different = [
        f"{name} {here.get(name, 'missing')} instead of {expected.get(name, 'none')}"
        for name in dict.fromkeys([*expected, *here])
        if here.get(name) != expected.get(name)
    ]
    if not different:
        return None
    return (
        f"the node {socket.gethostname()} has {', '.join(different)}. Expected the same versions "
        "on every node of the cluster as on this machine, because they change the result. Install "
        "them there, then run the same command again."
    )


def train_remotely(
    expected: dict[str, str],
    data: dict[str, Any],
    run_files: dict[str, bytes],
    resume: dict[str, bytes],
    storage: str | None,
    train_fold: TrainFold,
    number: int,
) -> Iterator[Message]:
    """Train one fold and yield messages for the driver.

    Args:
        expected: the driver's `versions`.
        data: the images, from `describe_data`.
        run_files: content of the files in the run's folder, by name.
        resume: content of the fold's checkpoint and history, by name; empty for a new fold.
        storage: address of the run's folder in a storage that all nodes share, for the fold's
            files; None sends them to the driver.
        train_fold: function that trains one fold and writes its files.
        number: number of the fold.

    Yields:
        ``started``, the calls of a `FoldCallback` by name, and last ``done`` with the content of
        the fold's files or ``failed`` with the result of `pack_error`.

    """
    reserve_process()
    for name in os.environ.keys() - environment_without_credentials().keys():
        del os.environ[name]
    if different := describe_differences(versions(), expected):
        yield "failed", pack_error(InputError(different))
        return
    stored = None
    if storage is not None:
        stored = Storage(storage).inside(f"fold-{number}")
        try:
            require_shared(Storage(storage))
            resume = max(resume, stored.read((HISTORY, CHECKPOINT)), key=_count_epochs)
        except KaggleDigitsError as error:
            yield "failed", pack_error(error)
            return
    yield "started", None
    # The folder of a killed worker is removed by the next one on its node.
    with files.workspace(Path(tempfile.gettempdir()).absolute()) as folder:
        fold = folder / f"fold-{number}"
        fold.mkdir()
        for name, content in run_files.items():
            (folder / name).write_bytes(content)
        for name, content in resume.items():
            (fold / name).write_bytes(content)
        splits = Splits(data["source"], Dataset(*data["train"]), Dataset(*data["test"]))
        messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        # A daemon: if the driver cancels, this function ends and the thread does not keep Ray.
        threading.Thread(
            target=_train, args=(train_fold, folder, splits, number, messages, stored), daemon=True
        ).start()
        while True:
            message = messages.get()
            yield message
            if message[0] in {"done", "failed"}:
                return


def _train(
    train_fold: TrainFold,
    folder: Path,
    splits: Splits,
    number: int,
    messages: "queue.SimpleQueue[Message]",
    stored: Storage | None,
) -> None:
    fold = folder / f"fold-{number}"
    relay = _Relay(messages, fold, stored)
    name, error = train_and_report(train_fold, folder, splits, number, relay)
    if name == "failed":
        kind, message = error
        messages.put(("failed", (kind, message.replace(f"{folder}/", ""))))
        return
    try:
        messages.put(("done", relay.hand_over(FOLD_FILES)))
    except KaggleDigitsError as unwritten:
        messages.put(("failed", pack_error(unwritten)))


def read_files(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the content of the files ``names`` that exist in ``folder``."""
    found = {}
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            found[name] = safe_reading.read_bytes(folder / name, safe_reading.MAX_FILE_BYTES)
    return found


def _count_epochs(files_of_a_fold: dict[str, bytes]) -> int:
    """Return the number of epochs to resume after; 0 without a checkpoint."""
    if CHECKPOINT not in files_of_a_fold:
        return 0
    return files_of_a_fold.get(HISTORY, b"").count(b"\n")


class _Relay:
    """Put the progress of a fold into a queue, with the files of each finished epoch."""

    def __init__(
        self, messages: "queue.SimpleQueue[Message]", fold: Path, stored: Storage | None
    ) -> None:
        self.messages, self.fold, self.stored = messages, fold, stored
        self.reported = -np.inf

    def epochs_found(self, count: int) -> None:
        self.messages.put(("epochs_found", count))

    def images_trained(self, count: int) -> None:
        if time.monotonic() - self.reported > REPORT_SECONDS:
            self.reported = time.monotonic()
            self.messages.put(("images_trained", count))

    def epoch_done(self, epoch: Epoch) -> None:
        kept = self.hand_over((HISTORY, CHECKPOINT))
        self.messages.put(("epoch_done", (astuple(epoch), kept)))

    def hand_over(self, names: tuple[str, ...]) -> dict[str, bytes]:
        """Return the files that go to the driver as a message: none with a storage."""
        contents = read_files(self.fold, names)
        if self.stored is None:
            return contents
        self.stored.write(contents)
        return {}
