"""The command line: one command, one file. Parse, call one library function, print.

No module here imports Keras, pandas or scikit-learn at its top, so that help and usage errors
come at once.
"""

import contextlib
import os
import sys
import traceback
from typing import Annotated

import typer

from kaggle_digits import __version__
from kaggle_digits.cli import (
    compare,
    cv,
    data,
    ensemble,
    evaluate,
    export,
    leaderboard,
    predict,
    recipes,
    record,
    runs,
    submit,
    train,
)
from kaggle_digits.errors import KaggleDigitsError
from kaggle_digits.files import NO_SPACE

app = typer.Typer(
    name="kaggle-digits",
    help="From train.csv to a leaderboard-ready CSV for Kaggle's digit-recognizer competition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing Rich would double its time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(data.app, name="data")
for module in (
    recipes,
    train,
    cv,
    record,
    predict,
    evaluate,
    ensemble,
    export,
    compare,
    submit,
    leaderboard,
    runs,
):
    app.command(module.__name__.rpartition(".")[2])(module.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kaggle-digits {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Works anywhere.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """From train.csv to a leaderboard-ready CSV for Kaggle's digit-recognizer competition."""
    del debug, version  # `main` has read the one, its own callback the other


def main() -> None:
    """Run the command line; turn our exceptions into a message on stderr and an exit code."""
    code = _flushed(_exit_code())
    if "tensorflow" in sys.modules:
        # All files are closed and all processes joined. Python would take a second more to free
        # what TensorFlow holds, which the system frees at once.
        os._exit(code)
    sys.exit(code)


def _flushed(code: int) -> int:
    """Return ``code`` once all that was printed is out; 1 if there is no room for it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads it any more
        _give_up_stdout()
    except OSError as error:
        return code or _no_room(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code


def _no_room(error: OSError) -> int:
    """Say that the result could not be written; return the exit code."""
    _give_up_stdout()
    print(f"Error: no room to write the result to stdout: {error}", file=sys.stderr)
    return 1


def _give_up_stdout() -> None:
    """Let Python not stumble again, at its end, over what stays in the buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code() -> int:
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except SystemExit as done:  # as Typer ends: with a number, or None for 0
        return int(done.code or 0)
    except KaggleDigitsError as error:
        if debug:
            traceback.print_exc()
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # Whatever we write into files names them: what is left is what was printed.
        return _no_room(error) if error.errno in NO_SPACE else _unexpected(error, debug=debug)
    except Exception as error:  # noqa: BLE001 — a user gets a message, never a bare traceback
        return _unexpected(error, debug=debug)
    return 0


def _unexpected(error: Exception, *, debug: bool) -> int:
    """Say what nobody foresaw; return the exit code."""
    if debug:
        traceback.print_exception(error)
    print(
        f"Error: unexpected {type(error).__name__}: {error}\n"
        "This is a bug or a broken installation. Run the same command with --debug to see "
        "where it comes from.",
        file=sys.stderr,
    )
    return 1
