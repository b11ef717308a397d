"""Parse the bytes of `ImageId,Label` files as Kaggle does, and name the first invalid line."""

import csv
import io
import re
from pathlib import Path

import numpy as np

from kaggle_digits.errors import InputError
from kaggle_digits.submissions.submission import Submission, find_duplicate_ids
from kaggle_digits.terminal_text import cut

HEADER = "ImageId,Label"
QUOTED_HEADER = '"ImageId","Label"'  # as R writes it
BOM = b"\xef\xbb\xbf"
NAMED_CHARACTERS = 40


PLAIN = re.compile(rb"(?:[0-9]{1,18},[0-9]\n)++")
ID = re.compile(r"[0-9]{1,18}")
LABEL = re.compile(r"[0-9](?:\.0+)?")  # pandas writes 7.0 where a column once held a gap


def parse(path: Path, content: bytes) -> Submission:
    """Parse the bytes ``content`` as `read` does; ``path`` is named in messages."""
    text = utf8(path, content).replace(b"\r\n", b"\n")
    submission = parse_plain(text)
    return submission if submission is not None else parse_lines(path, text.decode())


def utf8(path: Path, content: bytes) -> bytes:
    """Check that ``content`` is UTF-8 text and return it without a byte-order mark."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise not_text(path, content, content.count(b"\n", 0, error.start) + 1) from error
    if b"\0" in content:
        raise not_text(path, content, content.count(b"\n", 0, content.index(b"\0")) + 1)
    return content.removeprefix(BOM)


def not_text(path: Path, content: bytes, line: int) -> InputError:
    """Return the error for a file whose bytes are not UTF-8."""
    what = "a zip archive" if content.startswith(b"PK\x03\x04") else "bytes that are not UTF-8 text"
    return InputError(
        f"{path}, line {line}: received {what}. Expected a CSV file in UTF-8 with the header "
        f"{HEADER}; unpack it, or save it again as CSV in UTF-8."
    )


def parse_plain(text: bytes) -> Submission | None:
    """Return the submission if every line has the form that `write` uses, else None.

    It is 20 times as fast as `parse_lines`, which parses all other files and reports errors.
    """
    header, _, body = (text if text.endswith(b"\n") else text + b"\n").partition(b"\n")
    if header != HEADER.encode() or not PLAIN.fullmatch(body):
        return None
    numbers = np.fromstring(body.replace(b"\n", b","), dtype=np.int64, sep=",").reshape(-1, 2)
    ids, labels = numbers.T
    if ids.min() < 1 or len(find_duplicate_ids(ids)):
        return None
    return Submission(ids.copy(), labels.astype(np.uint8))


def parse_lines(path: Path, text: str) -> Submission:
    """Parse the submission line by line; raise InputError at the first invalid line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    labels: dict[int, int] = {}
    lines: dict[int, int] = {}
    line = 0
    try:
        for fields in reader:
            line = reader.line_num
            if not fields:
                continue
            if not header:
                header = fields
                check_header(path, line, header)
                continue
            id_, label = parse_row(path, line, fields)
            if id_ in lines:
                raise InputError(
                    f"{path}, line {line}: received ImageId {id_} again, first on line "
                    f"{lines[id_]}. Expected each ImageId once; remove one of the two rows."
                )
            lines[id_], labels[id_] = line, label
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line + 1}: received a row that is not CSV ({error}). "
            "Expected a row such as 1,7; check the quotes."
        ) from error
    if not header:
        raise InputError(
            f"{path} is empty. Expected the header {HEADER} and one row per image. Create the file "
            "again."
        )
    if not labels:
        raise InputError(
            f"{path}, line {line}: received the header and no rows. "
            "Expected one row per image, such as 1,7. Create the file again."
        )
    return Submission(np.array(list(labels), np.int64), np.array(list(labels.values()), np.uint8))


def check_header(path: Path, line: int, fields: list[str]) -> None:
    """Raise InputError unless the first line is the header that Kaggle expects."""
    expected = HEADER.split(",")
    if fields == expected:
        return
    advice = "correct the first line."
    if all(LABEL.fullmatch(field) or ID.fullmatch(field) for field in fields):
        advice = "add it as a new first line."
    elif len(fields) < len(expected):
        advice = "write both columns in every line, separated by a comma."
    elif fields[1:] == expected:
        advice = "write it without pandas' index: to_csv(…, index=False)."
    elif fields == expected[::-1]:
        advice = "write the ids first in every line."
    elif len(fields) > len(expected):
        advice = "choose a file with these two columns."
    raise InputError(
        f"{path}, line {line}: received the header {quote(','.join(fields))}. "
        f"Expected exactly {HEADER!r}, capitals included; {advice}"
    )


def parse_row(path: Path, line: int, fields: list[str]) -> tuple[int, int]:
    """Parse the id and the label of one row; raise InputError if the row is invalid."""
    where = f"{path}, line {line}: received"
    if fields[0].startswith("#"):
        raise InputError(
            f"{where} the comment {quote(','.join(fields))}. "
            "Expected only rows such as 1,7; remove the line."
        )
    if len(fields) != len(HEADER.split(",")):
        what = "1 cell" if len(fields) == 1 else f"{len(fields)} cells"
        raise InputError(
            f"{where} {what}, {quote(','.join(fields))}. "
            "Expected 2, an ImageId and a Label, such as 1,7; correct the row."
        )
    id_, label = fields
    if not ID.fullmatch(id_) or int(id_) < 1:
        advice = "correct the row."
        if ID.fullmatch(id_):
            advice = (
                "Kaggle counts from 1. If all ids count from 0, add 1 to each, in pandas "
                'df["ImageId"] += 1, and write the file again.'
            )
        raise InputError(
            f"{where} ImageId {quote(id_)}. Expected a whole number, 1 or more; {advice}"
        )
    if not LABEL.fullmatch(label):
        raise InputError(
            f"{where} Label {quote(label)} for ImageId {id_}. "
            "Expected a digit from 0 to 9; correct the row."
        )
    return int(id_), int(label[0])


def quote(text: str) -> str:
    """Return ``text`` quoted, and shortened if it is long."""
    return repr(cut(text, NAMED_CHARACTERS))
