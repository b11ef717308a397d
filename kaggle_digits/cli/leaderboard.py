"""``kaggle-digits leaderboard``: list the submissions and their scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggle_digits.cli import options, printing
from kaggle_digits.errors import InputError
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.ledger import Entry
    from kaggle_digits.kaggle_client.score_bounds import Bounds

# Columns to drop on a narrow terminal, in this order.
OPTIONAL_COLUMNS = ("sent", "reference", "message", "gap", "held out")


def command(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Kaggle for the scores that are pending.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the submissions with their scores, best first.

    Shows the public score, its number of errors, the out-of-fold accuracy, and the difference (gap)
    between the two. For a file without a score, shows the bounds that follow from known scores.
    """
    from kaggle_digits.kaggle_client import score_bounds

    ledger = printing.open_ledger()
    if refresh:
        _refresh(ledger)
    entries = sorted(ledger.entries(), key=_place)
    found = score_bounds.bound_ledger(entries)
    bounds = {bound.name: bound for bound in found.bounds}
    rows = [_describe(entry, bounds.get(score_bounds.name_entry(entry))) for entry in entries]
    if json:
        printing.print_json(rows)
    elif not rows:
        print(f"Nothing was submitted yet: {ledger.path} has no entries.")
    else:
        _print_table(rows)
    for line in printing.contradictions(found):
        typer.echo(escape(line), err=json)


def _refresh(ledger: Any) -> None:
    from kaggle_digits import credentials
    from kaggle_digits.kaggle_client import recovery
    from kaggle_digits.kaggle_client.client import Kaggle

    if credentials.find() is None:
        raise InputError(f"{credentials.explain_missing()}.")
    with Kaggle() as kaggle:
        changed = recovery.refresh(ledger, kaggle, tell=_tell)
    typer.echo(f"{changed} of {len(ledger.entries())} entries changed", err=True)


def _tell(line: str) -> None:
    typer.echo(escape(line), err=True)


def _place(entry: "Entry") -> tuple[bool, float, str]:
    return entry.public_score is None, -(entry.public_score or 0.0), entry.time


def _describe(entry: "Entry", bounds: "Bounds | None") -> dict[str, Any]:
    from kaggle_digits.kaggle_client.score_bounds import ROWS, count_errors

    score = entry.public_score
    if entry.status == "ERROR":  # a file that Kaggle could not score has no errors
        bounds = None
    return entry.to_json() | {
        "gap": entry.gap,
        "errors": None if score is None else count_errors(score, ROWS),
        "errors_between": bounds and [bounds.fewest, bounds.most],
    }


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    printing.print_table([_to_text(row) for row in rows], OPTIONAL_COLUMNS)
    for row in rows:
        if row["error"]:
            text = f"Kaggle could not score {row['file']} ({row['reference']}): {row['error']}"
            print(escape(text))


def _to_text(row: dict[str, Any]) -> dict[str, str]:
    """Return the texts of a submission by column heading."""
    return {
        "public": _five(row["public_score"]),
        "errors": _errors(row),
        "held out": _five(row["oof_accuracy"]),
        "gap": "" if row["gap"] is None else f"{row['gap']:+.5f}",
        "status": row["status"],
        "file": _mark(row),
        "message": row["message"],
        "reference": str(row["reference"] or ""),
        "sent": row["time"][:16].replace("T", " "),
    }


def _errors(row: dict[str, Any]) -> str:
    if row["errors"] is not None:
        return f"{row['errors']:,}"
    if not row["errors_between"]:
        return ""
    fewest, most = row["errors_between"]
    return f"{fewest:,} to {most:,}" if fewest < most else f"{most:,}"


def _mark(row: dict[str, Any]) -> str:
    count = row["test_images_in_train"]
    return f"{row['file']} ({count:,} test images in training)" if count else str(row["file"])


def _five(number: float | None) -> str:
    return "" if number is None else f"{number:.5f}"
