"""Recognise data files that a browser or a file manager renamed."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from kaggle_digits.terminal_text import cut

MAX_LISTED = 5  # file names listed in a message
TERMINAL_WIDTH = 80

# Browsers and file managers change a name that is taken: "train (1).csv", "train copy 2.csv".
_COPY = re.compile(r"([ _-]*\(\d{1,3}\)|[ _-]+copy( \d{1,3}| \(\d{1,3}\))?)$")


def usual_name(name: str) -> str:
    """Return the original name of a renamed file: ``train.csv`` for ``Train (1).CSV``."""
    parent, slash, last = name.rpartition("/")
    pieces = (_COPY.sub("", piece) for piece in last.casefold().split("."))
    return f"{parent}{slash}{'.'.join(pieces)}"


def candidates(spellings: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return which of ``names`` fit one of ``spellings``, the usual spelling first.

    An exact match excludes renamed files.
    """
    exact = next((spelling for spelling in spellings if spelling in names), None)
    if exact is not None:
        return tuple(name for name in names if name == exact)
    return tuple(name for name in names if usual_name(name) in spellings)


def is_hidden(name: str) -> bool:
    """Return whether a member of a zip was added by a file manager: ``__MACOSX/._train.csv``."""
    parts = PurePosixPath(name).parts
    return any(part == "__MACOSX" or part.startswith(".") for part in parts)


def join_names(names: Iterable[str]) -> str:
    """Return the first `MAX_LISTED` of ``names`` as a list for a message."""
    found = list(names)
    more = f" and {len(found) - MAX_LISTED:,} more" if len(found) > MAX_LISTED else ""
    return ", ".join(map(_printable, found[:MAX_LISTED])) + more if found else "nothing"


def _printable(name: str) -> str:
    short = cut(name, TERMINAL_WIDTH)
    return short if short.isprintable() else ascii(short)
