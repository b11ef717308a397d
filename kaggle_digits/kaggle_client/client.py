"""Call Kaggle, with a deadline for each call and a readable message for each fault.

Kaggle's client runs in a separate process (`client_process`), which is ended at a deadline.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kaggle_digits import child_processes
from kaggle_digits.credentials import scrub
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client import client_process
from kaggle_digits.kaggle_client.client_process import COMPETITION
from kaggle_digits.kaggle_client.faults import PERHAPS_A_WEB_PAGE, KaggleError, UploadError, explain

VARIABLE = "KAGGLE_DIGITS_TIMEOUT"
DEFAULT_TIMEOUT = 60.0
START_DEADLINE = (
    120.0  # seconds; the import needs no network and is this slow only on a very busy machine
)
PUSH_FACTOR = 2  # two calls and an upload
DOWNLOAD_FACTOR = 30  # timeouts for a whole download; it ends after one timeout without a byte
MAX_PAGES = 50

FINAL = ("COMPLETE", "ERROR")
KNOWN_STATUSES = ("PENDING", *FINAL)


@dataclass(frozen=True)
class Submission:
    """An entry of Kaggle's list of submissions.

    Attributes:
        reference: Kaggle's reference number.
        file_name: name of the file; "" if Kaggle does not give it.
        description: the message that was submitted with the file.
        size: size of the file in bytes; None if Kaggle does not give it.
        status: PENDING, COMPLETE, ERROR, or a newer status of Kaggle.
        public_score: public leaderboard score (0-1); None while it is unknown.
        error: Kaggle's reason why it could not score the file; "" if it gives none.

    """

    reference: int
    file_name: str
    description: str
    size: int | None
    status: str
    public_score: float | None
    error: str


@dataclass(frozen=True)
class Limits:
    """Submissions made and left today. Both are 0 before the first submission."""

    today: int
    left: int


def timeout() -> float:
    """Return the deadline of a request in seconds: KAGGLE_DIGITS_TIMEOUT, or 60."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{VARIABLE} is {text!r}: expected a number of seconds above 0.")
    return seconds


def first_pause() -> float:
    """Return the first pause between two questions to Kaggle, in seconds; 1 by default."""
    return timeout() / 60


def look_again() -> Iterator[None]:
    """Yield before each search for something in Kaggle's lists, which may lag behind.

    Pauses before each search but the first, 15 s in all by default.
    """
    for pauses in (0, 1, 2, 4, 8):
        time.sleep(first_pause() * pauses)
        yield


class Kaggle:
    """A connection to Kaggle. Use it as a context manager, which ends the client's process."""

    def __init__(self) -> None:
        self._timeout = timeout()
        self._process: Any = None
        self._connection: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the client's process immediately."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def download(self, folder: Path) -> Path:
        """Download the competition's zip into the empty folder ``folder`` and return its path.

        Raises:
            KaggleError: the download failed; the folder may hold a part of it.

        """

        def size() -> int:
            with contextlib.suppress(OSError):  # a file may disappear meanwhile
                return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            return 0

        self.call("download", str(folder), doing="the download", progress=size)
        path = folder / f"{COMPETITION}.zip"
        if not path.is_file():
            raise KaggleError(f"Kaggle's download is not a zip file. {PERHAPS_A_WEB_PAGE}")
        return path

    def limits(self) -> Limits:
        """Return how many submissions were made today and how many are left."""
        return Limits(**self.call("limits", doing="the number of submissions left"))

    def submit(self, csv: Path, message: str) -> int:
        """Send ``csv`` once and return its reference number; 0 if Kaggle did not give one.

        Raises:
            KaggleError: it failed. Nothing was submitted only if ``is_refusal`` is true; otherwise
                the outcome is unknown.

        """
        answer = self.call("submit", str(csv), message, doing="the submission", factor=PUSH_FACTOR)
        if not answer["uploaded"]:
            raise UploadError(
                "the upload to Kaggle's storage failed, so nothing was submitted. "
                "Run the same command again."
            )
        return int(answer["ref"] or 0)

    def submissions(self) -> Iterator[Submission]:
        """Yield the user's submissions, the newest first."""
        for entry in self._pages("submissions", "the list of submissions"):
            yield _submission(entry)

    def scores(self) -> Iterator[float]:
        """Yield the scores of the public leaderboard, the best first."""
        for entry in self._pages("leaderboard", "the leaderboard"):
            score = _number(entry.get("score"))
            if score is not None:
                yield score

    def _pages(self, name: str, doing: str) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(MAX_PAGES):
            page = self.call(name, token, doing=doing)
            try:
                entries, token = page.get("submissions") or [], page.get("nextPageToken") or ""
                yield from map(dict, entries)
            except (AttributeError, TypeError, ValueError) as error:
                raise explain({"failure": "format"}, doing) from error
            if not token:
                return

    def call(
        self,
        name: str,
        *arguments: str,
        doing: str,
        factor: float = 1,
        progress: Callable[[], int] | None = None,
        kernel: str = "",
    ) -> Any:
        """Call a function in the client's process and return its result.

        Args:
            name: name of the function.
            arguments: its arguments.
            doing: the request in words, for messages.
            factor: number of timeouts that it may take.
            progress: returns the number of received bytes; the timeout restarts when it grows.
            kernel: the kernel concerned, ``user/name``; "" for the competition.

        Raises:
            KaggleError: the call failed, or did not return in time; then the process is ended.

        """
        self._start()
        answer = self._answer(self._timeout * factor, progress, send=(name, arguments))
        if answer is None:
            self.close()
            raise _too_late(doing, self._timeout * factor, progress)
        if "failure" in answer:
            raise explain(answer, doing, kernel)
        return answer["value"]

    def _start(self) -> None:
        if self._process is not None:
            return
        self._process, self._connection = child_processes.start(client_process.serve)
        answer = self._answer(START_DEADLINE, None)
        if answer != client_process.READY:
            self.close()
            reason = scrub(answer) if isinstance(answer, str) else "it does not respond"
            raise KaggleError(
                f"Kaggle's client does not start ({reason}). Expected the package kaggle, version "
                "2.2.4 or later, and permission to create ~/.kaggle. Install kaggle-digits again, "
                "or run `python -c 'import kaggle'` to see more."
            )

    def _answer(self, seconds: float, progress: Callable[[], int] | None, send: Any = None) -> Any:
        """Send ``send`` if it is given, and return the process's answer; None after the deadline.

        With ``progress`` the deadline restarts whenever it grows, up to a total.
        """
        last = time.monotonic() + seconds * (DOWNLOAD_FACTOR if progress else 1)
        deadline, reached = time.monotonic() + seconds, 0
        try:
            if send is not None:
                self._connection.send(send)
            while (now := time.monotonic()) < min(deadline, last):
                step = min(deadline, last) - now
                if self._connection.poll(min(step, seconds / 4) if progress else step):
                    return self._connection.recv()
                if progress and (size := progress()) > reached:
                    deadline, reached = time.monotonic() + seconds, size
        except (EOFError, OSError):
            self.close()
            return {"failure": "other", "text": "its process ended"}
        return None


# -------------------------------------------------------------------------------- Kaggle's answers


def _submission(entry: dict[str, Any]) -> Submission:
    return Submission(
        reference=_whole(entry.get("ref")) or 0,
        file_name=str(entry.get("fileName") or ""),
        description=str(entry.get("description") or ""),
        size=_whole(entry.get("totalBytes")),
        status=_status(entry.get("status")),
        public_score=_number(entry.get("publicScore")),
        error=scrub(str(entry.get("errorDescription") or "")),
    )


def _too_late(doing: str, seconds: float, progress: Callable[[], int] | None) -> KaggleError:
    what = f"Kaggle did not answer within {seconds:g} s: {doing}"
    if progress:
        what = f"the download received nothing for {seconds:g} s after {progress():,} bytes"
    return KaggleError(
        f"{what}. Run the same command again. On a slow connection set a longer deadline, such as "
        f"{VARIABLE}={math.ceil(seconds * 3)}."
    )


def _status(value: Any) -> str:
    # Kaggle may omit the first value of its enumeration, which is the default.
    name = scrub(str(value or "PENDING")).upper().removeprefix("SUBMISSION_STATUS_")
    return name[:40]


def _number(value: Any) -> float | None:
    """Return a score, which Kaggle sends as text; None if it is empty."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    """Return a number given as an int or as digits; None for anything else and for 0."""
    try:
        return int(value) or None
    except (TypeError, ValueError, OverflowError):
        return None
