"""Follow the session of a kernel: its status, its output and its log."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kaggle_digits.credentials import scrub
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.kaggle_client import client
from kaggle_digits.kaggle_client.client import Kaggle
from kaggle_digits.kaggle_client.faults import KaggleError
from kaggle_digits.kaggle_client.kernel_ledger import UNKNOWN, PushedKernel

Tell = Callable[[str], None]

FAILED = ("ERROR", "CANCEL_ACKNOWLEDGED")
FINAL = ("COMPLETE", *FAILED)
MISSING = {403, 404}  # statuses of a kernel that does not exist or belongs to another user
NOT_OURS = {401, 407}  # statuses about the account or the proxy: the next call fails too

GROWTH = 1.5
MAX_PAUSES = 2  # the longest pause is the timeout divided by this
QUEUE_FACTOR = 60  # `wait` allows this many timeouts in the queue
LOG_SHOWN = 20  # lines of the log that are shown
MAX_PAGES = 50


@dataclass(frozen=True)
class Session:
    """The state of a kernel's last session.

    Attributes:
        status: QUEUED, RUNNING, COMPLETE, ERROR, or another status of Kaggle.
        failure: Kaggle's reason for an ERROR; "" if it gives none.

    """

    status: str
    failure: str = ""


@dataclass(frozen=True)
class Listing:
    """The output of a kernel's last session.

    Attributes:
        names: names of the files as Kaggle gives them, unchecked.
        log: the last lines of the log.
        lines: total number of lines of the log.

    """

    names: tuple[str, ...]
    log: tuple[str, ...]
    lines: int


def get_session(kernel: str, kaggle: Kaggle) -> Session | None:
    """Return the state of the kernel's last session; None if Kaggle has no such kernel."""
    try:
        said = kaggle.call("kernel_status", kernel, doing=f"the status of {kernel}", kernel=kernel)
    except KaggleError as error:
        if error.status in MISSING:
            return None
        raise
    # Kaggle may omit the first value of its enumeration, which is the default.
    name = scrub(str(said.get("status") or "QUEUED")).upper().removeprefix("KERNEL_WORKER_STATUS_")
    return Session(name[:40], scrub(str(said.get("failureMessage") or "")))


def require_session(kernel: str, kaggle: Kaggle) -> Session:
    """Return the state of the kernel's last session.

    Raises:
        InputError: Kaggle has no such kernel.

    """
    if session := get_session(kernel, kaggle):
        return session
    raise InputError(
        f"Kaggle has no kernel {kernel}, or it is not yours. Expected USER/NAME of a pushed "
        "kernel; yours are listed at https://www.kaggle.com/code (Your Work)."
    )


def list_output(kernel: str, kaggle: Kaggle) -> Listing:
    """Return the present output of the kernel's last session."""
    names: list[str] = []
    log: list[str] = []
    lines, token = 0, ""
    for _ in range(MAX_PAGES):
        page = kaggle.call(
            "kernel_output", kernel, token, doing=f"the output of {kernel}", kernel=kernel
        )
        names += page["files"]
        if page["lines"] > lines:
            log, lines = page["log"], page["lines"]
        token = page["nextPageToken"]
        if not token:
            break
    return Listing(tuple(names), tuple(map(scrub, log)), lines)


def wait(
    kernel: str, seconds: float, kaggle: Kaggle, *, tell: Tell, show: Callable[[str], None]
) -> Session:
    """Wait until the session has ended, polling with growing pauses, and show its log.

    Args:
        kernel: ``user/name``.
        seconds: time limit of the session once it runs.
        kaggle: an open connection.
        tell: called with each status line.
        show: called with each new line of the log.

    Raises:
        OutsideError: it did not end in time.
        KaggleError: Kaggle rejects the requests.

    """
    longest = seconds + client.timeout() * QUEUE_FACTOR
    pause, deadline = client.first_pause(), time.monotonic() + longest
    session, shown = Session(""), 0
    while True:
        found = _look_up(kernel, kaggle)
        if found and found != session:
            session = found
            tell(f"{kernel}: {session.status}")
        if session.status != "QUEUED":
            shown = _show_log(kernel, kaggle, shown, show)
        if session.status in FINAL:
            return session
        if time.monotonic() + pause > deadline:
            raise OutsideError(
                f"{kernel} is still {session.status or 'unknown'} after {longest:,.0f} s. It has "
                "not been stopped. See https://www.kaggle.com/code/"
                f"{kernel}, or run the same command again."
            )
        time.sleep(pause)
        pause = min(pause * GROWTH, client.timeout() / MAX_PAUSES)


def update(entry: PushedKernel, session: Session) -> PushedKernel:
    """Return ``entry`` updated by the state of its session."""
    return entry if entry.status == UNKNOWN else replace(entry, status=session.status)


def _look_up(kernel: str, kaggle: Kaggle) -> Session | None:
    """Return the session; None if this attempt failed."""
    try:
        return require_session(kernel, kaggle)
    except KaggleError as error:
        if error.status in NOT_OURS:
            raise
    return None


def _show_log(kernel: str, kaggle: Kaggle, shown: int, show: Callable[[str], None]) -> int:
    """Show the new lines of the log; return its present number of lines.

    Kaggle may provide the log only once the session has ended.
    """
    with contextlib.suppress(KaggleError):
        output = list_output(kernel, kaggle)
        if (new := min(output.lines - shown, LOG_SHOWN)) > 0:
            for line in output.log[-new:]:
                show(line)
        return output.lines
    return shown
