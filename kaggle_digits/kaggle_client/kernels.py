"""Push a kernel to Kaggle once.

A session uses the weekly GPU quota, so none is started twice unless the user asks for it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.credentials import scrub
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client import client
from kaggle_digits.kaggle_client.client import Kaggle
from kaggle_digits.kaggle_client.faults import KaggleError
from kaggle_digits.kaggle_client.kernel_ledger import UNKNOWN, KernelLedger, PushedKernel
from kaggle_digits.kaggle_client.kernel_script import Prepared
from kaggle_digits.kaggle_client.sessions import (
    FAILED,
    FINAL,
    MISSING,
    Session,
    Tell,
    get_session,
)

PUSH_FACTOR = 3  # timeouts for the upload of a script of several hundred kilobytes


class AlreadyPushedError(InputError):
    """The kernel was already pushed, or a session under its name is running."""


def push(
    prepare: Callable[[], Prepared],
    ledger: KernelLedger,
    kaggle: Kaggle,
    *,
    force: bool,
    tell: Tell,
) -> PushedKernel:
    """Push a kernel once and return its entry in the ledger.

    Args:
        prepare: writes the folder to push; called under the lock, because another push or dry run
            may write the same folder.
        ledger: the ledger that records it.
        kaggle: an open connection.
        force: push it even if the same was already pushed, or may have been.
        tell: called with each status line for the user.

    Raises:
        AlreadyPushedError: it was already pushed, or the kernel is running. Nothing was sent.
        KaggleError: nothing was pushed, or, if the message says so, the outcome is unknown.

    """
    with lock(ledger.path.parent):
        prepared = prepare()
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


def lock(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of ``folder``, the folder of kernels: one process at a time prepares a push."""
    return files.lock(
        folder / ".push.lock",
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
    """Search the kernel's source for the push several times."""
    for _ in client.look_again():
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
