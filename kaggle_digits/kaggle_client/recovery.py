"""Resolve submissions whose answer was lost or whose score was pending, by Kaggle's list.

A submission is in the ledger before it is sent. If the process is killed or the answer is lost, the
entry stays UNKNOWN, and the next command searches Kaggle's list before it sends anything.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.kaggle_client import client
from kaggle_digits.kaggle_client.client import Kaggle, Submission
from kaggle_digits.kaggle_client.faults import ADDRESS, KaggleError
from kaggle_digits.kaggle_client.ledger import UNKNOWN, Entry, Ledger

Tell = Callable[[str], None]


def lock(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    """Lock the ledger against other processes that submit or refresh."""
    return files.lock(
        ledger.path.with_name(".push.lock"),
        seconds=0,
        busy="another `kaggle-digits` process is submitting or refreshing here. Wait for it, then "
        "run the same command again.",
    )


def settle(entry: Entry, ledger: Ledger, kaggle: Kaggle, cause: str) -> Entry:
    """Look up a submission whose answer was just lost in Kaggle's list.

    Args:
        entry: its entry, which stays UNKNOWN unless it is found.
        ledger: the ledger with the entry.
        kaggle: an open connection.
        cause: why there is no answer.

    Returns:
        The updated entry.

    Raises:
        KaggleError: it is not in the list, or the list is unavailable.

    """
    again = "Run the same command again: it searches again before it sends anything."
    try:
        found, is_doubtful = _search(entry, ledger, kaggle)
    except KaggleError as error:
        raise KaggleError(
            f"it is unknown whether {entry.file} was submitted. First: {cause} Then, searching "
            f"Kaggle's list: {error} It was not sent again. {again}",
            error.status,
        ) from error
    if found is not None:
        return update(entry, found)
    if is_doubtful:
        raise KaggleError(f"it is unknown whether {entry.file} was submitted: {cause} {again}")
    raise KaggleError(
        f"{entry.file} was probably not submitted: {cause} It is not in Kaggle's list of "
        f"submissions. {again}"
    )


def settle_all(ledger: Ledger, kaggle: Kaggle, tell: Tell) -> None:
    """Resolve every submission without an answer.

    An entry that is not in Kaggle's list is removed, because the submission never arrived. An entry
    that may or may not be there is kept.
    """
    for entry in ledger.entries():
        if entry.status != UNKNOWN:
            continue
        found, is_doubtful = _search(entry, ledger, kaggle)
        what = f"The submission of {entry.file} at {entry.time}"
        if found is not None:
            ledger.replace(entry, update(entry, found))
            tell(f"{what} arrived: reference {found.reference}.")
        elif is_doubtful:
            tell(f"{what}: unknown whether it arrived. See {ADDRESS}/submissions.")
        else:
            ledger.replace(entry, None)
            tell(f"{what} never arrived.")


def _search(entry: Entry, ledger: Ledger, kaggle: Kaggle) -> tuple[Submission | None, bool]:
    """Search Kaggle's list for ``entry`` several times.

    Times are not compared: the submission is among the references that were not listed before.

    Returns:
        The submission, or None; and whether a listed submission may still be this one.

    """
    known = {other.reference for other in ledger.entries()} | set(entry.listed_before or ())
    new: list[Submission] = []
    for _ in client.look_again():
        listed = kaggle.submissions()
        new = [
            candidate
            for candidate in listed
            if candidate.reference not in known and _may_match(entry, candidate)
        ]
        matching = [candidate for candidate in new if _matches(entry, candidate)]
        if matching:
            return matching[0], False  # the newest
    return None, bool(new)


def _may_match(entry: Entry, submission: Submission) -> bool:
    return submission.file_name in {"", Path(entry.file).name}


def _matches(entry: Entry, submission: Submission) -> bool:
    """Return whether everything that Kaggle lists of ``submission`` equals ``entry``."""
    message = submission.description.split()
    told = bool(submission.file_name or message)
    same_size = entry.size is None or submission.size in {None, entry.size}
    return told and same_size and message in ([], entry.message.split())


def refresh(ledger: Ledger, kaggle: Kaggle, tell: Tell) -> int:
    """Update the submissions without a final score; return the number of changed entries."""
    with lock(ledger):
        before = ledger.entries()
        if not any(map(_is_open, before)):
            return 0
        settle_all(ledger, kaggle, tell)
        listed = {submission.reference: submission for submission in kaggle.submissions()}
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
    """Return ``entry`` updated by ``submission`` from Kaggle's list."""
    return replace(
        entry,
        reference=submission.reference,
        status=submission.status,
        public_score=submission.public_score,
        error=submission.error or None,
        listed_before=None,
    )
