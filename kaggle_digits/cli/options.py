"""The options that several commands share, spelled once."""

import enum
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from kaggle_digits.files import expand_home
from kaggle_digits.runs import RUNS, SUBMISSIONS
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from kaggle_digits.datasets.dataset import Splits
    from kaggle_digits.kaggle_client.score_bounds import ScoreBounds

__all__ = ["RUNS", "SUBMISSIONS"]

PLOTS = Path("plots")
ROOM = 10_000  # characters of a line that no terminal breaks


class Split(enum.StrEnum):
    """One of a data set's two parts."""

    TRAIN = "train"
    TEST = "test"


class Precision(enum.StrEnum):
    """The arithmetic that a network is trained in."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


Input = Annotated[
    Path,
    typer.Option(
        "--input", metavar="DIR", help="Folder with the data.", envvar="KAGGLE_DIGITS_INPUT"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="A recipe's name (see `recipes`), a Python file with RECIPE, or package.module:NAME.",
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", help="The run's folder; by default named by its settings in runs/."
    ),
]
Submission = Annotated[
    Path | None,
    typer.Option(
        "--submission", metavar="CSV", help="Where to write ImageId,Label; by default submissions/."
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Number of epochs (overrides the recipe).")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Images a step (overrides the recipe).")
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", min=0.0, help="Overrides the recipe.")
]
ChosenPrecision = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        help="Arithmetic in training (overrides the recipe); auto: what is faster here.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Train on a stratified N images, to try out."),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Decides splits, weights, order and augmentation.")
]


class Command(typer.core.TyperCommand):
    """A command that expands ``~`` in every path, from an option, argument or variable.

    Some shells leave it alone where a path does not begin a word, as in ``make INPUT=~/digits``.
    """

    def invoke(self, ctx: Any) -> Any:
        """Call the function of the command."""
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if parameter.type.name == "path" and value:
                several = isinstance(value, list | tuple)
                ctx.params[parameter.name] = (
                    list(map(expand_home, value)) if several else expand_home(value)
                )
        return super().invoke(ctx)


def program() -> str:
    """Return what to type for this program here: its path where the shell would not find it."""
    typed = Path(sys.argv[0])
    named = typed.name == "kaggle-digits" and shutil.which("kaggle-digits") != str(typed)
    return str(typed) if named else "kaggle-digits"


def print_notes(splits: "Splits") -> None:
    """Print what to know about the data before training on it."""
    for note in splits.notes:
        print(f"Note: {escape(note)}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print ``value`` for machines; what stdout cannot encode is escaped, so nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


def console(**settings: Any) -> "Console":
    """Return a Rich console on which names and texts are not taken for markup or emoji."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **settings)


def print_table(rows: Sequence[Mapping[str, str]], least_wanted: Sequence[str]) -> None:
    """Print ``rows``, one line each, with columns named by their keys.

    Args:
        rows: one or more, all with the same keys.
        least_wanted: columns that a narrow terminal goes without, the first first.

    """
    wide = console()
    if not wide.is_terminal:  # a file or another program has room
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


def opened_ledger() -> Any:
    """Return the ledger of submissions; name its lines that cannot be read."""
    from kaggle_digits.kaggle_client.ledger import NAME, Ledger

    ledger = Ledger(SUBMISSIONS / NAME)
    for number in ledger.damaged():
        typer.echo(f"{ledger.path}, line {number}: damaged, kept but ignored", err=True)
    return ledger


def contradictions(bounds: "ScoreBounds") -> Iterator[str]:
    """Yield why scores and files do not fit together, if they do not."""
    for name in bounds.impossible:
        yield (
            f"The score of {name} is no whole number of errors in {bounds.rows:,} rows, cut after "
            "the fifth decimal."
        )
    for one in bounds.conflicts:
        yield (
            f"{one.a} and {one.b} differ in {one.differing:,} rows, but have {one.errors_a:,} and "
            f"{one.errors_b:,} errors: no true labels allow that."
        )
    if bounds.is_contradicted:
        yield (
            "So Kaggle does not score all rows, or a score in the ledger belongs to another file: "
            "no bounds are shown."
        )
