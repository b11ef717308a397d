"""What `data get` notes about the files that it puts into a folder: ``source.json`` beside them.

The note is written before the first file is replaced, and marked as complete after the last one. So
a folder that was being filled when its process was killed is recognised by it.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.datasets.advice import get_command
from kaggle_digits.datasets.layouts import CSV, LAYOUTS, NAMES, ZIPS
from kaggle_digits.datasets.naming import join_names
from kaggle_digits.datasets.reading import file_sha256
from kaggle_digits.errors import InputError

NAME = "source.json"
MAX_BYTES = 1 << 20
BESIDE = ("sample_submission.csv", "answers.csv")  # what may lie beside a data set's own files
KNOWN = NAMES | set(BESIDE)
# The files with test images, whose hash earlier versions noted.
LAST = {name for layout in LAYOUTS for name in layout.files[-1]} | {ZIPS[CSV]}

# What the content of files does not tell: they have the competition's format and are not its.
STAND_INS = ("sample", "rehearsal")
SOURCES = ("kaggle", "csv", "mnist", "cifar10", *STAND_INS)


@dataclass(frozen=True)
class Marker:
    """What `data get` noted.

    Attributes:
        source: as in `Splits.source`; None if it is none of those.
        sha256: of each file that was put there, by its name; None where an earlier version did not
            note it.
        complete: whether all of them are in their places, and what they replace is gone.

    """

    source: str | None
    sha256: Mapping[str, str | None]
    complete: bool = True

    def changed(self, folder: Path) -> list[str]:
        """Return which of the files in ``folder`` are not those that were noted."""
        return [
            name
            for name, sha256 in self.sha256.items()
            if sha256 is not None
            and not ((folder / name).is_file() and file_sha256(folder / name) == sha256)
        ]


def read(folder: Path) -> Marker | None:
    """Return the note in ``folder``; None where there is none that can be understood.

    Nothing in it is believed but the names and sources that this program writes.
    """
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        with (folder / NAME).open("rb") as file:
            content = file.read(MAX_BYTES)
        with contextlib.suppress(RecursionError):
            return _marker(json.loads(content))
    return None


def _marker(value: dict[str, Any]) -> Marker:
    source = value["source"] if value["source"] in SOURCES else None
    noted = value["files"]
    if isinstance(noted, dict):
        sha256 = {name: str(noted[name]) for name in noted if name in KNOWN}
        return Marker(source, sha256, complete=value["complete"] is not False)
    # Earlier versions noted the names alone, and the hash of the file with the test images.
    names = [name for name in noted if isinstance(name, str) and name in KNOWN]
    test_sha256 = str(value["test_sha256"])
    return Marker(source, {name: test_sha256 if name in LAST else None for name in names})


def write(folder: Path, marker: Marker) -> None:
    """Write the note into ``folder``."""
    value = {"source": marker.source, "files": marker.sha256, "complete": marker.complete}
    files.write_json(folder / NAME, value)


def require_filled(folder: Path, present: Iterable[str]) -> None:
    """Raise if `data get` has not finished filling ``folder``.

    Args:
        folder: the input folder.
        present: the files of data sets in it.

    Raises:
        InputError: new files lie beside old ones; says which are which.

    """
    marker = read(folder)
    if marker is None or marker.complete:
        return
    changed = marker.changed(folder)
    left = [name for name in present if name not in marker.sha256]
    if not changed and not left:
        return  # killed between the last file and the note
    new = [name for name in marker.sha256 if name not in changed]
    options = {
        "kaggle": ("--source", "kaggle"),
        "sample": ("--source", "sample"),
        "rehearsal": ("--from", "PATH", "--as", "kaggle"),
    }
    again = get_command(folder, *options.get(str(marker.source), ("--from", "PATH")))
    raise InputError(
        f"{folder} is half filled: `data get` was interrupted there, or is still running. "
        f"In place: {join_names(new)}. "
        f"Not replaced or missing: {join_names(sorted({*changed, *left}))}. "
        f"Wait for it, or run it again: {again}. To use the files as they are, remove "
        f"{folder / NAME}."
    )
