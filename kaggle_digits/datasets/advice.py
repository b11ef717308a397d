"""What to do about data that is missing or broken, with the options that the user gave.

Readers raise `DataError` and know nothing of options. Whoever knows the folder that is to hold the
data adds the command to run next.
"""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from kaggle_digits.errors import InputError

DEFAULT_FOLDER = Path("input")


class DataError(InputError):
    """A data set is incomplete, broken or something else. What to do is not said yet.

    Args:
        message: what is wrong.
        downloadable: whether `data get` can download such data.

    """

    def __init__(self, message: str, *, downloadable: bool = True) -> None:
        super().__init__(message)
        self.downloadable = downloadable


def get_command(folder: Path, *options: str, program: str = "kaggle-digits") -> str:
    """Return the `data get` command that puts data into ``folder``, ready to be typed."""
    words = [program, "data", "get", *options]
    if folder != DEFAULT_FOLDER:
        words += ["--input", str(folder)]
    return shlex.join(words)


@contextlib.contextmanager
def advising(folder: Path, *, downloadable: bool = True) -> Iterator[None]:
    """Add to a `DataError` how to put good data into ``folder``.

    Args:
        folder: the input folder.
        downloadable: whether `data get` can download this data.

    Raises:
        InputError: in place of the `DataError`.

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
