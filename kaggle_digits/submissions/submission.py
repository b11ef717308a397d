"""The content of a submission file, and whether it has the expected ids."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError

Ids = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.integer[Any]]

CLASSES = 10
NAMED_IDS = 5  # number of ids in a message before "…"


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
