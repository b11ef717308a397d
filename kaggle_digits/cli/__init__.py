"""The command line: one command, one file. Parse, call one library function, print.

No module here imports Keras, pandas or scikit-learn at its top, so that help and usage errors are
printed quickly.
"""

import contextlib
import errno
import os
import signal
import sys
import traceback
from typing import Annotated

import typer

from kaggle_digits import __version__, backend
from kaggle_digits.cli import app as app_command
from kaggle_digits.cli import (
    compare,
    cv,
    data,
    ensemble,
    evaluate,
    export,
    kernel,
    leaderboard,
    options,
    predict,
    process,
    recipes,
    record,
    report,
    runs,
    search,
    submit,
    train,
)
from kaggle_digits.errors import InputError, KaggleDigitsError, out_of_memory
from kaggle_digits.files import NO_SPACE
from kaggle_digits.terminal_text import escape_lines

UNUSABLE = {errno.ENAMETOOLONG, errno.ELOOP}
INTERRUPTED = process.SIGNALLED + signal.SIGINT

app = typer.Typer(
    name="kaggle-digits",
    cls=options.Group,
    help="From train.csv to a scored submission in Kaggle's digit-recognizer competition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing Rich would double its time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(data.app, name="data", rich_help_panel=options.DATA)
for stage, modules in {
    options.TRAIN: (recipes, train, cv, record, search, runs),
    options.JUDGE: (evaluate, predict, app_command, ensemble, compare, report, export),
    options.SUBMIT: (submit, leaderboard),
}.items():
    for module in modules:
        name = module.__name__.rpartition(".")[2]
        app.command(name, rich_help_panel=stage)(module.command)
app.add_typer(kernel.app, name="kernel", rich_help_panel=options.TRAIN)
for registered in (
    *app.registered_commands,
    *data.app.registered_commands,
    *kernel.app.registered_commands,
):
    registered.cls = options.Command


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kaggle-digits {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error; works with every command."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """From train.csv to a scored submission in Kaggle's digit-recognizer competition.

    Get the data, train, evaluate, submit: the commands below are in this order. Each has its own
    --help.
    """
    del debug, version  # read by `main` and by the callback of --version


def main() -> None:
    """Run the command line; report exceptions on stderr and by the exit code."""
    process.open_streams()
    backend.reserve_process()
    received = process.interrupt_on_signals()
    try:
        code = _flush(run_command(received))
    except KeyboardInterrupt:  # before or after the command itself
        code = INTERRUPTED
    process.end_process(process.SIGNALLED + received[0] if code and received else code)


def _flush(code: int) -> int:
    """Flush stdout and return ``code``; return 1 if stdout cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        _give_up_stdout()
    except OSError as error:
        return code or _say_unwritable(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code


def _say_unwritable(error: OSError) -> int:
    """Print that the result could not be written; return the exit code."""
    _give_up_stdout()
    problem = "no space to write" if error.errno in NO_SPACE else "cannot write"
    _print_error(f"{problem} the result to stdout: {error}")
    return 1


def _give_up_stdout() -> None:
    """Redirect stdout, so that Python does not fail again on the unwritten buffer at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(received: list[int]) -> int:
    """Run the command in ``sys.argv``; return its exit code.

    Args:
        received: the received signals, from `process.interrupt_on_signals`.

    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except SystemExit as done:  # raised by Typer: with a number, or None for 0
        return int(done.code or 0)
    except Exception as error:  # noqa: BLE001 — a user gets a message, never a bare traceback
        if debug:
            traceback.print_exception(error)
        if received:  # a library turned the interruption into an error of its own
            return INTERRUPTED
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    """Print the error; return the exit code."""
    known = error if isinstance(error, KaggleDigitsError) else out_of_memory(error)
    if known is not None:
        _print_error(str(known))
        return known.exit_code
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        # Errors of our own files are `KaggleDigitsError`s, so this one concerns stdout.
        return _say_unwritable(error)
    if isinstance(error, PermissionError) and error.filename is not None:
        _print_error(
            f"cannot access {error.filename}: {error.strerror}. Change its permissions, or choose "
            "another path."
        )
        return InputError.exit_code
    if isinstance(error, OSError) and error.errno in UNUSABLE and error.filename is not None:
        _print_error(f"cannot access {error.filename}: {error.strerror}. Choose another path.")
        return InputError.exit_code
    _print_error(
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a bug or a broken installation. Run the same command with --debug to see "
        "where it comes from."
    )
    return 1


def _print_error(message: str) -> None:
    """Print ``message`` to stderr with control characters escaped."""
    print(f"Error: {escape_lines(message)}", file=sys.stderr)
