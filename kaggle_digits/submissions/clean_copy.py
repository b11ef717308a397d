"""A submission in the exact form that Kaggle asks for, whatever form the user's file has.

Spreadsheets add a byte-order mark, Windows line ends or blank lines, and pandas writes 7.0 where a
column once held a gap. Kaggle may reject that, which would waste a submission.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits import submissions
from kaggle_digits.submissions.csv_parsing import BOM
from kaggle_digits.submissions.submission import Submission

ODDITIES = {
    "Windows line ends": rb"\r",
    "blank lines": rb"^\r?\n",
    "quoted fields": rb'"',
    "labels such as 7.0": rb"\.",
    "ids with leading zeros": rb'^"?0',
}


@dataclass(frozen=True, eq=False)
class CleanCopy:
    """What to upload for a file.

    Attributes:
        submission: the answers.
        original: the file's bytes.
        content: the same bytes, or the same answers in the form that `submissions.write` gives.
        oddities: what is different about the file, in words; empty if ``content`` is ``original``.

    """

    submission: Submission
    original: bytes
    content: bytes
    oddities: tuple[str, ...]


def read(path: Path) -> CleanCopy:
    """Return what to upload for ``path``; raise what `submissions.read` raises."""
    original = submissions.read_bytes(path)
    submission = submissions.parse(path, original)
    clean = submissions.to_text(submission).encode()
    if clean in (original, original + b"\n"):  # a missing last line end does no harm
        return CleanCopy(submission, original, original, ())
    return CleanCopy(submission, original, clean, tuple(_find_oddities(original)))


def _find_oddities(content: bytes) -> Iterator[str]:
    if content.startswith(BOM):
        yield "a byte-order mark"
    for name, pattern in ODDITIES.items():
        if re.search(pattern, content.removeprefix(BOM), re.MULTILINE):
            yield name
