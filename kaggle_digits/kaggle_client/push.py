"""Submit a CSV to Kaggle once, and wait for its score.

The number of submissions per day is limited, so no file is sent twice unless the user asks for it.
"""

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.kaggle_client import client, recovery
from kaggle_digits.kaggle_client.client import Kaggle, Submission
from kaggle_digits.kaggle_client.faults import ADDRESS, KaggleError
from kaggle_digits.kaggle_client.ledger import UNKNOWN, Entry, Ledger
from kaggle_digits.kaggle_client.recovery import Tell
from kaggle_digits.runs.provenance import Provenance

GROWTH = 1.5
WAIT_FACTOR = 10  # `wait` waits this many timeouts for a score
MAX_PAUSE = 30  # the longest pause is the total waiting time divided by this
NOT_OURS = {401, 403, 407}  # statuses about the account or the proxy: the next call fails too


class AlreadySubmittedError(InputError):
    """The file was already submitted."""


class OutcomeUnknownError(InputError):
    """It is unknown whether an earlier submission of this file arrived."""


@dataclass(frozen=True)
class Package:
    """A checked CSV to be submitted.

    Attributes:
        csv: the user's file.
        message: the description in Kaggle's list of submissions.
        sha256: SHA-256 of the user's file.
        content: the uploaded bytes: those of the file, or of its clean copy.
        origin: the file's provenance; None if it is unknown.
        test_images_in_train: number of test images among the training images; None if it is
            unknown.

    """

    csv: Path
    message: str
    sha256: str
    content: bytes
    origin: Provenance | None
    test_images_in_train: int | None = None

    @property
    def sent_sha256(self) -> str:
        """SHA-256 of ``content``."""
        return hashlib.sha256(self.content).hexdigest()

    def to_entry(self, listed_before: Collection[int]) -> Entry:
        """Return its entry in the ledger before it is sent."""
        origin = self.origin
        return Entry(
            # Milliseconds, because the time distinguishes two submissions of the same bytes.
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
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
            sent_sha256=self.sent_sha256,
            size=len(self.content),
            listed_before=tuple(sorted(listed_before)),
        )


def push(package: Package, ledger: Ledger, kaggle: Kaggle, *, force: bool, tell: Tell) -> Entry:
    """Submit ``package`` once and return its entry in the ledger.

    Args:
        package: the package to submit.
        ledger: the ledger that records it.
        kaggle: an open connection.
        force: submit it even if it was already submitted, or may have been.
        tell: called with each status line for the user.

    Raises:
        AlreadySubmittedError: it was already submitted. Nothing was sent.
        OutcomeUnknownError: it may have been submitted already. Nothing was sent.
        KaggleError: nothing was submitted, or, if the message says so, the outcome is unknown.

    """
    with recovery.lock(ledger):
        recovery.settle_all(ledger, kaggle, tell)
        if not force:
            _require_new(package, ledger)
        _require_room(kaggle, tell)
        with _copy(package) as path:
            # Recorded before it is sent: if this process dies, the next one looks for it among the
            # references that are not in the list now.
            entry = package.to_entry({listed.reference for listed in kaggle.submissions()})
            ledger.append(entry)
            new = _send(path, entry, ledger, kaggle)
        ledger.replace(entry, new)
        return new


def _require_new(package: Package, ledger: Ledger) -> None:
    hashes = {package.sha256, package.sent_sha256}
    for entry in ledger.entries():
        if not hashes & entry.hashes:
            continue
        if entry.status == UNKNOWN:
            raise OutcomeUnknownError(
                f"it is unknown whether {package.csv} was submitted at {entry.time}: Kaggle did "
                "not answer, and its list has a new submission that may be this file. See "
                f"{ADDRESS}/submissions. Nothing was sent; if it is not there, --force submits it."
            )
        raise AlreadySubmittedError(
            f"{package.csv} was already submitted: {entry.file} had the same content at "
            f"{entry.time} (reference {entry.reference}, {_outcome(entry)}). Nothing was sent. "
            "`kaggle-digits leaderboard --refresh` fetches a pending score; --force submits the "
            "file again, which uses one of the day's submissions."
        )
    for number, line in ledger.damaged().items():
        if any(sha256.encode() in line for sha256 in hashes):
            raise OutcomeUnknownError(
                f"it is unknown whether {package.csv} was submitted: line {number} of "
                f"{ledger.path}, which records it, is damaged. See {ADDRESS}/submissions. Nothing "
                "was sent; if it is not there, --force submits it."
            )


def _outcome(entry: Entry) -> str:
    if entry.public_score is not None:
        return f"public score {entry.public_score:.5f}"
    return f"{entry.status}: {entry.error}" if entry.error else entry.status


def _require_room(kaggle: Kaggle, tell: Tell) -> None:
    try:
        limits = kaggle.limits()
    except KaggleError as error:
        if error.status is None or error.status in NOT_OURS:
            raise
        tell(
            "Submissions left today: unknown, because Kaggle does not give their number "
            f"({error.status}). Submitting anyway."
        )
        return
    if limits.today and not limits.left:
        raise KaggleError(
            f"Kaggle accepts no more submissions today: {limits.today} were made. Nothing was "
            "sent. The limit resets at midnight UTC; run the same command then."
        )
    if limits.left:  # both are 0 before the first submission
        tell(f"Submissions today: {limits.today} made, {limits.left} left before this one.")


@contextlib.contextmanager
def _copy(package: Package) -> Iterator[Path]:
    """Yield a private copy of the checked bytes, under the file's own name."""
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder, package.csv.name)
            path.write_bytes(package.content)
            yield path
    except OSError as error:
        raise files.error_from(error, Path(tempfile.gettempdir())) from error


def _send(path: Path, entry: Entry, ledger: Ledger, kaggle: Kaggle) -> Entry:
    """Send ``path``, which ``entry`` records, and return the updated entry."""
    try:
        reference = kaggle.submit(path, entry.message)
        cause = "Kaggle's answer has no reference number."
    except KaggleError as error:
        if error.is_refusal:
            ledger.replace(entry, None)
            raise
        reference, cause = 0, str(error)
    if reference:
        return replace(entry, reference=reference, status="PENDING", listed_before=None)
    return recovery.settle(entry, ledger, kaggle, cause)


# ------------------------------------------------------------------------------------------ scores


def wait(entry: Entry, ledger: Ledger, kaggle: Kaggle, tell: Tell) -> Submission:
    """Wait for the score, polling with growing pauses, and record it in the ledger.

    Raises:
        OutsideError: Kaggle could not score the file, or gave no score in time.
        KaggleError: Kaggle rejects the requests.

    """
    first, longest = client.first_pause(), client.timeout() * WAIT_FACTOR
    pause, deadline = first, time.monotonic() + longest
    status = entry.status
    while True:
        found = _look_up(entry, kaggle)
        if found and found.status != status:
            status = found.status
            ledger.replace(entry, recovery.update(entry, found))
            if status not in client.KNOWN_STATUSES:
                tell(f"Kaggle reports the unknown status {status}; still waiting.")
        if found and status in client.FINAL:
            return _require_scored(found)
        if time.monotonic() + pause > deadline:
            raise OutsideError(
                f"no score after {longest:g} s: submission {entry.reference} is still {status}. "
                "Kaggle has the file; do not submit it again. Fetch the score later with "
                "`kaggle-digits leaderboard --refresh`."
            )
        time.sleep(pause)
        pause = min(pause * GROWTH, longest / MAX_PAUSE)


def _require_scored(submission: Submission) -> Submission:
    if submission.status == "ERROR":
        raise OutsideError(
            f"Kaggle could not score submission {submission.reference}: "
            f"{submission.error or 'it gives no reason'}. See {ADDRESS}/submissions."
        )
    return submission


def _look_up(entry: Entry, kaggle: Kaggle) -> Submission | None:
    """Return the submission from Kaggle's list; None if this attempt failed."""
    try:
        return next((o for o in kaggle.submissions() if o.reference == entry.reference), None)
    except KaggleError as error:
        if error.status in {*NOT_OURS, 404}:
            raise
    return None


def rank(score: float, kaggle: Kaggle) -> int | None:
    """Return the rank of ``score`` on the public leaderboard; None if it is unknown."""
    with contextlib.suppress(KaggleError):
        better = 0
        for other in kaggle.scores():
            if other <= score:
                break
            better += 1
        return better + 1
    return None
