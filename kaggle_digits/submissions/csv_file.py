"""Write, read and check `ImageId,Label` files. Standard library and NumPy: starts at once.

Format: https://www.kaggle.com/competitions/digit-recognizer/overview/evaluation
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError

Ids = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.integer[Any]]

HEADER = "ImageId,Label"
BOM = b"\xef\xbb\xbf"
MAX_ID = 10**18 - 1  # 18 digits always fit into an int64
CLASSES = 10
NAMED_IDS = 5  # number of ids in a message before "…"
NAMED_CHARACTERS = 40

PLAIN = re.compile(rb"(?:[0-9]{1,18},[0-9]\n)++")
ID = re.compile(r"[0-9]{1,18}")
LABEL = re.compile(r"[0-9](?:\.0+)?")  # pandas writes 7.0 where a column once held a gap


@dataclass(frozen=True, eq=False)
class Submission:
    """The content of a submission file.

    Attributes:
        ids: int64 ``[n]``, 1 or more, unique, in the order of the file.
        labels: uint8 ``[n]``, 0-9.

    """

    ids: Ids
    labels: Labels

    def __len__(self) -> int:
        return len(self.ids)


# ---------------------------------------------------------------------------------------- write


def write(path: Path, ids: npt.ArrayLike, labels: npt.ArrayLike) -> None:
    """Write one row per image, in the order of ``ids``, and check the written file.

    The file is written completely or not at all.

    Args:
        path: the file; its folder is created if it is missing.
        ids: whole numbers ``[n]``, 1 or more, unique.
        labels: whole numbers ``[n]``, 0-9.

    Raises:
        InputError: ids or labels have other values. No file was written.
        OutsideError: the disk is full, or the file's content differs from what was written.

    """
    meant = Submission(
        ids=whole_numbers("ImageId", ids, lowest=1, highest=MAX_ID),
        labels=whole_numbers("Label", labels, lowest=0, highest=CLASSES - 1).astype(np.uint8),
    )
    if len(meant.ids) != len(meant.labels):
        raise InputError(
            f"received {len(meant.ids):,} ids and {len(meant.labels):,} labels. "
            "Expected one label for each id."
        )
    if not len(meant):
        raise InputError("received no ids. Expected one row per image, at least one.")
    doubles = find_duplicate_ids(meant.ids)
    if len(doubles):
        raise InputError(
            f"received {join_ids(doubles)} more than once. Expected each ImageId once."
        )
    files.write_text(path, to_text(meant))
    confirm(path, meant)


def to_text(submission: Submission) -> str:
    """Return the file that `write` writes: the exact header and one row per image."""
    rows = zip(submission.ids.tolist(), submission.labels.tolist(), strict=True)
    return HEADER + "\n" + "".join(f"{id_},{label}\n" for id_, label in rows)


def require_target(path: Path) -> None:
    """Check before the work that `write` can write to ``path``. Only submissions are replaced.

    Raises:
        InputError: the folder cannot be written, or ``path`` is a file of another kind.

    """
    files.require_writable(path)
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(HEADER) + 3)
    if start and start.removeprefix(BOM)[: len(HEADER)] != HEADER.encode():
        raise InputError(
            f"{path} exists and is not a submission: it does not begin with {HEADER}. The file was "
            "not changed. Use a new name, or that of an earlier submission."
        )


def confirm(path: Path, meant: Submission) -> None:
    """Raise OutsideError unless ``path`` holds exactly ``meant``."""
    try:
        found = read(path)
        same = np.array_equal(found.ids, meant.ids) and np.array_equal(found.labels, meant.labels)
        reason = "its rows differ"
    except InputError as error:
        same, reason = False, str(error)
    if not same:
        raise OutsideError(
            f"{path} does not hold what was just written into it: {reason}. Another program may "
            "have changed it, or the disk is failing. Run the same command again."
        )


def whole_numbers(name: str, values: npt.ArrayLike, *, lowest: int, highest: int) -> Ids:
    """Return ``values`` as int64 ``[n]``; raise InputError that names the first invalid one."""
    array = np.asarray(values)
    expected = f"Expected {name} to be whole numbers from {lowest} to {highest}"
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise InputError(
            f"received {name} with shape {array.shape} and type {array.dtype}. {expected}, "
            "in one dimension."
        )
    good = (array >= lowest) & (array <= highest) & (array == np.floor(array))  # NaN is never good
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f"received {name} {array[row]} at position {row}. {expected}.")
    return array.astype(np.int64)


# ----------------------------------------------------------------------------------------- read


def read(path: Path) -> Submission:
    """Read a submission as Kaggle's own parser does.

    The rows may have any order. A byte-order mark, Windows line ends, quoted fields, blank lines
    and labels such as ``7.0`` are accepted. Everything else is rejected.

    Raises:
        InputError: the file is missing or has an invalid line. The message names the line, the
            received and the expected content.

    """
    return parse(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of ``path``.

    Raises:
        InputError: it is missing, or cannot be read.

    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist. Expected a submission with the header {HEADER}; "
            "check the path, or make one with `kaggle-digits cv`."
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}. Expected a CSV file that you may read."
        ) from error


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
    header: list[str] | None = None
    labels: dict[int, int] = {}
    lines: dict[int, int] = {}
    line = 0
    try:
        for fields in reader:
            line = reader.line_num
            if not fields:
                continue
            if header is None:
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
    if header is None:
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
    if fields != HEADER.split(","):
        raise InputError(
            f"{path}, line {line}: received the header {quote(','.join(fields))}. "
            f"Expected exactly {HEADER!r}, capitals included; correct the first line."
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
    return repr(text if len(text) <= NAMED_CHARACTERS else text[: NAMED_CHARACTERS - 1] + "…")


# ---------------------------------------------------------------------------------------- check


def check(
    submission: Submission,
    expected_ids: Integers,
    *,
    name: str = "the submission",
    source: str = "test.csv",
) -> None:
    """Raise InputError unless ``submission`` has exactly the expected ids.

    Args:
        submission: the submission, from `read`.
        expected_ids: int ``[n]``, in any order.
        name: name of the submission in the message, such as its path.
        source: origin of the expected ids, for the message.

    """
    missing = np.setdiff1d(expected_ids, submission.ids)
    unexpected = np.setdiff1d(submission.ids, expected_ids)
    if not len(missing) and not len(unexpected):
        return
    parts = [f"{name}: {len(submission):,} rows; expected {len(expected_ids):,} ({source})."]
    if len(missing):
        parts.append(f"Missing {join_ids(missing)}.")
    if len(unexpected):
        parts.append(f"Unexpected {join_ids(unexpected)}.")
    parts.append(_advice(submission.ids, expected_ids))
    raise InputError(" ".join(parts))


def _advice(ids: Ids, expected_ids: Integers) -> str:
    if len(ids) == len(expected_ids):
        shifts = np.sort(ids) - np.sort(expected_ids)
        if (shift := int(shifts[0])) and (shifts == shift).all():
            return (
                f"All ids are {abs(shift):,} too {'high' if shift > 0 else 'low'}: correct them, "
                f'in pandas df["ImageId"] {"-" if shift > 0 else "+"}= {abs(shift)}, and write the '
                "file again."
            )
    return "Create the file again from the same data."


def find_duplicate_ids(ids: Ids) -> Ids:
    """Return the ids that occur more than once, int64 ``[m]``, ascending."""
    ordered = np.sort(ids)
    double = ordered[1:][ordered[1:] == ordered[:-1]]
    # np.unique imports numpy.ma, which costs more than reading a file does.
    return np.unique(double) if len(double) else double


def join_ids(ids: Integers) -> str:
    """Return the first few of ``ids`` and their number, for a message."""
    listed = ", ".join(str(id_) for id_ in ids[:NAMED_IDS])
    return f"ImageId {listed}" + (f", … ({len(ids):,} ids)" if len(ids) > NAMED_IDS else "")
