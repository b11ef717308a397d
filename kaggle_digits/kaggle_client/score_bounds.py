"""Bound unknown leaderboard scores by known ones. Imports NumPy only to read files.

Kaggle scores all 28,000 rows of this competition, so a score is a whole number of errors, and the
error counts of two files differ at most by the number of rows in which the files differ. Scores
that contradict this are reported.
"""

import contextlib
import hashlib
import itertools
import math
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client.ledger import Entry

if TYPE_CHECKING:
    from kaggle_digits.submissions import Submission
    from kaggle_digits.submissions.comparison import Comparison

ROWS = 28_000  # rows of the competition's test.csv
STEP = 1e-5  # Kaggle shows five decimals
MAX_FILES = 20  # files of the ledger that are read, newest first; each takes milliseconds
MAX_BYTES = 1 << 20  # per file


@dataclass(frozen=True)
class Bounds:
    """Bounds of a file's score.

    Attributes:
        name: name of the file.
        lowest: lowest possible score (0-1).
        highest: highest possible score (0-1).
        fewest: smallest possible number of errors.
        most: largest possible number of errors.
        hopeless: whether the score cannot exceed the best known one among the compared files.

    """

    name: str
    lowest: float
    highest: float
    fewest: int
    most: int
    hopeless: bool


@dataclass(frozen=True)
class Conflict:
    """Two files whose scores contradict each other.

    Attributes:
        a: name of the first file.
        b: name of the second file.
        errors_a: number of errors of the first file.
        errors_b: number of errors of the second file.
        differing: number of rows in which the files differ.

    """

    a: str
    b: str
    errors_a: int
    errors_b: int
    differing: int


@dataclass(frozen=True)
class ScoreBounds:
    """Bounds of the unknown scores, assuming that Kaggle scores all rows.

    Attributes:
        rows: number of rows of each file.
        errors: number of errors of each file with a known score, by its name.
        bounds: one per file without a known score, in the given order; empty if the scores
            contradict the assumption.
        impossible: names of files whose score is not a whole number of errors.
        conflicts: pairs of files whose scores contradict each other.

    """

    rows: int
    errors: dict[str, int]
    bounds: tuple[Bounds, ...]
    impossible: tuple[str, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def is_contradicted(self) -> bool:
        """Whether the scores contradict the assumption."""
        return bool(self.impossible or self.conflicts)


def bound_scores(
    compared: "Comparison", scores: Mapping[str, float], elsewhere: Mapping[str, float]
) -> ScoreBounds:
    """Return the bounds that the known ``scores`` imply for the other files.

    The number of rows in which two files differ is a distance, and a file's number of errors is its
    distance from the true labels. By the triangle inequality, a file that differs in d rows from a
    file with e errors has at least ``abs(e - d)`` and at most e + d errors. With several known
    scores the tightest bounds apply.

    Args:
        compared: the result of `compare`.
        scores: Kaggle's scores (0-1) by file name.
        elsewhere: scores of files that are not compared; they only test the assumption.

    """
    rows, differing = len(compared.ids), compared.differing.tolist()
    known = [k for k, name in enumerate(compared.names) if name in scores]
    counted = {k: count_errors(scores[compared.names[k]], rows) for k in known}
    errors = {k: count for k, count in counted.items() if count is not None}
    found = ScoreBounds(
        rows=rows,
        errors={compared.names[k]: count for k, count in errors.items()},
        bounds=(),
        impossible=find_impossible({**scores, **elsewhere}, rows),
        conflicts=tuple(
            Conflict(compared.names[a], compared.names[b], errors[a], errors[b], differing[a][b])
            for a, b in itertools.combinations(errors, 2)
            if not abs(errors[a] - errors[b]) <= differing[a][b] <= errors[a] + errors[b]
        ),
    )
    if not known or found.is_contradicted:
        return found
    bounds = []
    for i, name in enumerate(compared.names):
        if i in errors:
            continue
        fewest = max(abs(errors[k] - differing[i][k]) for k in known)
        most = min(rows, *(errors[k] + differing[i][k] for k in known))
        hopeless = fewest >= min(errors.values())
        bounds.append(Bounds(name, 1 - most / rows, 1 - fewest / rows, fewest, most, hopeless))
    return replace(found, bounds=tuple(bounds))


def bound_ledger(entries: Sequence[Entry]) -> ScoreBounds:
    """Return the bounds that the scores in the ledger imply for its files without a score.

    Only files that still exist unchanged are compared; they are named by `name_entry`.
    """
    scores = {
        name_entry(entry): entry.public_score for entry in entries if entry.public_score is not None
    }
    # Without a known score and a second file there are no bounds, so no file is read.
    files = _read_unchanged(entries) if scores and len(entries) > 1 else {}
    here = {name: score for name, score in scores.items() if name in files}
    if not here or len(files) == 1:
        return ScoreBounds(ROWS, {}, (), find_impossible(scores, ROWS), ())
    from kaggle_digits.submissions import comparison

    return bound_scores(comparison.compare(list(files.items())), here, elsewhere=scores)


def name_entry(entry: Entry) -> str:
    """Return a name that is unique for each submission of a file."""
    return f"{entry.file} (reference {entry.reference})"


def _read_unchanged(entries: Sequence[Entry]) -> "dict[str, Submission]":
    newest = sorted(entries, key=lambda entry: entry.time)[-MAX_FILES:]
    found = {}
    for entry in newest:
        path = Path(entry.file)
        with contextlib.suppress(OSError, ValueError, InputError):
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                continue
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                continue
            from kaggle_digits import submissions

            answers = submissions.parse(path, content)
            if len(answers) == ROWS == answers.ids.max():  # ids are unique, so they are 1 … ROWS
                found[name_entry(entry)] = answers
    return found


def find_impossible(scores: Mapping[str, float], rows: int) -> tuple[str, ...]:
    """Return the names whose score is not a whole number of errors in ``rows`` rows."""
    return tuple(name for name, score in scores.items() if count_errors(score, rows) is None)


def count_errors(score: float, rows: int) -> int | None:
    """Return the number of errors that Kaggle shows as ``score``; None if there is none.

    Kaggle truncates scores to five decimals, so the true score is up to 0.00001 higher. Up to
    100,000 rows, at most one number of errors fits.
    """
    slack = 1e-6  # in rows; tolerates rounding errors
    errors = math.floor(rows * (1 - score) + slack)
    within = errors > rows * (1 - score - STEP) + slack
    return errors if within and 0 <= errors <= rows else None


def show_score(errors: int, rows: int) -> str:
    """Return the score for ``errors`` as Kaggle shows it: truncated to five decimals."""
    return f"{(rows - errors) * 100_000 // rows / 100_000:.5f}"
