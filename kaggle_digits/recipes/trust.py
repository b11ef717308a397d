"""Keep the list of trusted recipe files. Only these are executed from a run's folder.

A file is trusted once the user has named it, and the code of an installed module once the user has
named its recipe. A run's folder may come from somebody else, and a
recipe's file is a program.
"""

import os
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.errors import KaggleDigitsError


def list_file() -> Path:
    """Return the path of the list in the user's state folder: one SHA-256 per line."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return files.expand_home(state) / "kaggle-digits" / "trusted-recipes"


def is_trusted(sha256: str) -> bool:
    """Return whether the user has named a recipe file with this hash."""
    return sha256 in _read()


def trust(sha256: str) -> None:
    """Add the hash of a recipe file that the user named. Do nothing if the list is read-only."""
    known = _read()
    if sha256 in known or not list_file().is_absolute():  # not absolute: a user without a home
        return
    try:
        files.write_text(list_file(), "".join(f"{line}\n" for line in [*known, sha256]))
    except KaggleDigitsError:
        return  # a read-only home: the user must name the file each time


def _read() -> list[str]:
    try:
        return list_file().read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
