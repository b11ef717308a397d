"""Read the competition's train.csv and test.csv: plain, compressed, or in the download's zip."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.cache import Arrays, load_or_parse
from kaggle_digits.datasets.columns import MNIST, PIXELS, SIDE, TEST, TRAIN, Columns
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.datasets.pixel_parsing import parse
from kaggle_digits.datasets.reading import DataFile, DiskFile, open_zip, read_member

EXAMPLE = "sample_submission.csv"  # its labels are all 0 and mean nothing
MEMBERS = ("train.csv", "test.csv", EXAMPLE)

# The competition is recognised by its number of test images. Another number of training images
# only leads to a note.
COMPETITION_TRAIN_ROWS = 42_000
COMPETITION_TEST_ROWS = 28_000

BLOCK_ROWS = 1000  # rows written at a time


def read_files(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:
    """Return train and test from ``(train, test)``, the competition's files.

    Args:
        paths: the two files, on the disk or in one zip.
        cache: folder for the parsed arrays; None disables the cache.

    Returns:
        Images uint8 ``[n, 28, 28, 1]``; labels uint8 ``[n]`` for train, None for test.

    Raises:
        DataError: a file is broken or of another kind; names the file, the line and the column.

    """
    return _read(paths, (TRAIN, TEST), cache)


def read_mnist(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:
    """Return train and test from ``(train, test)``, MNIST's CSVs. Both are labelled.

    Arguments and errors are those of `read_files`.
    """
    return _read(paths, (MNIST, MNIST), cache)


def _read(
    paths: tuple[DataFile, ...], columns: tuple[Columns, ...], cache: Path | None
) -> tuple[Dataset, Dataset]:
    datasets = []
    disk, content = None, b""
    for role, file, names in zip(("train", "test"), paths, columns, strict=True):
        if file.disk is not disk:  # a zip holds both
            disk, content = file.disk, file.disk.read()
        datasets.append(_dataset(_load_or_parse_arrays(file, content, role, names, cache)))
    train, test = datasets
    return train, test


def read_one(path: Path, role: str, cache: Path | None) -> Dataset:
    """Return the images of one file.

    Args:
        path: the file.
        role: ``train`` (labelled) or ``test``.
        cache: folder for the parsed arrays; None disables the cache.

    Raises:
        DataError: as `read_files`.

    """
    file = DataFile(DiskFile(path), None, (f"{role}.csv",))
    columns = {"train": TRAIN, "test": TEST}[role]
    return _dataset(_load_or_parse_arrays(file, file.disk.read(), role, columns, cache))


def _load_or_parse_arrays(
    file: DataFile, content: bytes, role: str, columns: Columns, cache: Path | None
) -> Arrays:
    def read() -> Arrays:
        return _arrays(file.unpack(content), str(file), columns)

    return load_or_parse(cache, role, file.disk.sha256, read, labelled=columns.labelled)


def _dataset(arrays: Arrays) -> Dataset:
    images = arrays["images"]
    return Dataset(images, arrays.get("labels"), np.arange(1, len(images) + 1, dtype=np.int64))


def _arrays(data: bytes, name: str, columns: Columns) -> Arrays:
    """Return ``images`` uint8 [n, 28, 28, 1], and ``labels`` uint8 [n] if there are any."""
    table = parse(data, name, columns)
    pixels = table[:, -len(PIXELS) :]
    arrays = {"images": np.ascontiguousarray(pixels).reshape(-1, SIDE, SIDE, 1)}
    if columns.labelled:
        arrays["labels"] = table[:, 0].copy()
    return arrays


def unpack(path: Path, folder: Path) -> None:
    """Unpack the competition's three files from its zip into ``folder``.

    Raises:
        DataError: it is not a zip, it is broken, or one of the three is missing or too large.
        OutsideError: the disk is full.

    """
    with open_zip(DiskFile(path).read(), str(path)) as archive:
        if missing := [name for name in MEMBERS if name not in archive.namelist()]:
            raise DataError(f"{path} lacks {' and '.join(missing)}.")
        for name in MEMBERS:
            content = read_member(archive, name, f"{path} ({name})")
            with files.replacing(folder / name) as temporary:
                temporary.write_bytes(content)


def write(path: Path, columns: tuple[str, ...], rows: npt.NDArray[np.integer[Any]]) -> None:
    """Write a CSV of whole numbers with a header and LF line endings.

    Args:
        path: the file to write.
        columns: the m column names.
        rows: integers ``[n, m]``, 0 or more.

    """
    numbers = range(int(rows.max()) + 1)
    cells = np.array([b"%d," % number for number in numbers])
    last_cells = np.array([b"%d\n" % number for number in numbers])
    with path.open("wb") as file:
        file.write(",".join(columns).encode() + b"\n")
        for start in range(0, len(rows), BLOCK_ROWS):
            block = rows[start : start + BLOCK_ROWS]
            text = cells[block]
            text[:, -1] = last_cells[block[:, -1]]
            file.write(text.tobytes().translate(None, b"\0"))  # the padding of shorter numbers
