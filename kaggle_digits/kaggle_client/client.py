"""What this program asks of Kaggle, each call with a deadline and each fault in plain words.

The client itself lives in `client_process`, in a process that is ended when a deadline has passed.
"""

import contextlib
import math
import multiprocessing
import os
import signal
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
START_DEADLINE = 120.0  # the import reaches no network; only a very busy machine needs so long
PUSH_FACTOR = 2  # two calls and an upload
DOWNLOAD_FACTOR = 30  # in all; without a further byte it ends after one timeout
MAX_PAGES = 50

FINAL = ("COMPLETE", "ERROR")
KNOWN_STATUSES = ("PENDING", *FINAL)


@dataclass(frozen=True)
class Submission:
    """One line of Kaggle's list of submissions.

    Attributes:
        reference: Kaggle's number.
        file_name: "" if Kaggle does not tell.
        description: the message that was submitted with the file.
        size: of the file, in bytes; None if Kaggle does not tell.
        status: PENDING, COMPLETE, ERROR, or one that is newer than this program.
        public_score: None while there is none.
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
    """Submissions made today, and how many more Kaggle takes. Both 0 without a team."""

    today: int
    left: int


def timeout() -> float:
    """Return how many seconds Kaggle has for one answer: KAGGLE_DIGITS_TIMEOUT, or 60."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{VARIABLE} is {text!r}: expected a number of seconds above 0.")
    return seconds


class Kaggle:
    """The calls. Use it as a context: leaving it ends the client's process."""

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
        """End the client's process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def download(self, folder: Path) -> Path:
        """Download the competition's zip into ``folder``, an empty one, and return its path.

        Raises:
            KaggleError: it cannot be had; the folder may hold a part of it.

        """

        def size() -> int:
            with contextlib.suppress(OSError):  # a file may go while it is looked at
                return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            return 0

        self.call("download", str(folder), doing="the download", progress=size)
        path = folder / f"{COMPETITION}.zip"
        if not path.is_file():
            raise KaggleError(f"what Kaggle sent is not a zip file. {PERHAPS_A_WEB_PAGE}")
        return path

    def limits(self) -> Limits:
        """Return how many submissions were made today and how many more Kaggle takes."""
        return Limits(**self.call("limits", doing="the number of submissions left"))

    def submit(self, csv: Path, message: str) -> int:
        """Send ``csv`` once and return its reference; 0 if Kaggle did not name any.

        Raises:
            KaggleError: it failed. Only if ``is_refusal`` is it certain that nothing was submitted.

        """
        answer = self.call("submit", str(csv), message, doing="the submission", factor=PUSH_FACTOR)
        if not answer["uploaded"]:
            raise UploadError(
                "the upload to Kaggle's storage failed, so nothing was submitted. "
                "Run the same command again."
            )
        return int(answer["ref"] or 0)

    def submissions(self) -> Iterator[Submission]:
        """Yield your submissions, the newest first."""
        for entry in self._pages("submissions", "the list of submissions"):
            yield _submission(entry)

    def scores(self) -> Iterator[float]:
        """Yield the public leaderboard's scores, the best first."""
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
        """Let the client's process do ``name`` and return what came of it; end it if it is late.

        Args:
            name: of one of the process's calls.
            arguments: of that call.
            doing: what is asked of Kaggle, for messages.
            factor: how many timeouts it may take.
            progress: tells how many bytes have come; the time starts anew whenever it grows.
            kernel: that it is about, ``user/name``; "" if it is about the competition.

        Raises:
            KaggleError: it failed, or was late.

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
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=client_process.serve, args=(theirs,), daemon=True)
        with child_processes.ignoring(signal.SIGINT):
            self._process.start()
        theirs.close()
        answer = self._answer(START_DEADLINE, None)
        if answer != client_process.READY:
            self.close()
            reason = scrub(answer) if isinstance(answer, str) else "it does not answer"
            raise KaggleError(
                f"Kaggle's client does not start ({reason}). Expected the package kaggle, version "
                "2.2.4 or later, and a folder ~/.kaggle that it may create. Install this program "
                "again, or run `python -c 'import kaggle'` to see more."
            )

    def _answer(self, seconds: float, progress: Callable[[], int] | None, send: Any = None) -> Any:
        """Return what the process says, to ``send`` if it is given; None when it is late.

        With ``progress`` the time starts anew whenever it grows, up to a total.
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


# ---------------------------------------------------------------------------------- Kaggle's words


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
        f"{what}. Run the same command again; on a slow line allow more time, such as "
        f"{VARIABLE}={math.ceil(seconds * 3)}."
    )


def _status(value: Any) -> str:
    # The first name of Kaggle's enumeration may be left out: it is the default.
    name = scrub(str(value or "PENDING")).upper().removeprefix("SUBMISSION_STATUS_")
    return name[:40]


def _number(value: Any) -> float | None:
    """Return a score, which Kaggle sends as text, "" while there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    """Return a number, or a text of digits; None where there is neither, or 0."""
    try:
        return int(value) or None
    except (TypeError, ValueError, OverflowError):
        return None
