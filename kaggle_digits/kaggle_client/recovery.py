"""What Kaggle's list tells of submissions whose answer was lost, or whose score was pending.

A submission is in the ledger before it is sent. If the process is killed or the answer is lost, the
line stays UNKNOWN, and the next command looks in Kaggle's list before it sends anything.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.kaggle_client import client
from kaggle_digits.kaggle_client.client import Kaggle, Submission
from kaggle_digits.kaggle_client.faults import ADDRESS, KaggleError
from kaggle_digits.kaggle_client.ledger import UNKNOWN, Entry, Ledger

# Pauses before each look, in units of the timeout divided by PAUSES, because the list may be late:
# 15 s in all by default.
LOOKS = (0, 1, 2, 4, 8)
PAUSES = 60

Tell = Callable[[str], None]


def lock(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    """Keep other processes from submitting or settling with the same ledger."""
    return files.lock(
        ledger.path.with_name(".push.lock"),
        seconds=0,
        busy="another `kaggle-digits` is talking to Kaggle about submissions from here. "
        "Wait for it, then run the same command again.",
    )


def settle(entry: Entry, ledger: Ledger, kaggle: Kaggle, cause: str) -> Entry:
    """Return what Kaggle's list says of the submission whose answer was just lost.

    Args:
        entry: its line, which stays UNKNOWN unless it is found.
        ledger: where the line is.
        kaggle: an open connection.
        cause: why there is no answer.

    Raises:
        KaggleError: it is not in the list, or that is unknown.

    """
    again = "Run the same command again: it looks once more before it sends anything."
    try:
        found, is_doubtful = _search(entry, ledger, kaggle)
    except KaggleError as error:
        raise KaggleError(
            f"it is unknown whether {entry.file} was submitted. First: {cause} Then, looking for "
            f"it: {error} It was not sent again. {again}",
            error.status,
        ) from error
    if found is not None:
        return update(entry, found)
    if is_doubtful:
        raise KaggleError(f"it is unknown whether {entry.file} was submitted: {cause} {again}")
    raise KaggleError(
        f"{entry.file} was probably not submitted: {cause} Kaggle's list of submissions does not "
        f"hold it. {again}"
    )


def settle_all(ledger: Ledger, kaggle: Kaggle, tell: Tell) -> None:
    """Find out what became of each submission without an answer.

    The line of one that is not in Kaggle's list goes: it never arrived. The line of one that may or
    may not be there stays.
    """
    for entry in ledger.entries():
        if entry.status != UNKNOWN:
            continue
        found, is_doubtful = _search(entry, ledger, kaggle)
        what = f"The submission of {entry.file} at {entry.time}"
        if found is not None:
            ledger.replace(entry, update(entry, found))
            tell(f"{what} had arrived: reference {found.reference}.")
        elif is_doubtful:
            tell(f"{what}: unknown whether it arrived. See {ADDRESS}/submissions.")
        else:
            ledger.replace(entry, None)
            tell(f"{what} never arrived.")


def _search(entry: Entry, ledger: Ledger, kaggle: Kaggle) -> tuple[Submission | None, bool]:
    """Look for ``entry`` in Kaggle's list, several times, because the list may be late.

    Clocks play no part: it is one of the references that were not in the list before.

    Returns:
        The submission, or None, and then whether one that is listed may still be it.

    """
    known = {other.reference for other in ledger.entries()} | set(entry.listed_before or ())
    new: list[Submission] = []
    for pauses in LOOKS:
        time.sleep(client.timeout() / PAUSES * pauses)
        listed = kaggle.submissions()
        new = [one for one in listed if one.reference not in known and _may_be(entry, one)]
        matching = [one for one in new if _is(entry, one)]
        if matching:
            return matching[0], False  # the newest
    return None, bool(new)


def _may_be(entry: Entry, submission: Submission) -> bool:
    return submission.file_name in {"", Path(entry.file).name}


def _is(entry: Entry, submission: Submission) -> bool:
    """Return whether all that Kaggle tells of ``submission`` is as ``entry`` has it."""
    message = submission.description.split()
    told = bool(submission.file_name or message)
    same_size = entry.size is None or submission.size in {None, entry.size}
    return told and same_size and message in ([], entry.message.split())


def refresh(ledger: Ledger, kaggle: Kaggle, tell: Tell) -> int:
    """Fetch what Kaggle knows of submissions without a final score; return how many changed."""
    with lock(ledger):
        before = ledger.entries()
        if not any(map(_is_open, before)):
            return 0
        settle_all(ledger, kaggle, tell)
        listed = {one.reference: one for one in kaggle.submissions()}
        ledger.update(
            lambda entry: (
                update(entry, listed[entry.reference])
                if _is_open(entry) and entry.reference in listed
                else entry
            )
        )
        after = {entry.key: entry for entry in ledger.entries()}
        return sum(after.get(entry.key) != entry for entry in before)


def _is_open(entry: Entry) -> bool:
    if entry.status == "ERROR":
        return entry.error is None  # earlier versions did not keep the reason
    return entry.status != "COMPLETE" or entry.public_score is None


def update(entry: Entry, submission: Submission) -> Entry:
    """Return ``entry`` with what Kaggle's list says of it."""
    return replace(
        entry,
        reference=submission.reference,
        status=submission.status,
        public_score=submission.public_score,
        error=submission.error or None,
        listed_before=None,
    )
