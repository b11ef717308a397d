"""Read the competition's train.csv and test.csv: plain, compressed, or inside the download's zip.

docs/LOG.md has the measurements behind the choice of pyarrow.csv.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.cache import Arrays, load_or_parse
from kaggle_digits.datasets.csv_text import SEPARATORS, CsvText, read_text
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.datasets.reading import DataFile, DiskFile, open_zip, read_member

EXAMPLE = "sample_submission.csv"  # its labels are all 0 and mean nothing
MEMBERS = ("train.csv", "test.csv", EXAMPLE)
SIDE = 28
PIXELS = tuple(f"pixel{i}" for i in range(SIDE * SIDE))
MAX_LABEL = 9
MAX_PIXEL = 255

# The competition is recognised by its number of test images. Another number of training images
# only leads to a note.
COMPETITION_TRAIN_ROWS = 42_000
COMPETITION_TEST_ROWS = 28_000

# pyarrow's default of 1 MiB holds about 550 rows, and the overhead of 785 small columns per block
# exceeds the time to parse them. Blocks of 16 MiB were no faster.
BLOCK_BYTES = 4 << 20
BLOCK_ROWS = 1000  # rows written at a time

Table = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Columns:
    """The expected columns of a file.

    Attributes:
        names: the expected names.
        others: other accepted headers.
        needs_header: whether a header is required.

    """

    names: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    needs_header: bool = True

    @property
    def labelled(self) -> bool:
        """Whether the first column holds the labels."""
        return self.names[0] == "label"


TRAIN = Columns(("label", *PIXELS))
TEST = Columns(PIXELS)

# MNIST's CSVs name each pixel by row and column, or have no header.
GRID = tuple(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))
IF_MNIST = "If both files are MNIST's, rename them to mnist_train.csv and mnist_test.csv"
FROM_ONE = tuple(f"pixel{i}" for i in range(1, SIDE * SIDE + 1))
MNIST = Columns(("label", *GRID), (("label", *PIXELS), ("label", *FROM_ONE)), needs_header=False)


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


def parse(data: bytes, name: str, columns: Columns) -> Table:
    """Return the values of a CSV as uint8 [n, 785] (label first) or [n, 784].

    Args:
        data: the file's bytes, in any encoding that `csv_text.read_text` supports.
        name: the file's name in messages.
        columns: the expected columns.

    Raises:
        DataError: the header is unexpected, or a cell is not a whole number in range.

    """
    text = read_text(data, name, fits={len(columns.names)})
    headless = not columns.needs_header and all(map(_is_number, text.cells))
    if not headless:
        _check_header(text, columns)
    start = text.start if headless else text.end
    table = _read_fast(memoryview(text.data)[start:], columns.names)
    if table is None or (columns.labelled and len(table) and table[:, 0].max() > MAX_LABEL):
        table = _read_with_care(text, start, columns.names)
    if not len(table):
        raise DataError(
            f"{text.name}: received a header and no rows. Expected an image in each line."
        )
    return table


def _is_number(cell: str) -> bool:
    return cell.isascii() and cell.replace(".", "", 1).isdigit()


def _check_header(text: CsvText, columns: Columns) -> None:
    if text.cells == columns.names or text.cells in columns.others:
        return
    names = columns.names
    raise DataError(
        f"{text.name}, line {text.first_line}: received {_describe_header(text, names)}. "
        f"Expected {len(names)} columns, separated by commas: {names[0]}, {names[1]}, … "
        f"{names[-1]}."
    )


def _describe_header(text: CsvText, expected: tuple[str, ...]) -> str:
    """Return a description of a wrong header."""
    names = text.cells
    known = {
        TRAIN.names: "a header with a label column: a train file under the name of a test file",
        TEST.names: "a header without a label column: a test file under the name of a train file",
        MNIST.names: f"MNIST's header, label, 1x1, … 28x28. {IF_MNIST}",
    }
    if names in known:
        return known[names]
    if names[1:] == expected:
        return (
            f"the column {names[0][:60]!r} before the expected ones, such as pandas' index, "
            "which to_csv(…, index=False) leaves out"
        )
    if len(names) > 1 and all(map(_is_number, names)):
        return f"{len(names)} numbers without a header. {IF_MNIST}"
    if len(names) != len(expected):
        separated = f" separated by {SEPARATORS[text.separator]}" if len(names) > 1 else ""
        first = ", ".join(names[:3])[:60]
        return f"a header with {len(names)} columns{separated}, the first ones {first!r}"
    if sorted(names) == sorted(expected):
        return "a header with the right columns in another order"
    at = next(i for i, column in enumerate(expected) if names[i] != column)
    return f"a header with {names[at][:60]!r} in column {at + 1} instead of {expected[at]!r}"


def _read_fast(body: memoryview, columns: tuple[str, ...]) -> Table | None:
    """Return the rows parsed by pyarrow; None if a cell is not a number from 0 to 255."""
    import pyarrow as pa
    from pyarrow import csv

    # pyarrow's own allocator, in version 25.0.0, crashes in a second thread that reads if the first
    # one, which imported pyarrow, has ended (apache/arrow#50471).
    pool = pa.system_memory_pool()
    try:
        table = csv.read_csv(
            pa.py_buffer(body),
            memory_pool=pool,
            read_options=csv.ReadOptions(
                column_names=columns,
                block_size=BLOCK_BYTES,
                # With pyarrow's own threads, 7 of 200 processes that ended soon after reading
                # aborted at their exit ("terminate called without an active exception").
                use_threads=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.uint8()),
                null_values=[],  # an empty cell is an error, not a missing value
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    return _row_major(table, pool)


def _row_major(table: Any, pool: Any) -> Table:
    rows = np.empty((table.num_rows, table.num_columns), np.uint8)
    start = 0
    for batch in table.to_batches():
        rows[start : start + batch.num_rows] = batch.to_tensor(row_major=True, memory_pool=pool)
        start += batch.num_rows
    return rows


def _read_with_care(text: CsvText, start: int, columns: tuple[str, ...]) -> Table:
    """Return the rows from byte ``start`` on, or raise for the first wrong cell or line.

    Slower than `_read_fast`, but names the line and column of an error and reads 7.0 as 7.
    """
    lines = text.lines(start)
    pixel = _Values(MAX_PIXEL)
    number_of = [_Values(MAX_LABEL) if column == "label" else pixel for column in columns]
    rows = []
    for number, line in lines:
        cells = line.split(",")
        if len(cells) != len(columns):
            cut = len(cells) < len(columns) and next(lines, None) is None
            raise DataError(
                f"{text.name}, line {number}: received {len(cells)} columns. Expected "
                f"{len(columns)}.{' The file ends there, so it is truncated.' * cut}"
            )
        try:
            rows.append(bytes(map(_Values.__getitem__, number_of, cells)))
        except ValueError as error:
            at = next(i for i, cell in enumerate(cells) if not number_of[i].accepts(cell))
            received = repr(cells[at][:40]) if cells[at].strip() else "an empty cell"
            raise DataError(
                f"{text.name}, line {number}, column {columns[at]}: received {received}. "
                f"Expected a whole number from 0 to {number_of[at].largest}."
            ) from error
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(columns))


class _Values(dict[str, int]):
    """The number of each cell text, memoised because a file repeats few texts many times."""

    def __init__(self, largest: int) -> None:
        super().__init__((str(value), value) for value in range(largest + 1))
        self.largest = largest

    def __missing__(self, text: str) -> int:
        if "_" in text or not text.isascii():  # int("1_0") is 10
            raise ValueError(text)
        number = float(text.strip().strip('"'))
        if not (0 <= number <= self.largest and number.is_integer()):
            raise ValueError(text)
        self[text] = int(number)
        return self[text]

    def accepts(self, text: str) -> bool:
        """Return whether ``text`` is a whole number in range."""
        try:
            self[text]
        except ValueError:
            return False
        return True
