"""Define the options that several commands share."""

import enum
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from kaggle_digits.cli.process import ToldInterrupt
from kaggle_digits.errors import InputError
from kaggle_digits.files import RUNS, SUBMISSIONS, expand_home

__all__ = ["RUNS", "SUBMISSIONS"]

# Headings of the options in --help, in this order; options without a heading come last.
DATA, TRAINING, OUTPUT = "Data", "Training", "Output"
SECTIONS = ("Arguments", DATA, TRAINING, OUTPUT, "Options")
# Headings of the commands in --help, in this order.
TRAIN, JUDGE, SUBMIT = "Train", "Judge and use", "Submit"
STAGES = (DATA, TRAIN, JUDGE, SUBMIT)

PLOTS = Path("plots")


class Split(enum.StrEnum):
    """A split of a data set."""

    TRAIN = "train"
    TEST = "test"


class Precision(enum.StrEnum):
    """The numeric precision of training."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Place(enum.StrEnum):
    """Where folds are trained."""

    HERE = "here"
    PROCESSES = "processes"
    RAY = "ray"


Input = Annotated[
    Path,
    typer.Option(
        "--input",
        metavar="DIR",
        help="Folder with the data.",
        envvar="KAGGLE_DIGITS_INPUT",
        rich_help_panel=DATA,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Also write the result as one HTML page, and as .json beside it.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT)
]
Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="Name of a recipe (see `recipes`), a Python file with RECIPE, or package.module:NAME.",
        rich_help_panel=TRAINING,
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="DIR",
        help="Folder of the run.  [default: named after the settings, in runs/]",
        rich_help_panel=OUTPUT,
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="TRACKER",
        help="Also write the run to tensorboard or mlflow; may be repeated.",
        rich_help_panel=OUTPUT,
    ),
]
Submission = Annotated[
    Path | None,
    typer.Option(
        "--submission",
        metavar="CSV",
        help="File to write, with ImageId,Label.  [default: named after the run, in submissions/]",
        rich_help_panel=OUTPUT,
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        "--folds",
        min=2,
        metavar="N",
        help="Number of folds; each is held out once.",
        rich_help_panel=TRAINING,
    ),
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds",
        min=1,
        metavar="N",
        help="Number of repetitions, each with different splits.",
        rich_help_panel=TRAINING,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        min=1,
        metavar="N",
        help="Number of epochs.  [default: the recipe's]",
        rich_help_panel=TRAINING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        metavar="N",
        help="Images per step.  [default: the recipe's]",
        rich_help_panel=TRAINING,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="RATE",
        help="Peak learning rate of the schedule, above 0.  [default: the recipe's]",
        rich_help_panel=TRAINING,
    ),
]
ChosenPrecision = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        metavar="TYPE",
        help="Numeric precision of training: float32, bfloat16, float16, or auto for the faster of "
        "the first two on this processor.  [default: the recipe's]",
        rich_help_panel=TRAINING,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        metavar="N",
        help="Train on N images, stratified by class, to try something quickly.  [default: all]",
        rich_help_panel=DATA,
    ),
]
Exclude = Annotated[
    Path | None,
    typer.Option(
        "--exclude",
        metavar="CSV",
        help="Train without the images whose id is in this CSV, such as one from `evaluate "
        "--suspects`; they are still scored.  [default: exclude none]",
        rich_help_panel=DATA,
    ),
]
PseudoLabels = Annotated[
    list[Path] | None,
    typer.Option(
        "--pseudo-labels",
        metavar="RUN",
        help="Also train on the test images that this finished run with the same folds gives a "
        "calibrated probability of 0.95 or more; may be repeated: the runs are averaged.  "
        "[default: none]",
        rich_help_panel=DATA,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        help="Seed of the splits, the initial weights, the shuffling and the augmentation.",
        rich_help_panel=TRAINING,
    ),
]


On = Annotated[
    Place | None,
    typer.Option(
        "--on",
        metavar="PLACE",
        help="Where to train: here (in this process), processes, or ray.  [default: here with one "
        "job, else processes]",
        rich_help_panel=TRAINING,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        metavar="N",
        help="Folds to train at the same time; the result stays the same.  [default: as many as "
        "cores and memory allow]",
        rich_help_panel=TRAINING,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Head of the Ray cluster, or auto; with --on ray.  [default: RAY_ADDRESS, else Ray is "
        "started on this machine]",
        rich_help_panel=TRAINING,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="DIR|URL",
        help="Folder that all nodes share, or an fsspec address such as s3://bucket/folder, for "
        "checkpoints; with --on ray.  [default: they are sent to this machine]",
        rich_help_panel=TRAINING,
    ),
]


class Command(typer.core.TyperCommand):
    """A command that expands ``~`` in every path from an option, argument or environment variable.

    Some shells do not expand it inside a word, as in ``make INPUT=~/digits``.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under their headings.

        Typer does this only with Rich, whose import takes longer than the rest of --help.
        """
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for parameter in self.get_params(ctx):
            is_argument = parameter.param_type_name == "argument"
            heading = getattr(parameter, "rich_help_panel", None)
            if record := parameter.get_help_record(ctx):
                sections["Arguments" if is_argument else heading or "Options"].append(record)
        _write_sections(formatter, sections)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments; for ``train fast``, name the option that is missing."""
        takes_recipe = any("--recipe" in parameter.opts for parameter in self.params)
        takes_argument = any(parameter.param_type_name == "argument" for parameter in self.params)
        asks_help = ctx.resilient_parsing or not set(args).isdisjoint(ctx.help_option_names)
        is_bare = bool(args) and not args[0].startswith("-")
        if is_bare and takes_recipe and not takes_argument and not asks_help:
            raise InputError(
                f"received {args[0]!r} without an option. Expected --recipe {args[0]}, if it is a "
                "recipe."
            )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the function of the command; say so if Ctrl-C ends it."""
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if parameter.type.name == "path" and value:
                several = isinstance(value, list | tuple)
                ctx.params[parameter.name] = (
                    list(map(expand_home, value)) if several else expand_home(value)
                )
        try:
            return super().invoke(ctx)
        except ToldInterrupt:
            raise
        except KeyboardInterrupt:
            typer.echo("\nInterrupted.", err=True)
            raise


class Group(typer.core.TyperGroup):
    """A group whose --help lists the commands by the stage of a competition."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each stage's commands under its heading."""
        del ctx
        stages: dict[str, list[tuple[str, str]]] = {name: [] for name in STAGES}
        width = formatter.width - 6 - max(map(len, self.commands))
        for name, command in self.commands.items():
            heading = getattr(command, "rich_help_panel", None) or "Commands"
            stages.setdefault(heading, []).append((name, command.get_short_help_str(width)))
        _write_sections(formatter, stages)


def _write_sections(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    for heading, records in sections.items():
        if records:
            with formatter.section(heading):
                formatter.write_dl(records)


def program() -> str:
    """Return this program's name, or its path if it is not on the shell's path."""
    typed = Path(sys.argv[0])
    named = typed.name == "kaggle-digits" and shutil.which("kaggle-digits") != str(typed)
    return str(typed) if named else "kaggle-digits"
