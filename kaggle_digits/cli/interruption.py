"""Tell the user how to resume after Ctrl-C."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from kaggle_digits.cli import options


@contextlib.contextmanager
def resume_advice(folder: Path) -> Iterator[None]:
    """Print the command that resumes, if the block is interrupted.

    Args:
        folder: where the finished epochs are kept.

    """
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"\nInterrupted. Every finished epoch is kept in {folder}. Resume with:\n"
            f"  {shlex.join([options.program(), *sys.argv[1:]])}",
            file=sys.stderr,
        )
        raise
