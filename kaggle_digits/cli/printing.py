"""What several commands print, and how."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from kaggle_digits.files import SUBMISSIONS
from kaggle_digits.terminal_text import describe_count, escape, escape_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from kaggle_digits.datasets.dataset import Splits
    from kaggle_digits.evaluation import Scores
    from kaggle_digits.kaggle_client.kernel_ledger import KernelLedger
    from kaggle_digits.kaggle_client.ledger import Ledger
    from kaggle_digits.kaggle_client.score_bounds import ScoreBounds

ROOM = 10_000  # characters per line where the output is not a terminal
FROM_SAMPLE = "             made from the embedded sample: it is not an entry for the competition"


def say(text: str, *, to_stderr: bool = False) -> None:
    """Print ``text`` with control characters escaped."""
    typer.echo(escape_lines(text), err=to_stderr)


def print_notes(splits: "Splits") -> None:
    """Print the warnings about the data."""
    for note in splits.notes:
        print(f"Note: {escape(note)}", file=sys.stderr)


def print_note(note: str | None) -> None:
    """Print a note on the settings of a training; None prints nothing."""
    if note is not None:
        print(f"Note: {escape(note)}", file=sys.stderr)


def describe_scores(judged: "Scores") -> str:
    """Return accuracy with standard error, log loss and errors in words."""
    return (
        f"accuracy {judged.accuracy:.5f} ± {judged.standard_error:.5f}, log loss "
        f"{judged.log_loss:.5f}, {describe_count(judged.errors, 'error')} in "
        f"{describe_count(judged.images, 'image')}"
    )


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; characters that stdout cannot encode are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


def console(**settings: Any) -> "Console":
    """Return a Rich console that interprets no markup or emoji in texts."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **settings)


def print_table(rows: Sequence[Mapping[str, str]], least_wanted: Sequence[str]) -> None:
    """Print ``rows``, one line each, with columns named by their keys.

    Args:
        rows: one or more, all with the same keys.
        least_wanted: columns to drop on a narrow terminal, in this order.

    """
    wide = console()
    if not wide.is_terminal:  # a file or a pipe has no width
        wide = console(width=ROOM)
    room = wide.options.update(max_width=ROOM)
    for count in range(len(least_wanted) + 1):
        table = _table(rows, least_wanted[:count])
        if wide.measure(table, options=room).maximum <= wide.width:
            break
    wide.print(table)


def _table(rows: Sequence[Mapping[str, str]], left_out: Sequence[str]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    headings = [name for name in rows[0] if name not in left_out]
    table = Table(box=None, pad_edge=False)
    for name in headings:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(escape(row[name])) for name in headings))  # not markup
    return table


def open_ledger() -> Any:
    """Return the ledger of submissions; report its damaged lines on stderr."""
    from kaggle_digits.kaggle_client.ledger import NAME, Ledger

    ledger = Ledger(SUBMISSIONS / NAME)
    report_damaged_lines(ledger)
    return ledger


def report_damaged_lines(ledger: "Ledger | KernelLedger") -> None:
    """Print the numbers of a ledger's damaged lines to stderr."""
    for number in ledger.damaged():
        typer.echo(f"{ledger.path}, line {number}: damaged, kept but ignored", err=True)


def contradictions(bounds: "ScoreBounds") -> Iterator[str]:
    """Yield the contradictions between scores and files."""
    for name in bounds.impossible:
        yield (
            f"The score of {name} is not a whole number of errors in {bounds.rows:,} rows, "
            "truncated to five decimals."
        )
    for conflict in bounds.conflicts:
        yield (
            f"{conflict.a} and {conflict.b} differ in {conflict.differing:,} rows, but have "
            f"{conflict.errors_a:,} and {conflict.errors_b:,} errors, which is impossible."
        )
    if bounds.is_contradicted:
        yield (
            "Kaggle may not score all rows, or a score in the ledger may belong to another file. "
            "No bounds are shown."
        )
