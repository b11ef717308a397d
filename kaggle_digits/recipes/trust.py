"""Keep the list of trusted recipe files. Only these are executed from a run's folder.

A file is trusted once the user has named it, and the code of an installed module once the user has
named its recipe. A run's folder may come from somebody else, and a
recipe's file is a program.
"""

import contextlib
import os
from pathlib import Path

from kaggle_digits import files


def list_file() -> Path:
    """Return the path of the list in the user's state folder: one SHA-256 per line."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return files.expand_home(state) / "kaggle-digits" / "trusted-recipes"


def is_trusted(sha256: str) -> bool:
    """Return whether the user has named a recipe file with this hash."""
    return sha256 in _read()


def trust(sha256: str) -> None:
    """Add the hash of a recipe file that the user named. Do nothing if the list is read-only."""
    path = list_file()
    if is_trusted(sha256) or not path.is_absolute():  # not absolute: a user without a home
        return
    # In a read-only home nothing is kept: the user must name the file each time.
    with contextlib.suppress(OSError):
        files.make_folder(path.parent)
        with path.open("a", encoding="ascii") as file:  # two processes may add a line each
            file.write(f"\n{sha256}\n")  # the last line may lack its end


def _read() -> list[str]:
    try:
        return list_file().read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
