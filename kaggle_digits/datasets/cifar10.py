"""Read CIFAR-10 (both splits labelled) from cifar-10-batches-py or from its .tar.gz.

Each batch (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) is a
dictionary that Python 2 pickled: ``data`` uint8 [n, 3072], where each row holds the red, then the
green, then the blue 32×32 values, and ``labels``, a list of n numbers. No code in it is run.
"""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.dataset import Dataset, Images, Labels
from kaggle_digits.datasets.layouts import CIFAR10_FILES, CIFAR10_FOLDER
from kaggle_digits.datasets.reading import GZIP, DataFile, DiskFile, gunzip, unreadable
from kaggle_digits.datasets.unpickling import UnpicklingError, read_pickle

SIDE, CHANNELS, CLASSES = 32, 3, 10
VALUES = SIDE * SIDE * CHANNELS
MAX_NAME_LENGTH = 40  # characters of a class name

MAX_BYTES = 128 << 20  # per batch; the original's have 31 MB
MAX_MEMBERS = 1000  # the original has 9

# The errors that tarfile raises for a damaged, truncated or malicious archive.
BROKEN = (
    tarfile.TarError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RecursionError,
)


def read_folder(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(batches.meta, data_batch_1 … data_batch_5, test_batch)``.

    Raises:
        DataError: a file is broken, too large, or holds anything but CIFAR-10's arrays.

    """
    return _datasets((str(file), _content(file.disk.path)) for file in paths)


def read_archive(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(tar.gz,)``. Nothing is unpacked to the disk.

    Raises:
        DataError: the archive is broken, too large or lacks a file, or a file is not CIFAR-10's.

    """
    path = paths[0].disk.path
    members = _members(paths[0].disk)
    if missing := [name for name in CIFAR10_FILES if name not in members]:
        raise DataError(
            f"{path} lacks {', '.join(missing)} in a folder {CIFAR10_FOLDER}. "
            f'Expected CIFAR-10\'s "python version".'
        )
    return _datasets((f"{path} ({name})", members.pop(name)) for name in CIFAR10_FILES)


def _datasets(contents: Iterator[tuple[str, bytes]]) -> tuple[Dataset, Dataset]:
    """Return train and test from (name for messages, content) of each file, in their order."""
    class_names = _class_names(*next(contents))
    *train, test = (_batch(*content) for content in contents)
    images, labels = zip(*train, strict=True)
    return (
        _dataset(np.concatenate(images), np.concatenate(labels), class_names),
        _dataset(*test, class_names),
    )


def _dataset(images: Images, labels: Labels, class_names: tuple[str, ...]) -> Dataset:
    return Dataset(images, labels, np.arange(1, len(images) + 1, dtype=np.int64), class_names)


def _class_names(name: str, content: bytes) -> tuple[str, ...]:
    names = _dictionary(name, content).get(b"label_names")
    decoded = [
        encoded.decode("ascii", errors="replace")
        for encoded in (names if isinstance(names, list) else ())
        if isinstance(encoded, bytes) and len(encoded) <= MAX_NAME_LENGTH
    ]
    # The names are printed, so control characters are not allowed.
    good = {name for name in decoded if name.isascii() and name.isprintable() and name.strip()}
    if not isinstance(names, list) or not len(names) == len(good) == CLASSES:
        received = f"{len(names)} names" if isinstance(names, list) else "no list"
        raise DataError(
            f"{name}: received {received} as label_names, {len(good)} of them distinct and "
            f"printable. Expected {CLASSES}."
        )
    return tuple(decoded)


def _batch(name: str, content: bytes) -> tuple[Images, Labels]:
    """Return images uint8 [n, 32, 32, 3] and labels uint8 [n] of one file."""
    batch = _dictionary(name, content)
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, np.ndarray) or data.shape[1] != VALUES:
        received = f"shape {data.shape}" if isinstance(data, np.ndarray) else "no array"
        raise DataError(
            f"{name}: received {received} as data. Expected uint8 of shape (n, {VALUES}): "
            f"{CHANNELS} colours of {SIDE}×{SIDE} pixels."
        )
    if not isinstance(labels, list) or len(labels) != len(data):
        received = f"{len(labels):,} labels" if isinstance(labels, list) else "no list of labels"
        raise DataError(
            f"{name}: received {received} for {len(data):,} images. Expected one label per image. "
        )
    if wrong := [label for label in labels if type(label) is not int or not 0 <= label < CLASSES]:
        first = (
            f"{wrong[0]:,}"[:MAX_NAME_LENGTH] if type(wrong[0]) is int else type(wrong[0]).__name__
        )
        raise DataError(
            f"{name}: received the label {first}. Expected a whole number from 0 to {CLASSES - 1}."
        )
    planes = data.reshape(-1, CHANNELS, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.array(labels, np.uint8)


def _dictionary(name: str, content: bytes) -> dict[bytes, Any]:
    try:
        return read_pickle(content)
    except UnpicklingError as error:
        raise DataError(
            f"{name} is not one of CIFAR-10's files: {error}. Nothing in it was run. Expected the "
            f"original file, a Python 2 pickle of uint8 arrays."
        ) from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    _require_size(str(path), len(content))
    return content


def _require_size(name: str, size: int) -> None:
    if size > MAX_BYTES:
        raise DataError(
            f"{name}: received more than {MAX_BYTES >> 20} MiB. Expected one of CIFAR-10's "
            f"batches, 30 MiB."
        )


def _members(disk: DiskFile) -> dict[str, bytes]:
    """Return the content of CIFAR-10's files in an archive; ignore all other members."""
    wanted = {f"{CIFAR10_FOLDER}/{name}": name for name in CIFAR10_FILES}
    members = {}
    with _open_archive(disk) as archive:
        for member in islice(archive, MAX_MEMBERS):
            name = wanted.get(member.name.removeprefix("./"))
            if name is None:
                continue
            if not member.isfile() or member.issparse():
                raise DataError(
                    f"{disk.path}: received {name} as a link or a device. Expected a regular file."
                )
            _require_size(f"{disk.path} ({name})", member.size)
            file = archive.extractfile(member)
            members[name] = file.read() if file else b""
    return members


@contextlib.contextmanager
def _open_archive(disk: DiskFile) -> Iterator[tarfile.TarFile]:
    """Yield the archive, and raise `DataError` for any error while it is read.

    The archive is unpacked in memory, where its size is limited.
    """
    content = disk.read()
    if content.startswith(GZIP):
        content = gunzip(content, str(disk.path), kind=".tar.gz")
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            yield archive
    except BROKEN as error:
        raise DataError(
            f"{disk.path} is broken: {error}. Expected a complete .tar.gz file."
        ) from error
