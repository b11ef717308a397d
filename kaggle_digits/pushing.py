"""Send a CSV to Kaggle once, know what became of it, and keep that in the ledger.

Nothing is ever sent twice: each push spends one of the day's. Where the answer to a push is lost,
Kaggle's list of submissions says whether it arrived.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from kaggle_digits import kaggle_api, runs
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.files import locked, sha256_of
from kaggle_digits.kaggle_api import Kaggle, KaggleError, Submission
from kaggle_digits.ledger import UNKNOWN, Entry, Ledger
from kaggle_digits.origins import Origin

LOOKS = 3  # at the list of submissions, before a push that is not in it counts as lost
GROWTH = 1.5
WAIT_FACTOR = 10  # of the timeout: how long `wait` waits for a score in all
PAUSES = 60  # the first pause is the timeout divided by this
LONGEST_PAUSE = 30  # the longest one: all of the waiting divided by this
CLOCKS_DIFFER = timedelta(minutes=10)

Tell = Callable[[str], None]


class AlreadyPushedError(InputError):
    """These bytes are at Kaggle already."""


@dataclass(frozen=True)
class Package:
    """A checked CSV on its way.

    Attributes:
        csv: the file.
        message: what Kaggle's list of submissions will say of it.
        sha256: of its bytes when it was checked.
        origin: what it was made of; None where nothing here knows it.
        test_images_in_train: how many of the test images the training images hold; None where that
            is unknown.

    """

    csv: Path
    message: str
    sha256: str
    origin: Origin | None
    test_images_in_train: int | None = None

    def entry(self) -> Entry:
        """Return the ledger's line for it, as it is now about to be sent."""
        origin = self.origin
        return Entry(
            time=runs.now(),
            file=str(self.csv),
            sha256=self.sha256,
            message=self.message,
            run=origin.run if origin else None,
            recipe=origin.recipe if origin else None,
            oof_accuracy=origin.oof_accuracy if origin else None,
            reference=None,
            status=UNKNOWN,
            public_score=None,
            test_images_in_train=self.test_images_in_train,
        )


def push(package: Package, ledger: Ledger, kaggle: Kaggle, *, again: bool, tell: Tell) -> Entry:
    """Send ``package`` once and return its line in the ledger.

    Args:
        package: what to send.
        ledger: where it is noted.
        kaggle: an open connection.
        again: send it even if the same bytes were pushed before.
        tell: takes a line for the user.

    Raises:
        AlreadyPushedError: it was pushed before. Nothing was sent.
        KaggleError: nothing was submitted, or, if the message says so, nobody knows.

    """
    with _alone(ledger):
        if any(one.sha256 == package.sha256 and one.status == UNKNOWN for one in ledger.entries()):
            _refresh(ledger, kaggle)
        if not again:
            _require_new(package, ledger)
        _require_room(kaggle, tell)
        before = {submission.reference for submission in kaggle.submissions()}
        if sha256_of(package.csv) != package.sha256:
            raise InputError(f"{package.csv} was changed meanwhile. Run the same command again.")
        # Noted before it is sent: whatever happens to this process, the next one looks for it.
        entry = package.entry()
        ledger.append(entry)
        return _sent(entry, ledger, kaggle, before)


def _alone(ledger: Ledger) -> contextlib.AbstractContextManager[None]:
    """Nobody else may push or settle from here meanwhile."""
    return locked(
        ledger.path.with_name(".push.lock"),
        seconds=0,
        busy="another `kaggle-digits` is talking to Kaggle about submissions from here. "
        "Wait for it, then try again.",
    )


def _require_new(package: Package, ledger: Ledger) -> None:
    for entry in ledger.entries():
        if entry.sha256 != package.sha256:
            continue
        raise AlreadyPushedError(
            f"{package.csv} was pushed before: its bytes are those of {entry.file}, sent "
            f"{entry.time} (reference {entry.reference}, {_outcome(entry)}). Nothing was pushed. "
            "`kaggle-digits leaderboard --refresh` fetches a score that was pending; --again "
            "pushes it again, which spends one of the day's submissions."
        )


def _outcome(entry: Entry) -> str:
    return entry.status if entry.public_score is None else f"public score {entry.public_score:.5f}"


def _require_room(kaggle: Kaggle, tell: Tell) -> None:
    limits = kaggle.limits()
    if limits.today and not limits.left:
        raise KaggleError(
            f"Kaggle takes no more submissions today: {limits.today} were made. Nothing was "
            "pushed. Its day ends at midnight UTC; run the same command after that."
        )
    if limits.left:  # all zeros say nothing: so it is before the first submission
        tell(f"Submissions today: {limits.today} made, {limits.left} left before this one.")


def _sent(entry: Entry, ledger: Ledger, kaggle: Kaggle, before: Collection[int]) -> Entry:
    """Send what ``entry`` notes, note what became of it, and return that."""
    try:
        reference = kaggle.submit(Path(entry.file), entry.message)
        cause = "Kaggle named no reference."
    except KaggleError as error:
        if error.refused:
            ledger.replace(entry, None)
            raise
        reference, cause = 0, str(error)
    if reference:
        new = replace(entry, reference=reference, status="PENDING")
    else:
        new = _settled(entry, ledger, kaggle, before, cause)
    ledger.replace(entry, new)
    return new


def _settled(
    entry: Entry, ledger: Ledger, kaggle: Kaggle, before: Collection[int], cause: str
) -> Entry:
    """Return what Kaggle's list says of a push whose answer was lost."""
    pause = kaggle_api.timeout() / PAUSES
    for look in range(LOOKS):
        time.sleep(pause * look)
        try:
            found = _found(entry, kaggle.submissions(), before, since=None)
        except KaggleError as error:
            raise KaggleError(
                f"it is not known whether {entry.file} was submitted. First: {cause} Then, "
                f"looking for it: {error} It was not sent again. Look later with "
                "`kaggle-digits leaderboard --refresh`, or run the same command again: it looks "
                "first.",
                error.status,
            ) from error
        if found:
            return _updated(entry, found)
    ledger.replace(entry, None)
    raise KaggleError(
        f"nothing was submitted: {cause} Kaggle's list of submissions does not have it, so the "
        "same command can be run again."
    )


def refresh(ledger: Ledger, kaggle: Kaggle) -> int:
    """Fetch what Kaggle knows of pushes without a final score; return how many lines changed.

    The line of a push without an answer goes if Kaggle's list does not have it: it never arrived.
    """
    with _alone(ledger):
        return _refresh(ledger, kaggle)


def _refresh(ledger: Ledger, kaggle: Kaggle) -> int:
    before = ledger.entries()
    if not any(_open(entry) for entry in before):
        return 0
    submissions = list(kaggle.submissions())
    known = {entry.reference for entry in before if entry.reference}

    def change(entry: Entry) -> Entry | None:
        if not _open(entry):
            return entry
        if entry.reference is not None:
            found = next((one for one in submissions if one.reference == entry.reference), None)
            return _updated(entry, found) if found else entry
        since = datetime.fromisoformat(entry.time) - CLOCKS_DIFFER
        found = _found(entry, submissions, known, since=since)
        return _updated(entry, found) if found else None

    ledger.update(change)
    after = {entry.push: entry for entry in ledger.entries()}
    return sum(after.get(entry.push) != entry for entry in before)


def _open(entry: Entry) -> bool:
    scored = entry.status == "COMPLETE" and entry.public_score is not None
    return not scored and entry.status != "ERROR"


def _found(
    entry: Entry,
    submissions: Iterable[Submission],
    known: Collection[int | None],
    since: datetime | None,
) -> Submission | None:
    """Return the submission that ``entry`` must be: not one of ``known``, of its name and text."""
    for one in submissions:
        if (
            one.reference not in known
            and one.file_name == Path(entry.file).name
            and one.description.strip() == entry.message.strip()
            and (since is None or one.date is None or one.date >= since)
        ):
            return one
    return None


def _updated(entry: Entry, submission: Submission) -> Entry:
    return replace(
        entry,
        reference=submission.reference,
        status=submission.status,
        public_score=submission.public_score,
    )


def wait(entry: Entry, ledger: Ledger, kaggle: Kaggle, tell: Tell) -> Submission:
    """Ask for the score with growing pauses until there is one; note it in the ledger.

    Raises:
        OutsideError: Kaggle could not score the file, or there is no score in time.
        KaggleError: Kaggle does not let us ask.

    """
    first, most = kaggle_api.timeout() / PAUSES, kaggle_api.timeout() * WAIT_FACTOR
    pause, deadline = first, time.monotonic() + most
    status = entry.status
    while True:
        found = _looked_up(entry, kaggle)
        if found and found.status != status:
            status = found.status
            ledger.replace(entry, _updated(entry, found))
            if status not in kaggle_api.KNOWN_STATUSES:
                tell(f"Kaggle's status {status} is not known here; waiting on.")
        if found and status in kaggle_api.FINAL:
            return _scored(found)
        if time.monotonic() + pause > deadline:
            raise OutsideError(
                f"no score after {most:g} s: submission {entry.reference} is still {status}. It "
                "was pushed; do not push it again. `kaggle-digits leaderboard --refresh` fetches "
                "its score later."
            )
        time.sleep(pause)
        pause = min(pause * GROWTH, most / LONGEST_PAUSE)


def _scored(submission: Submission) -> Submission:
    if submission.status == "ERROR":
        raise OutsideError(
            f"Kaggle could not score submission {submission.reference}: "
            f"{submission.error or 'it gives no reason'}. See {kaggle_api.ADDRESS}/submissions."
        )
    return submission


def _looked_up(entry: Entry, kaggle: Kaggle) -> Submission | None:
    """Return the submission from Kaggle's list; None if a look failed and another may not."""
    try:
        return next((o for o in kaggle.submissions() if o.reference == entry.reference), None)
    except KaggleError as error:
        if error.status in {401, 403, 404}:
            raise
    return None


def rank(score: float, kaggle: Kaggle) -> int | None:
    """Return where ``score`` stands on the public leaderboard; None if Kaggle does not tell."""
    with contextlib.suppress(KaggleError):
        better = 0
        for other in kaggle.scores():
            if other <= score:
                break
            better += 1
        return better + 1
    return None
