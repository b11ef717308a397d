"""What the commands of ``kaggle-digits kernel`` share."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.client import Kaggle
    from kaggle_digits.kaggle_client.kernel_ledger import KernelLedger, PushedKernel

KERNELS = Path("kernels")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}/[a-z0-9]+(-[a-z0-9]+)*")
USER = re.compile(r"[A-Za-z0-9_-]{1,100}")

Kernel = Annotated[
    str | None,
    typer.Argument(metavar="[USER/NAME]", help="The kernel.  [default: the last one pushed]"),
]


def require_credentials() -> None:
    """Raise InputError unless Kaggle's client would find credentials."""
    from kaggle_digits import credentials

    if credentials.find() is None:
        raise InputError(f"{credentials.explain_missing()}.")


def ask_user(kaggle: "Kaggle") -> str:
    """Return the user name that Kaggle's client knows."""
    user = str(kaggle.call("user", doing="your user name"))
    if not USER.fullmatch(user):
        raise InputError(
            "Kaggle's client does not know your user name. Set KAGGLE_USERNAME to the name in the "
            "address of your profile."
        )
    return user


def open_ledger() -> "KernelLedger":
    """Return the ledger of pushed kernels; report its damaged lines."""
    from kaggle_digits.kaggle_client.kernel_ledger import NAME as LEDGER
    from kaggle_digits.kaggle_client.kernel_ledger import KernelLedger

    ledger = KernelLedger(KERNELS / LEDGER)
    printing.report_damaged_lines(ledger)
    return ledger


def find(
    kernel: str | None, ledger: "KernelLedger", kaggle: "Kaggle"
) -> tuple[str, "PushedKernel | None"]:
    """Return ``kernel`` or the last pushed kernel, and its last entry in the ledger."""
    entries = ledger.entries()
    if kernel is None:
        if not entries:
            raise InputError(
                f"no kernel was pushed: {ledger.path} has no entries. Expected USER/NAME, or push "
                f"one with: {options.program()} kernel push"
            )
        return entries[-1].kernel, entries[-1]
    if NAME.fullmatch(kernel):
        kernel = f"{ask_user(kaggle)}/{kernel}"
    if not REFERENCE.fullmatch(kernel):
        raise InputError(
            f"{kernel!r} is not a kernel's name. Expected USER/NAME as in its address, such as "
            "someone/kaggle-digits-bn20-5-fold."
        )
    return kernel, next((entry for entry in reversed(entries) if entry.kernel == kernel), None)
