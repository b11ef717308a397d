"""Recipe files that the user has run by name: only these are run again from a run's folder.

A run's folder may come from somebody else, and a recipe's file is a program.
"""

import os
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.errors import KaggleDigitsError


def list_file() -> Path:
    """Return where the SHA-256 of each file is kept, one a line, in the user's own state folder."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "kaggle-digits" / "trusted-recipes"


def is_trusted(sha256: str) -> bool:
    """Return whether the user has named a recipe file with this hash."""
    return sha256 in _read()


def trust(sha256: str) -> None:
    """Remember that the user has named a recipe file with this hash, if that can be written."""
    known = _read()
    if sha256 in known:
        return
    try:
        files.write_text(list_file(), "".join(f"{line}\n" for line in [*known, sha256]))
    except KaggleDigitsError:
        return  # a read-only home: the file's name has to be given again


def _read() -> list[str]:
    try:
        return list_file().read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
