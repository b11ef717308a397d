"""What to do about data that is missing or broken, with the options that the user gave.

Readers raise `DataError` and know nothing of command-line options. The caller, which knows the
input folder, adds the command to run next.
"""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from kaggle_digits.errors import InputError

DEFAULT_FOLDER = Path("input")


class DataError(InputError):
    """A data set is incomplete, broken or of another kind. The message does not yet say what to do.

    Args:
        message: what is wrong, what was received and what is expected.
        downloadable: whether `data get` can download such data.

    """

    def __init__(self, message: str, *, downloadable: bool = True) -> None:
        super().__init__(message)
        self.downloadable = downloadable


def get_command(folder: Path, *options: str, program: str = "kaggle-digits") -> str:
    """Return the `data get` command, quoted for the shell, that puts data into ``folder``."""
    words = [program, "data", "get", *options]
    if folder != DEFAULT_FOLDER:
        words += ["--input", str(folder)]
    return shlex.join(words)


@contextlib.contextmanager
def add_advice(folder: Path, *, downloadable: bool = True) -> Iterator[None]:
    """Turn a `DataError` into an `InputError` that says how to put good data into ``folder``.

    Args:
        folder: the input folder.
        downloadable: whether `data get` can download this data.

    Raises:
        InputError: the same message, followed by the command to run.

    """
    try:
        yield
    except DataError as error:
        copy = f"ake a good copy with: {get_command(folder, '--from', 'PATH')}"
        advice = f"T{copy}"
        if downloadable and error.downloadable:
            download = get_command(folder, "--source", "kaggle")
            advice = f"Download it again with: {download}, or t{copy}"
        raise InputError(f"{error} {advice}") from error
