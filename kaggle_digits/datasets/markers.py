"""Read and write ``source.json``, in which `data get` records the files that it puts into a folder.

The file is written before the first data file is replaced, and marked complete after the last one.
A folder whose `data get` was killed is recognised by it.
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
BESIDE = ("sample_submission.csv", "answers.csv")  # files that may lie beside a data set
KNOWN = NAMES | set(BESIDE)
# The files with test images, whose hash earlier versions recorded.
LAST = {name for layout in LAYOUTS for name in layout.files[-1]} | {ZIPS[CSV]}

# Data in the competition's format that is not the competition's; the content does not tell.
STAND_INS = ("sample", "rehearsal")
SOURCES = ("kaggle", "csv", "mnist", "cifar10", *STAND_INS)


@dataclass(frozen=True)
class Marker:
    """The content of ``source.json``.

    Attributes:
        source: as in `Splits.source`; None if it is none of those.
        sha256: SHA-256 of each file by its name; None if an earlier version did not record it.
        complete: whether all files are in place and the old files are removed.

    """

    source: str | None
    sha256: Mapping[str, str | None]
    complete: bool = True

    def changed(self, folder: Path) -> list[str]:
        """Return the names of files in ``folder`` that differ from the record or are missing."""
        return [
            name
            for name, sha256 in self.sha256.items()
            if sha256 is not None
            and not ((folder / name).is_file() and file_sha256(folder / name) == sha256)
        ]


def read(folder: Path) -> Marker:
    """Return the record in ``folder``; one of no files if it is missing or damaged.

    Only names and sources that this program writes are accepted.
    """
    damaged = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
    with contextlib.suppress(*damaged), (folder / NAME).open("rb") as file:
        return _marker(json.loads(file.read(MAX_BYTES)))
    return Marker(None, {})


def _marker(value: dict[str, Any]) -> Marker:
    source = value["source"] if value["source"] in SOURCES else None
    noted = value["files"]
    if isinstance(noted, dict):
        sha256 = {name: str(noted[name]) for name in noted if name in KNOWN}
        return Marker(source, sha256, complete=value["complete"] is not False)
    # Earlier versions recorded the names, and the hash of the file with the test images.
    names = [name for name in noted if isinstance(name, str) and name in KNOWN]
    test_sha256 = str(value["test_sha256"])
    return Marker(source, {name: test_sha256 if name in LAST else None for name in names})


def write(folder: Path, marker: Marker) -> None:
    """Write the record into ``folder``."""
    value = {"source": marker.source, "files": marker.sha256, "complete": marker.complete}
    files.write_json(folder / NAME, value)


def require_filled(folder: Path, present: Iterable[str]) -> None:
    """Raise if `data get` has not finished filling ``folder``.

    Args:
        folder: the input folder.
        present: the names of the data files in it.

    Raises:
        InputError: some files are new and others old; the message names both.

    """
    marker = read(folder)
    if marker.complete:
        return
    changed = marker.changed(folder)
    left = [name for name in present if name not in marker.sha256]
    if not changed and not left:
        return  # killed after the last file and before the record
    new = [name for name in marker.sha256 if name not in changed]
    options = {
        "kaggle": ("--source", "kaggle"),
        "sample": ("--source", "sample"),
        "rehearsal": ("--from", "PATH", "--as", "kaggle"),
    }
    again = get_command(folder, *options.get(str(marker.source), ("--from", "PATH")))
    raise InputError(
        f"{folder} is incomplete: `data get` was interrupted or is still running. "
        f"In place: {join_names(new)}. "
        f"Not replaced or missing: {join_names(sorted({*changed, *left}))}. "
        f"Wait for it, or run it again: {again}. To use the present files, remove "
        f"{folder / NAME}."
    )
