"""What this program asks of Kaggle, each call with a deadline and each fault in plain words.

The client itself lives in `kaggle_worker`, in a process that is ended when a deadline has passed.
"""

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kaggle_digits import credentials, kaggle_worker
from kaggle_digits.credentials import scrubbed
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.kaggle_worker import COMPETITION

VARIABLE = "KAGGLE_DIGITS_TIMEOUT"
DEFAULT_TIMEOUT = 60.0
START_DEADLINE = 120.0  # the import reaches no network; only a very busy machine needs so long
PUSH_FACTOR = 2  # two calls and an upload
DOWNLOAD_FACTOR = 30  # in all; without a further byte it ends after one timeout
MOST_PAGES = 50

ADDRESS = f"https://www.kaggle.com/competitions/{COMPETITION}"
RULES = f"{ADDRESS}/rules"
FINAL = ("COMPLETE", "ERROR")
KNOWN_STATUSES = ("PENDING", *FINAL)


class KaggleError(OutsideError):
    """Kaggle, or the way there, failed.

    Attributes:
        status: HTTP's; None where no answer came, or none that can be read.

    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether Kaggle has certainly not done what it was asked for."""
        return self.status is not None and 400 <= self.status < 500  # noqa: PLR2004 — HTTP's


@dataclass(frozen=True)
class Submission:
    """One line of Kaggle's list of submissions.

    Attributes:
        reference: Kaggle's number.
        date: in UTC; None where Kaggle does not say.
        status: PENDING, COMPLETE, ERROR, or whatever Kaggle has invented since.
        public_score: None while there is none.
        error: Kaggle's own words on a file that it could not score.

    """

    reference: int
    file_name: str
    description: str
    date: datetime | None
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

        self._call("download", str(folder), doing="the download", progress=size)
        path = folder / f"{COMPETITION}.zip"
        if not path.is_file():
            raise KaggleError(f"Kaggle sent no zip file: {_PERHAPS_A_PROXY}")
        return path

    def limits(self) -> Limits:
        """Return how many submissions were made today and how many more Kaggle takes."""
        return Limits(**self._call("limits", doing="the number of submissions left"))

    def submit(self, csv: Path, message: str) -> int:
        """Send ``csv`` once and return its reference; 0 if Kaggle did not name any.

        Raises:
            KaggleError: it failed. Only if ``refused`` is it certain that nothing was submitted.

        """
        answer = self._call("submit", str(csv), message, doing="the submission", factor=PUSH_FACTOR)
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
        for _ in range(MOST_PAGES):
            page = self._call(name, token, doing=doing)
            try:
                entries, token = page.get("submissions") or [], page.get("nextPageToken") or ""
                yield from map(dict, entries)
            except (AttributeError, TypeError, ValueError) as error:
                raise _explained({"failure": "format"}, doing) from error
            if not token:
                return

    def _call(
        self,
        name: str,
        *arguments: str,
        doing: str,
        factor: float = 1,
        progress: Callable[[], int] | None = None,
    ) -> Any:
        """Let the client's process do ``name`` and return what came of it; end it if it is late."""
        self._start()
        answer = self._answer(self._timeout * factor, progress, send=(name, arguments))
        if answer is None:
            self.close()
            raise _too_late(doing, self._timeout * factor, progress)
        if "failure" in answer:
            raise _explained(answer, doing)
        return answer["value"]

    def _start(self) -> None:
        if self._process is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=kaggle_worker.serve, args=(theirs,), daemon=True)
        # Inherited: Ctrl-C is for this process, which then ends the other without a traceback.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, interrupt)
        theirs.close()
        if self._answer(START_DEADLINE, None) != kaggle_worker.READY:
            self.close()
            raise KaggleError(
                "Kaggle's client does not start. Expected the package kaggle, version 2.2.4 or "
                "later; install this program again, or look what `python -c 'import kaggle'` says."
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


class UploadError(KaggleError):
    """The file never reached Kaggle, so that there is certainly no submission."""

    @property
    def refused(self) -> bool:
        """True: Kaggle was not even asked."""
        return True


# ---------------------------------------------------------------------------------- Kaggle's words


def _submission(entry: dict[str, Any]) -> Submission:
    return Submission(
        reference=int(entry.get("ref") or 0),
        file_name=str(entry.get("fileName") or ""),
        description=str(entry.get("description") or ""),
        date=_date(entry.get("date")),
        status=_status(entry.get("status")),
        public_score=_number(entry.get("publicScore")),
        error=scrubbed(str(entry.get("errorDescription") or "")),
    )


def _status(value: Any) -> str:
    # The first name of Kaggle's enumeration may be left out: it is the default.
    name = scrubbed(str(value or "PENDING")).upper().removeprefix("SUBMISSION_STATUS_")
    return name[:40]


def _number(value: Any) -> float | None:
    """Return a score, which Kaggle sends as text, "" while there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _date(value: Any) -> datetime | None:
    try:
        date = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


# ------------------------------------------------------------------------------------------ faults

_PERHAPS_A_PROXY = (
    "what came is perhaps a web page. Something between here and Kaggle may ask you to sign in "
    "(a hotel's or a company's network), or Kaggle is under maintenance: open "
    f"{ADDRESS} in a browser, then run the same command again."
)


def _too_late(doing: str, seconds: float, progress: Callable[[], int] | None) -> KaggleError:
    what = f"Kaggle did not answer within {seconds:g} s: {doing}"
    if progress:
        what = f"the download stood still for {seconds:g} s after {progress():,} bytes"
    return KaggleError(
        f"{what}. Run the same command again; on a slow line give it more time, such as "
        f"{VARIABLE}={math.ceil(seconds * 3)}."
    )


def _explained(failure: dict[str, Any], doing: str) -> KaggleError:
    kind, status = failure["failure"], failure.get("status")
    said = scrubbed(failure.get("text", ""))
    if kind == "http":
        return KaggleError(_http(status, f"{status}: {said}", doing), status)
    if kind == "credentials":
        return KaggleError(f"Kaggle's client found no credentials. {credentials.HOW_TO_GET}.", 401)
    if kind == "network":
        return KaggleError(
            f"the connection to Kaggle failed ({said}): {doing}. Check the network and the proxy "
            "(HTTPS_PROXY), then run the same command again."
        )
    if kind == "format":
        return KaggleError(
            f"Kaggle's answer cannot be read: {doing}. {_PERHAPS_A_PROXY.capitalize()}"
        )
    return KaggleError(f"Kaggle's client failed ({said}): {doing}. Run the same command again.")


def _http(status: int | None, said: str, doing: str) -> str:
    """Return what an HTTP status means here, and what to do about it."""
    if status == 400:  # noqa: PLR2004 — the statuses speak for themselves
        return (
            f"Kaggle did not take it ({said}): {doing}. A bare 400 has meant that today's "
            f"submissions are used up: see {ADDRESS}/submissions."
        )
    if status == 401:  # noqa: PLR2004
        return f"Kaggle does not accept your credentials ({said}). {_which_credentials()}"
    if status == 403:  # noqa: PLR2004
        return (
            f"Kaggle refuses it ({said}): {doing}. Sign in, accept the competition's rules at "
            f"{RULES} and run the same command again. Other causes: the account's phone number "
            f"is not verified, or there is no competition {COMPETITION!r} any more."
        )
    if status == 404:  # noqa: PLR2004
        return (
            f"Kaggle does not find it ({said}): {doing}. Look whether {ADDRESS} is still there; "
            "if it is, a newer version of the package kaggle may be needed."
        )
    if status == 429:  # noqa: PLR2004
        return (
            f"Kaggle asks for fewer requests ({said}): {doing}. Wait some minutes, then run the "
            "same command again."
        )
    return (
        f"Kaggle failed ({said}): {doing}. The fault is not on this side: run the same command "
        "again later."
    )


def _which_credentials() -> str:
    found = credentials.find()
    if found is None:
        return f"{credentials.HOW_TO_GET}."
    text = f"They came from {found.source}"
    if found.source == credentials.TOKEN:
        text += ", which wins over kaggle.json: if it is an old one, `unset KAGGLE_API_TOKEN`. Else"
    else:
        text += ", and may have expired."
    how = credentials.HOW_TO_GET
    return f"{text} {how[0].lower() if text.endswith('Else') else how[0]}{how[1:]}."
