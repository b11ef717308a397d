"""``kaggle-digits kernel status``: the status and the log of a pushed kernel."""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from kaggle_digits.cli import kernel_common, options, printing
from kaggle_digits.errors import OutsideError


def command(
    kernel: kernel_common.Kernel = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the session ends; show its log.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show the status of a pushed kernel and the last lines of its log.

    Ends with exit code 1 if the kernel failed.
    """
    from kaggle_digits.kaggle_client import kernel_job, sessions
    from kaggle_digits.kaggle_client.client import Kaggle

    kernel_common.require_credentials()
    ledger = kernel_common.open_ledger()
    with Kaggle() as kaggle:
        reference, entry = kernel_common.find(kernel, ledger, kaggle)
        log: list[str] = []
        if wait:
            seconds = entry.session_seconds if entry else kernel_job.MAX_SESSION
            session = sessions.wait(
                reference,
                seconds,
                kaggle,
                tell=partial(printing.say, to_stderr=True),
                show=_show_log(json, log),
            )
        else:
            session = sessions.require_session(reference, kaggle)
            log += sessions.list_output(reference, kaggle).log[-sessions.LOG_SHOWN :]
        if entry:
            ledger.change(entry, partial(sessions.update, session=session))
    if json:
        described = asdict(session) | {"kernel": reference, "log": log}
        printing.print_json(described | {"pushed": entry and entry.to_json()})
    else:
        if not wait:
            printing.say("\n".join(log))
        pushed = f", {entry.label}, pushed {entry.time[:16].replace('T', ' ')}" if entry else ""
        printing.say(f"{reference}: {session.status}{pushed}")
    if session.status in sessions.FAILED:
        raise OutsideError(
            f"{reference} ended with {session.status}: "
            f"{session.failure or 'Kaggle gives no reason'}. Its log is at "
            f"https://www.kaggle.com/code/{reference}. Download its finished folds with "
            f"`kaggle-digits kernel fetch {reference}`."
        )
    if session.status == "COMPLETE" and not json:
        printing.say(f"Download its runs with:\n  {options.program()} kernel fetch {reference}")


def _show_log(json: bool, log: list[str]) -> Any:
    return log.append if json else printing.say
