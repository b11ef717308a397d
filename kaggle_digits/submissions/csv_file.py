"""Write and read `ImageId,Label` files. Standard library and NumPy: starts at once.

Format: https://www.kaggle.com/competitions/digit-recognizer/overview/evaluation
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError, suggest_path
from kaggle_digits.submissions.csv_parsing import HEADER, QUOTED_HEADER, parse
from kaggle_digits.submissions.submission import (
    CLASSES,
    Ids,
    Submission,
    find_duplicate_ids,
    join_ids,
)

MAX_ID = 10**18 - 1  # 18 digits always fit into an int64

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
        InputError: the folder cannot be written, or ``path`` is a file of another kind or the CSV
            in a run's folder, by which the run is recognised.

    """
    if path.name == "submission.csv" and (path.resolve().parent / "run.json").exists():
        raise InputError(
            f"{path} belongs to the run in {path.parent}. Expected another name, such as "
            f"{files.SUBMISSIONS / 'submission.csv'}."
        )
    files.require_replaceable(path, "a submission", HEADER.encode(), QUOTED_HEADER.encode())


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
            f"{path} does not exist.{suggest_path(path)} Expected a submission with "
            f"the header {HEADER}; check the path, or make one with `kaggle-digits cv`."
        ) from error
    except IsADirectoryError as error:
        own = path / "submission.csv"
        such_as = f", such as {own}" if own.exists() else ""
        raise InputError(f"{path} is a folder. Expected a CSV{such_as}.") from error
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}. Expected a CSV file that you may read."
        ) from error
