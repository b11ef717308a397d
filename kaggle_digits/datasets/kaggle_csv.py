"""The competition's train.csv and test.csv: plain, gzipped, or inside its zip, which stays packed.

Why the reader is pyarrow.csv is measured in docs/LOG.md.
"""

import contextlib
import gzip
import hashlib
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.datasets.cache import Arrays, cached
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.datasets.layouts import get_again, read_bytes, unreadable
from kaggle_digits.errors import InputError

EXAMPLE = "sample_submission.csv"  # its labels are all 0 and mean nothing
EXPECTED = ("train.csv", "test.csv", EXAMPLE)
MOST_BYTES = 1 << 30  # a member, unpacked; the competition's largest has 77 MB
SIDE = 28
PIXELS = tuple(f"pixel{i}" for i in range(SIDE * SIDE))
MAX_LABEL = 9
MAX_PIXEL = 255

# The competition's own test set has this many images, and no other one known is in this format.
COMPETITION_TEST_ROWS = 28_000

# pyarrow's own 1 MiB holds some 550 rows: 785 little columns for each block cost more than
# reading them. Blocks of 16 MiB were no faster.
BLOCK_BYTES = 4 << 20
BLOCK_ROWS = 1000  # written at a time

Table = npt.NDArray[np.uint8]


def read_files(paths: tuple[Path, ...], cache: Path | None) -> tuple[Dataset, Dataset]:
    """Return train and test from ``(train, test)``: .csv or .csv.gz.

    Args:
        paths: the two files.
        cache: folder for the arrays, so that the next reading is quick; None keeps nothing.

    Raises:
        InputError: a file is broken or is something else; names the file, the line and the column.

    """
    train, test = paths
    return read_one(train, "train", cache), read_one(test, "test", cache)


def read_zip(paths: tuple[Path, ...], cache: Path | None) -> tuple[Dataset, Dataset]:
    """Return train and test from ``(zip,)``, the competition's download. Nothing is unpacked.

    Args and errors as for `read_files`.
    """
    (path,) = paths
    content = read_bytes(path)
    key = hashlib.sha256(content).hexdigest()

    def read(role: str) -> Dataset:
        name = f"{role}.csv"
        shown = f"{path} ({name})"
        return _dataset(cached(cache, role, key, lambda: _arrays(_member(path, name), shown, role)))

    return read("train"), read("test")


def read_one(path: Path, role: str, cache: Path | None) -> Dataset:
    """Return one file's images; ``role`` is ``train`` or ``test``. Errors as for `read_files`."""
    content = read_bytes(path)
    key = hashlib.sha256(content).hexdigest()

    def read() -> Arrays:
        data = _unzipped(content, path) if path.suffix == ".gz" else content
        return _arrays(data, str(path), role)

    return _dataset(cached(cache, role, key, read))


def _dataset(arrays: Arrays) -> Dataset:
    images = arrays["images"]
    return Dataset(images, arrays.get("labels"), np.arange(1, len(images) + 1, dtype=np.int64))


def _arrays(data: bytes, name: str, role: str) -> Arrays:
    """Return ``images`` uint8 [n, 28, 28, 1], and ``labels`` uint8 [n] for the train file."""
    table = parse(data, name, labelled=role == "train")
    pixels = table[:, -len(PIXELS) :]
    arrays = {"images": np.ascontiguousarray(pixels).reshape(-1, SIDE, SIDE, 1)}
    if role == "train":
        arrays["labels"] = table[:, 0].copy()
    return arrays


def _unzipped(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is broken: {error}. Expected a whole gzip file. {get_again()}"
        ) from error


def unpack(path: Path, folder: Path) -> None:
    """Unpack the competition's three files from its zip into ``folder``, and nothing else.

    Raises:
        InputError: it is no zip, it is broken, or one of the three is missing or far too large.
        OutsideError: the disk is full.

    """
    with _opened(path) as archive:
        for name in EXPECTED:
            size = _require_member(archive, path, name).file_size
            if size > MOST_BYTES:
                raise InputError(
                    f"{path}: {name} would unpack to {size:,} bytes. Expected the competition's, "
                    f"below {MOST_BYTES:,}. {get_again()}"
                )
            with (
                files.replacing(folder / name) as temporary,
                temporary.open("wb") as target,
                archive.open(name) as member,
            ):
                shutil.copyfileobj(member, target, 1 << 20)


def _member(path: Path, name: str) -> bytes:
    with _opened(path) as archive:
        return archive.read(_require_member(archive, path, name))


def _require_member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    # By its exact name: no other member of the archive is looked at, whatever it is called.
    if name not in archive.namelist():
        listed = ", ".join(archive.namelist()[:5]) or "nothing"
        raise InputError(
            f"{path} lacks {name}: it holds {listed}. Expected the competition's download "
            f"with train.csv and test.csv. {get_again()}"
        )
    return archive.getinfo(name)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Yield the archive; turn what is wrong with it, while it is read, into InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,  # a password is needed
        NotImplementedError,  # a compression that Python does not know
    ) as error:
        with path.open("rb") as file:
            web_page = file.read(64).lstrip().startswith(b"<")
        reason = "it is a web page, perhaps one that asks you to sign in" if web_page else error
        raise InputError(
            f"{path} is broken: {reason}. Expected the competition's zip, whole. {get_again()}"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def write(path: Path, columns: tuple[str, ...], rows: npt.NDArray[np.integer[Any]]) -> None:
    """Write ``rows`` (whole numbers ``[n, m]``, 0 or more) under a header, with Unix line ends."""
    numbers = range(int(rows.max()) + 1)
    cells = np.array([b"%d," % number for number in numbers])
    last_cells = np.array([b"%d\n" % number for number in numbers])
    with path.open("wb") as file:
        file.write(",".join(columns).encode() + b"\n")
        for start in range(0, len(rows), BLOCK_ROWS):
            block = rows[start : start + BLOCK_ROWS]
            text = cells[block]
            text[:, -1] = last_cells[block[:, -1]]
            file.write(text.tobytes().translate(None, b"\0"))  # what fills the shorter ones up


def parse(data: bytes, name: str, *, labelled: bool) -> Table:
    """Return the values of a CSV as uint8 [n, 785] (label first) or [n, 784].

    Args:
        data: the file's bytes: UTF-8, a byte order mark and Windows line ends are fine.
        name: what to call the file in a message.
        labelled: whether it is a train file.

    Raises:
        InputError: anything but whole numbers in range under the competition's header.

    """
    columns = ("label", *PIXELS) if labelled else PIXELS
    end = data.find(b"\n")
    header = data if end < 0 else data[:end]
    _check_kind(data[:1024], header, name)
    _check_header(header, columns, name)
    body = memoryview(data)[len(header) + 1 :]
    table = _read_fast(body, columns)
    if table is None or (labelled and table[:, 0].max() > MAX_LABEL):
        table = _read_with_care(bytes(body), columns, name)
    return table


def _check_kind(start: bytes, header: bytes, name: str) -> None:
    """Refuse what is no CSV at all."""
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    received = None
    if not start:
        received = "an empty file"
    elif start.startswith(b"<"):
        received = "a web page, perhaps one that asks you to sign in"
    elif start.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        received = "a packed file under the name of an unpacked one"
    elif b"\0" in start or not _is_text(header):
        received = "binary data"
    if received:
        raise InputError(f"{name}: received {received}, expected a CSV file. {get_again()}")


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_header(line: bytes, columns: tuple[str, ...], name: str) -> None:
    names = [cell.strip().strip('"') for cell in line.decode("utf-8-sig").split(",")]
    if names == list(columns):
        return
    expected = f"{columns[0]}, {columns[1]}, … {columns[-1]}"
    if names == ["label", *PIXELS]:
        problem = "a column of labels: this is a train file under the name of a test file"
    elif names == list(PIXELS):
        problem = "no column named label: this is a test file under the name of a train file"
    elif len(names) != len(columns):
        problem = f"{len(names)} columns, the first ones {', '.join(names[:3])[:60]!r}"
    elif sorted(names) == sorted(columns):
        problem = "the right columns in another order"
    else:
        at = next(i for i, column in enumerate(columns) if names[i] != column)
        problem = f"{names[at][:60]!r} in column {at + 1}, where {columns[at]!r} belongs"
    raise InputError(
        f"{name}, line 1: received a header with {problem}. "
        f"Expected {len(columns)} columns: {expected}. {get_again()}"
    )


def _read_fast(body: memoryview, columns: tuple[str, ...]) -> Table | None:
    """Return the rows; None if there are none or pyarrow finds anything but 0…255 in a cell."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(
            pa.py_buffer(body),
            read_options=csv.ReadOptions(
                column_names=columns,
                block_size=BLOCK_BYTES,
                # With pyarrow's own threads 7 of 200 processes that ended soon after reading
                # were aborted at their exit ("terminate called without an active exception").
                use_threads=False,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.uint8()),
                null_values=[],  # an empty cell is an error, not a missing value
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    return _row_major(table) if table.num_rows else None


def _row_major(table: Any) -> Table:
    rows = np.empty((table.num_rows, table.num_columns), np.uint8)
    start = 0
    for batch in table.to_batches():
        rows[start : start + batch.num_rows] = batch.to_tensor(row_major=True)
        start += batch.num_rows
    return rows


def _read_with_care(body: bytes, columns: tuple[str, ...], name: str) -> Table:
    """Return the rows, or raise for the first cell or line that is wrong.

    Some 20 times slower than `_read_fast`: it names line and column, and takes 7.0 for 7.
    """
    lines = body.decode("utf-8", errors="replace").split("\n")
    pixel = _Values(MAX_PIXEL)
    number_of = [_Values(MAX_LABEL) if column == "label" else pixel for column in columns]
    rows = []
    for line_number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split(",")
        if len(cells) != len(columns):
            cut = not any(rest.strip() for rest in lines[line_number - 1 :])
            raise InputError(_wrong_length(name, line_number, len(cells), len(columns), cut=cut))
        try:
            rows.append(bytes(map(_Values.__getitem__, number_of, cells)))
        except ValueError as error:
            at = next(i for i, cell in enumerate(cells) if not number_of[i].takes(cell))
            received = repr(cells[at][:40]) if cells[at].strip() else "an empty cell"
            raise InputError(
                f"{name}, line {line_number}, column {columns[at]}: received {received}, "
                f"expected a whole number from 0 to {number_of[at].largest}. {get_again()}"
            ) from error
    if not rows:
        raise InputError(
            f"{name}: received a header and no rows. Expected an image in each line. {get_again()}"
        )
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(columns))


def _wrong_length(name: str, line: int, received: int, expected: int, *, cut: bool) -> str:
    cause = " The file ends there: it was cut short." if cut and received < expected else ""
    return (
        f"{name}, line {line}: received {received} columns, expected {expected}.{cause} "
        f"{get_again()}"
    )


class _Values(dict[str, int]):
    """What the text of a cell stands for. Remembers: a file repeats few texts many times."""

    def __init__(self, largest: int) -> None:
        super().__init__((str(value), value) for value in range(largest + 1))
        self.largest = largest

    def __missing__(self, text: str) -> int:
        number = float(text.strip().strip('"'))
        if not (0 <= number <= self.largest and number.is_integer()):
            raise ValueError(text)
        self[text] = int(number)
        return self[text]

    def takes(self, text: str) -> bool:
        """Whether ``text`` is a whole number in range."""
        try:
            self[text]
        except ValueError:
            return False
        return True
