"""The options that several commands share, spelled once."""

import enum
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

if TYPE_CHECKING:
    from rich.console import Console

RUNS = Path("runs")
SUBMISSIONS = Path("submissions")
PLOTS = Path("plots")


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
    str, typer.Option("--recipe", metavar="NAME", help="Network and training; see `recipes`.")
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
                    [_expand_home(path) for path in value] if several else _expand_home(value)
                )
        return super().invoke(ctx)


def _expand_home(path: str | Path) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 — Path.expanduser raises for ~nosuchuser


def program() -> str:
    """Return what to type for this program here: its path where the shell would not find it."""
    typed = Path(sys.argv[0])
    named = typed.name == "kaggle-digits" and shutil.which("kaggle-digits") != str(typed)
    return str(typed) if named else "kaggle-digits"


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


def opened_ledger() -> Any:
    """Return the ledger of what was pushed; name its lines that cannot be read."""
    from kaggle_digits.ledger import NAME, Ledger

    ledger = Ledger(SUBMISSIONS / NAME)
    for number in ledger.damaged():
        typer.echo(f"{ledger.path}, line {number}: damaged, and left out here", err=True)
    return ledger
