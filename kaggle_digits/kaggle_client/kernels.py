"""Push a kernel to Kaggle once, and follow it.

A session uses the weekly GPU quota, so none is started twice unless the user asks for it.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kaggle_digits import files
from kaggle_digits.credentials import scrub
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.kaggle_client import client
from kaggle_digits.kaggle_client.client import Kaggle
from kaggle_digits.kaggle_client.faults import KaggleError
from kaggle_digits.kaggle_client.kernel_ledger import UNKNOWN, KernelLedger, PushedKernel
from kaggle_digits.kaggle_client.kernel_script import Prepared

Tell = Callable[[str], None]

RUNNING = ("QUEUED", "RUNNING", "NEW_SCRIPT", "CANCEL_REQUESTED")
FAILED = ("ERROR", "CANCEL_ACKNOWLEDGED")
FINAL = ("COMPLETE", *FAILED)
MISSING = {403, 404}  # statuses of a kernel that does not exist or belongs to another user
NOT_OURS = {401, 407}  # statuses about the account or the proxy: the next call fails too

PUSH_FACTOR = 3  # timeouts for the upload of a script of several hundred kilobytes
LOOKS = (0, 1, 2, 4, 8)  # pauses before each search for a lost push, in units of the first pause
PAUSES = 60  # the first pause is the timeout divided by this
GROWTH = 1.5
MAX_PAUSES = 2  # the longest pause is the timeout divided by this
QUEUE_FACTOR = 60  # `wait` allows this many timeouts in the queue
LOG_SHOWN = 20  # lines of the log that are shown
MAX_PAGES = 50


class AlreadyPushedError(InputError):
    """The kernel was already pushed, or a session under its name is running."""


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


# ---------------------------------------------------------------------------------------- Kaggle


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
    session = get_session(kernel, kaggle)
    if session is None:
        raise InputError(
            f"Kaggle has no kernel {kernel}, or it is not yours. Expected USER/NAME of a pushed "
            "kernel; yours are listed at https://www.kaggle.com/code (Your Work)."
        )
    return session


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


# ------------------------------------------------------------------------------------------ push


def push(
    prepared: Prepared, ledger: KernelLedger, kaggle: Kaggle, *, force: bool, tell: Tell
) -> PushedKernel:
    """Push ``prepared`` once and return its entry in the ledger.

    Args:
        prepared: the folder to push.
        ledger: the ledger that records it.
        kaggle: an open connection.
        force: push it even if the same was already pushed, or may have been.
        tell: called with each status line for the user.

    Raises:
        AlreadyPushedError: it was already pushed, or the kernel is running. Nothing was sent.
        KaggleError: nothing was pushed, or, if the message says so, the outcome is unknown.

    """
    with _lock(ledger):
        settle_all(ledger, kaggle, tell)
        session = get_session(prepared.kernel, kaggle)
        _require_idle(prepared.kernel, session)
        if not force:
            _require_new(prepared, ledger, session)
        entry = PushedKernel(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            kernel=prepared.kernel,
            push=prepared.push,
            sha256=prepared.sha256,
            label=prepared.job.label,
            accelerator=prepared.accelerator,
            session_seconds=prepared.job.session_seconds,
        )
        # Recorded before it is sent: if this process dies, the next one searches for the unique
        # text in its script.
        ledger.append(entry)
        new = _send(prepared, entry, ledger, kaggle, tell)
        ledger.replace(entry, new)
        return new


def _lock(ledger: KernelLedger) -> contextlib.AbstractContextManager[None]:
    return files.lock(
        ledger.path.with_name(".push.lock"),
        seconds=0,
        busy="another `kaggle-digits` process is pushing a kernel here. Wait for it, then run the "
        "same command again.",
    )


def _require_idle(kernel: str, session: Session | None) -> None:
    if session is not None and session.status not in FINAL:
        raise AlreadyPushedError(
            f"{kernel} is {session.status} on Kaggle. A second session would use twice the GPU "
            f"hours. Nothing was sent. Wait for it with `kaggle-digits kernel status "
            f"{kernel} --wait`, cancel it at https://www.kaggle.com/code/{kernel}, or push under "
            "another --name."
        )


def _require_new(prepared: Prepared, ledger: KernelLedger, session: Session | None) -> None:
    for entry in ledger.entries():
        if entry.sha256 != prepared.sha256:
            continue
        if entry.status == UNKNOWN:
            raise AlreadyPushedError(
                f"it is unknown whether {entry.kernel} was pushed at {entry.time}: Kaggle did not "
                f"answer. See https://www.kaggle.com/code/{entry.kernel}. Nothing was sent; if it "
                "is not there, --force pushes it."
            )
        current = session.status if session and entry.kernel == prepared.kernel else entry.status
        if current in FAILED:
            continue
        raise AlreadyPushedError(
            f"the same training was already pushed: {entry.kernel}, version {entry.version}, at "
            f"{entry.time} ({current}). Nothing was sent. `kaggle-digits kernel fetch "
            f"{entry.kernel}` downloads its runs; --force trains them again, which uses GPU "
            "hours."
        )


def _send(
    prepared: Prepared, entry: PushedKernel, ledger: KernelLedger, kaggle: Kaggle, tell: Tell
) -> PushedKernel:
    try:
        answer = kaggle.call(
            "push_kernel",
            str(prepared.folder),
            str(prepared.job.session_seconds),
            doing=f"the push of {entry.kernel}",
            factor=PUSH_FACTOR,
            kernel=entry.kernel,
        )
    except KaggleError as error:
        if error.is_refusal:
            ledger.replace(entry, None)
            raise
        return _settle(entry, kaggle, str(error))
    if answer["error"]:
        ledger.replace(entry, None)
        raise KaggleError(
            f"Kaggle rejected {entry.kernel}: {scrub(answer['error'])} Nothing is running. Correct "
            "the cause, then run the same command again."
        )
    if answer["invalid"]:
        tell(
            "Kaggle does not give the kernel the competition's data. Accept the rules at "
            "https://www.kaggle.com/competitions/digit-recognizer/rules and push with --force."
        )
    if answer["version"] is None:
        return _settle(entry, kaggle, "Kaggle's answer has no version number.")
    return replace(entry, version=answer["version"], url=scrub_url(answer["url"]), status="QUEUED")


def scrub_url(url: str) -> str:
    """Return an address on kaggle.com without its query and fragment; "" for any other address."""
    path = url.partition("?")[0].removeprefix("https://www.kaggle.com")
    return f"https://www.kaggle.com{scrub(path)}" if path.startswith("/") else ""


def _settle(entry: PushedKernel, kaggle: Kaggle, cause: str) -> PushedKernel:
    """Look up a push whose answer was just lost, and return its updated entry.

    Raises:
        KaggleError: it did not arrive, or this is unknown.

    """
    again = "Run the same command again: it searches again before it sends anything."
    try:
        found = _search(entry, kaggle)
    except KaggleError as error:
        raise KaggleError(
            f"it is unknown whether {entry.kernel} was pushed. First: {cause} Then, searching for "
            f"it: {error} It was not sent again. {again}",
            error.status,
        ) from error
    if found is None:
        raise KaggleError(
            f"{entry.kernel} was probably not pushed: {cause} Kaggle does not have this version. "
            f"{again}"
        )
    return found


def settle_all(ledger: KernelLedger, kaggle: Kaggle, tell: Tell) -> None:
    """Resolve every push without an answer; remove the entries of those that never arrived."""
    for entry in ledger.entries():
        if entry.status != UNKNOWN:
            continue
        found = _search(entry, kaggle)
        ledger.replace(entry, found)
        what = f"The push of {entry.kernel} at {entry.time}"
        tell(f"{what} arrived: version {found.version}." if found else f"{what} never arrived.")


def _search(entry: PushedKernel, kaggle: Kaggle) -> PushedKernel | None:
    """Search the kernel's source for the push several times, because Kaggle may lag behind."""
    for pauses in LOOKS:
        time.sleep(client.timeout() / PAUSES * pauses)
        try:
            said = kaggle.call(
                "kernel_source",
                entry.kernel,
                doing=f"the source of {entry.kernel}",
                kernel=entry.kernel,
            )
        except KaggleError as error:
            if error.status not in MISSING:
                raise
            continue
        if entry.push in said["source"]:
            return replace(entry, version=said["version"], status="QUEUED")
    return None


# ---------------------------------------------------------------------------------------- status


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
    pause, deadline = client.timeout() / PAUSES, time.monotonic() + longest
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
