"""Tell the user how to resume after Ctrl-C."""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from kaggle_digits.cli import options
from kaggle_digits.cli.process import ToldInterrupt

MADE_BY = "KAGGLE_DIGITS_MAKE"  # the call of make that runs this program


@contextlib.contextmanager
def resume_advice(folder: Path) -> Iterator[None]:
    """Print the command that resumes, if the block is interrupted.

    Args:
        folder: where the finished epochs are kept.

    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # The Makefile sets the variable: `make submit` goes on after what this command does.
        command = os.environ.get(MADE_BY) or shlex.join([options.program(), *sys.argv[1:]])
        print(
            f"\nInterrupted. Every finished epoch is kept in {folder}. Resume with:\n  {command}",
            file=sys.stderr,
        )
        raise ToldInterrupt from interrupt
