"""Parse the bytes of a CSV of digits; name the line and column of the first wrong cell.

docs/LOG.md has the measurements behind the choice of pyarrow.csv.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.columns import Columns, check_header, is_number
from kaggle_digits.datasets.csv_text import CsvText, read_text

MAX_LABEL = 9
MAX_PIXEL = 255

# pyarrow's default of 1 MiB holds about 550 rows, and the overhead of 785 small columns per block
# exceeds the time to parse them. Blocks of 16 MiB were no faster.
BLOCK_BYTES = 4 << 20

Table = npt.NDArray[np.uint8]


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
    headless = not columns.needs_header and all(map(is_number, text.cells))
    if not headless:
        check_header(text, columns)
    start = text.start if headless else text.end
    try:
        table = _read_fast(text, start, columns)
    except ValueError:  # says less than the careful parser
        table = _read_with_care(text, start, columns.names)
    if not len(table):
        raise DataError(
            f"{text.name}: received a header and no rows. Expected an image in each line."
        )
    return table


def _read_fast(text: CsvText, start: int, columns: Columns) -> Table:
    """Return the rows from byte ``start`` on, parsed by pyarrow.

    Raises:
        ValueError: a cell is not a number from 0 to 255, or a label is above 9.

    """
    import pyarrow as pa
    from pyarrow import csv

    if any(text.data.find(letter, start) >= 0 for letter in (b"x", b"X")):
        raise ValueError("a hexadecimal number, which pyarrow would read")
    # pyarrow's own allocator, in version 25.0.0, crashes in a second thread that reads if the first
    # one, which imported pyarrow, has ended (apache/arrow#50471).
    pool = pa.system_memory_pool()
    table = csv.read_csv(
        pa.py_buffer(memoryview(text.data)[start:]),
        memory_pool=pool,
        read_options=csv.ReadOptions(
            column_names=columns.names,
            block_size=BLOCK_BYTES,
            # With pyarrow's own threads, 7 of 200 processes that ended soon after reading
            # aborted at their exit ("terminate called without an active exception").
            use_threads=False,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(columns.names, pa.uint8()),
            null_values=[],  # an empty cell is an error, not a missing value
        ),
    )
    rows = _row_major(table, pool)
    if columns.labelled and len(rows) and rows[:, 0].max() > MAX_LABEL:
        raise ValueError("a label above 9")
    return rows


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
