"""``kaggle-digits leaderboard``: what was pushed, and how it did."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from kaggle_digits.cli import options
from kaggle_digits.errors import InputError


def command(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Kaggle for the scores that were pending.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what was pushed, the best first.

    The leaderboard's score against cross-validation's, and the gap between them.
    """
    ledger = options.opened_ledger()
    if refresh:
        _refresh(ledger)
    entries = sorted(ledger.entries(), key=_place)
    if json:
        options.print_json([asdict(entry) | {"gap": entry.gap} for entry in entries])
    elif not entries:
        print(f"Nothing was pushed yet: {ledger.path} has no entries.")
    else:
        _print_table(entries)


def _refresh(ledger: Any) -> None:
    from kaggle_digits import credentials, pushing
    from kaggle_digits.kaggle_api import Kaggle

    if credentials.find() is None:
        raise InputError(f"there are no credentials for Kaggle. {credentials.HOW_TO_GET}.")
    with Kaggle() as kaggle:
        changed = pushing.refresh(ledger, kaggle)
    typer.echo(f"{changed} of {len(ledger.entries())} entries changed", err=True)


def _place(entry: Any) -> tuple[bool, float, str]:
    return entry.public_score is None, -(entry.public_score or 0.0), entry.time


def _print_table(entries: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "public", "held out", "gap", "status", "file", "message", "reference", "sent",
        box=None, pad_edge=False,
    )  # fmt: skip
    for entry in entries:
        table.add_row(
            _five(entry.public_score),
            _five(entry.oof_accuracy),
            "" if entry.gap is None else f"{entry.gap:+.5f}",
            *map(Text, (entry.status, _marked(entry), entry.message)),  # not markup
            str(entry.reference or ""),
            entry.time,
        )
    Console().print(table)


def _marked(entry: Any) -> str:
    count = entry.test_images_in_train
    return f"{entry.file} ({count:,} test images in training)" if count else str(entry.file)


def _five(number: float | None) -> str:
    return "" if number is None else f"{number:.5f}"
