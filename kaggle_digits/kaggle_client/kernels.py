"""Push a kernel to Kaggle once, and follow it.

A session uses the week's GPU hours, so none is started twice unless the user asks for that.
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
MISSING = {403, 404}  # statuses of a kernel that does not exist, or is somebody else's
NOT_OURS = {401, 407}  # statuses about the account or the way to Kaggle: the next call fails

PUSH_FACTOR = 3  # a script of some hundred kilobytes
LOOKS = (0, 1, 2, 4, 8)  # pauses before each look for a lost push, in units of the first pause
PAUSES = 60  # the first pause is the timeout divided by this
GROWTH = 1.5
MAX_PAUSES = 2  # the longest pause is the timeout divided by this
QUEUE_FACTOR = 60  # of the timeout: how long `wait` allows for the queue
LOG_SHOWN = 20  # lines
MAX_PAGES = 50


class AlreadyPushedError(InputError):
    """Kaggle has this kernel already, or is running another one under its name."""


@dataclass(frozen=True)
class Session:
    """What Kaggle says of a kernel's last session.

    Attributes:
        status: QUEUED, RUNNING, COMPLETE, ERROR, …; it may be one that is newer than this program.
        failure: Kaggle's reason for an ERROR; "" if it gives none.

    """

    status: str
    failure: str = ""


@dataclass(frozen=True)
class Listing:
    """The output of a kernel's last session.

    Attributes:
        names: of its files, as Kaggle gives them: unchecked.
        log: the last lines.
        lines: how many lines the log has in all.

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
    # The first name of Kaggle's enumeration may be left out: it is the default.
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
            f"Kaggle has no kernel {kernel}, or it is not yours. Expected USER/NAME of one that "
            "was pushed; yours are listed at https://www.kaggle.com/code (Your Work)."
        )
    return session


def list_output(kernel: str, kaggle: Kaggle) -> Listing:
    """Return what the kernel's last session has left so far."""
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
    """Push ``prepared`` once and return its line in the ledger.

    Args:
        prepared: the folder to push.
        ledger: where it is recorded.
        kaggle: an open connection.
        force: push it even if the same was pushed before, or if that cannot be known.
        tell: takes a line for the user.

    Raises:
        AlreadyPushedError: the same was pushed before, or the kernel is running. Nothing was sent.
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
        # Recorded before it is sent: whatever happens to this process, the next one looks for the
        # text in it that no other push has.
        ledger.append(entry)
        new = _send(prepared, entry, ledger, kaggle, tell)
        ledger.replace(entry, new)
        return new


def _lock(ledger: KernelLedger) -> contextlib.AbstractContextManager[None]:
    return files.lock(
        ledger.path.with_name(".push.lock"),
        seconds=0,
        busy="another `kaggle-digits` is pushing a kernel from here. Wait for it, then run the "
        "same command again.",
    )


def _require_idle(kernel: str, session: Session | None) -> None:
    if session is not None and session.status not in FINAL:
        raise AlreadyPushedError(
            f"{kernel} is {session.status} on Kaggle: a second session would run beside it and use "
            f"GPU hours twice. Nothing was sent. Wait for it with `kaggle-digits kernel status "
            f"{kernel} --wait`, cancel it at https://www.kaggle.com/code/{kernel}, or push under "
            "another --name."
        )


def _require_new(prepared: Prepared, ledger: KernelLedger, session: Session | None) -> None:
    for entry in ledger.entries():
        if entry.sha256 != prepared.sha256:
            continue
        if entry.status == UNKNOWN:
            raise AlreadyPushedError(
                f"it is unknown whether {entry.kernel} was pushed at {entry.time}: no answer came. "
                f"See https://www.kaggle.com/code/{entry.kernel}. Nothing was sent; if it is not "
                "there, --force pushes it."
            )
        current = session.status if session and entry.kernel == prepared.kernel else entry.status
        if current in FAILED:
            continue
        raise AlreadyPushedError(
            f"the same was already pushed: {entry.kernel}, version {entry.version}, at "
            f"{entry.time} ({current}). Nothing was sent. `kaggle-digits kernel fetch "
            f"{entry.kernel}` brings its runs home; --force trains them again, which uses GPU "
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
            f"Kaggle did not take {entry.kernel}: {scrub(answer['error'])} Nothing runs. Correct "
            "what it names, then run the same command again."
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
    """Return an address on kaggle.com without what may follow its path; "" for any other."""
    path = url.partition("?")[0].removeprefix("https://www.kaggle.com")
    return f"https://www.kaggle.com{scrub(path)}" if path.startswith("/") else ""


def _settle(entry: PushedKernel, kaggle: Kaggle, cause: str) -> PushedKernel:
    """Return what Kaggle says of the push whose answer was just lost.

    Raises:
        KaggleError: it did not arrive, or that is unknown.

    """
    again = "Run the same command again: it looks once more before it sends anything."
    try:
        found = _search(entry, kaggle)
    except KaggleError as error:
        raise KaggleError(
            f"it is unknown whether {entry.kernel} was pushed. First: {cause} Then, looking for "
            f"it: {error} It was not sent again. {again}",
            error.status,
        ) from error
    if found is None:
        raise KaggleError(
            f"{entry.kernel} was probably not pushed: {cause} Kaggle does not hold this version. "
            f"{again}"
        )
    return found


def settle_all(ledger: KernelLedger, kaggle: Kaggle, tell: Tell) -> None:
    """Find out what became of each push without an answer; the line of one that failed goes."""
    for entry in ledger.entries():
        if entry.status != UNKNOWN:
            continue
        found = _search(entry, kaggle)
        ledger.replace(entry, found)
        what = f"The push of {entry.kernel} at {entry.time}"
        tell(f"{what} had arrived: version {found.version}." if found else f"{what} never arrived.")


def _search(entry: PushedKernel, kaggle: Kaggle) -> PushedKernel | None:
    """Look for the push in the kernel's source, several times, because Kaggle may be late."""
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
    """Ask with growing pauses until the session has ended; show what its log adds meanwhile.

    Args:
        kernel: ``user/name``.
        seconds: that the session may take, once it runs.
        kaggle: an open connection.
        tell: takes a line about the session.
        show: takes a line of its log.

    Raises:
        OutsideError: it did not end in time.
        KaggleError: Kaggle does not let us ask.

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
                f"{kernel} is still {session.status or 'unknown'} after {longest:,.0f} s. It was "
                "not stopped. See https://www.kaggle.com/code/"
                f"{kernel}, or run the same command again."
            )
        time.sleep(pause)
        pause = min(pause * GROWTH, client.timeout() / MAX_PAUSES)


def update(entry: PushedKernel, session: Session) -> PushedKernel:
    """Return ``entry`` with what Kaggle says of its session."""
    return entry if entry.status == UNKNOWN else replace(entry, status=session.status)


def _look_up(kernel: str, kaggle: Kaggle) -> Session | None:
    """Return the session; None if this look failed and the next may not."""
    try:
        return require_session(kernel, kaggle)
    except KaggleError as error:
        if error.status in NOT_OURS:
            raise
    return None


def _show_log(kernel: str, kaggle: Kaggle, shown: int, show: Callable[[str], None]) -> int:
    """Show the lines that the log did not have before; return how many it has now.

    Kaggle may tell the log only once the session has ended.
    """
    with contextlib.suppress(KaggleError):
        output = list_output(kernel, kaggle)
        if (new := min(output.lines - shown, LOG_SHOWN)) > 0:
            for line in output.log[-new:]:
                show(line)
        return output.lines
    return shown
