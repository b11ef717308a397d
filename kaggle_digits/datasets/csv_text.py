"""Normalise the text of a CSV of digits: its encoding, separator and line endings."""

import codecs
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kaggle_digits.datasets.advice import DataError

MAX_LINE = 64 << 10  # bytes; the competition's header has 7 kB
LINE = re.compile(rb"[^\r\n][^\n]*")

# UTF-32 comes first, because its byte-order mark begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
EXPECTED = "Expected a CSV file."
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class CsvText:
    """The text of a CSV as UTF-8 with commas and line feeds, without a byte-order mark.

    Attributes:
        name: the file's name in messages; names the encoding if it was not UTF-8.
        cells: the cells of the first non-blank line, without surrounding quotes and spaces.
        separator: the separator of the original file.
        data: the text.
        start: byte offset of the first non-blank line.
        end: byte offset of the line after it.

    """

    name: str
    cells: tuple[str, ...]
    separator: str
    data: bytes
    start: int
    end: int

    @property
    def first_line(self) -> int:
        """The number of the first non-blank line, counted from 1."""
        return self.data.count(b"\n", 0, self.start) + 1

    def lines(self, start: int) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each non-blank line from ``start`` on.

        Lines longer than `MAX_LINE` are truncated. Blank lines are skipped quickly, because a
        compressed file of a few kilobytes may hold millions of them.
        """
        number = self.data.count(b"\n", 0, start) + 1
        for line in LINE.finditer(self.data, start):
            begin, end = line.span()
            number += self.data.count(b"\n", start, begin)
            start = begin
            text = self.data[begin : min(end, begin + MAX_LINE)]
            if text.strip():
                yield number, text.decode(errors="replace").rstrip("\r")


def read_text(data: bytes, name: str, fits: Collection[int]) -> CsvText:
    """Return the text of a CSV.

    Args:
        data: the file's bytes: UTF-8, or UTF-16 or UTF-32 with a byte-order mark. The separator is
            a comma, semicolon, tab or vertical bar; if it is not a comma, commas are decimal
            separators. Lines end with LF, CRLF or CR. Leading blank lines are skipped.
        name: the file's name in messages.
        fits: the expected numbers of cells in the first line, which decide the separator.

    Raises:
        DataError: the file is empty, binary, compressed or a web page, or its first line is too
            long.

    """
    data, name = _decode(data, name)
    begin = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    start = data[begin : begin + MAX_LINE]
    _check_kind(start, name)
    if b"\n" not in start and b"\r" in start:
        data = data.replace(b"\r", b"\n")
    begin, end = _first_line(data, begin, name)
    line = data[begin:end]
    if b"\0" in line or not _is_text(line):
        raise DataError(f"{name}: received binary data. {EXPECTED}")
    separator, cells = _split(line.decode(), fits)
    if separator != ",":
        data = data.translate(bytes.maketrans(f"{separator},".encode(), b",."))
    return CsvText(name, cells, separator, data, begin, end + 1)


def _decode(data: bytes, name: str) -> tuple[bytes, str]:
    """Return the text as UTF-8, and the file's name with the encoding if it was another."""
    encoding = next(
        (encoding for mark, encoding in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None
    )
    if encoding is None:
        even, odd = data[:64:2], data[1:64:2]
        if odd and not any(odd) and all(even):
            encoding = "UTF-16-LE"
        elif odd and not any(even) and all(odd):
            encoding = "UTF-16-BE"
        else:
            return data, name
    try:
        return data.decode(encoding).encode(), f"{name} (text in {encoding})"
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: received text in {encoding} that is broken at byte {error.start:,} of "
            f"{len(data):,}: {error.reason}. {EXPECTED}"
        ) from error


def _check_kind(start: bytes, name: str) -> None:
    """Raise if the file is not a CSV."""
    start = start.lstrip()
    packed = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), None)
    received = None
    if not start:
        received = "an empty file"
    elif start.startswith(b"<"):
        received = "a web page, perhaps one that asks you to sign in"
    elif packed:
        received = f"a file packed with {packed}; unpack it first"
    if received:
        raise DataError(f"{name}: received {received}. {EXPECTED}")


def _first_line(data: bytes, begin: int, name: str) -> tuple[int, int]:
    """Return the byte offsets at which the first non-blank line begins and ends."""
    limit = begin + MAX_LINE
    while True:
        end = data.find(b"\n", begin, limit)
        if end < 0 and len(data) > limit:
            raise DataError(
                f"{name}: received a first line longer than {MAX_LINE:,} bytes. {EXPECTED}"
            )
        if end < 0 or data[begin:end].strip():
            return begin, len(data) if end < 0 else end
        begin = end + 1


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _split(line: str, fits: Collection[int]) -> tuple[str, tuple[str, ...]]:
    """Return the separator and the cells of ``line``."""
    cells = {separator: line.split(separator) for separator in SEPARATORS}
    separator = max(cells, key=lambda mark: (len(cells[mark]) in fits, len(cells[mark])))
    return separator, tuple(cell.strip().strip('"') for cell in cells[separator])
