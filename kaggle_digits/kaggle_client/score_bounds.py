"""What known leaderboard scores imply for other files. NumPy only where files are read.

Kaggle scores all 28,000 rows of this competition: a score is a whole number of errors, and the rows
in which two files differ bound the one's errors by the other's. Scores that contradict this are
reported.
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

ROWS = 28_000  # of the competition's test.csv
STEP = 1e-5  # Kaggle shows five decimals
MAX_FILES = 20  # of the ledger: the newest; each takes some milliseconds
MAX_BYTES = 1 << 20  # of each


@dataclass(frozen=True)
class Bounds:
    """Between what a file's score lies, given the scores of others.

    Attributes:
        name: the file's.
        lowest: the score cannot be less.
        highest: nor more.
        fewest: the errors that ``highest`` means.
        most: the errors that ``lowest`` means.
        hopeless: it cannot be more than the best known score.

    """

    name: str
    lowest: float
    highest: float
    fewest: int
    most: int
    hopeless: bool


@dataclass(frozen=True)
class Conflict:
    """Two files whose scores no true labels allow.

    Attributes:
        a: name of the one.
        b: name of the other.
        errors_a: behind its score.
        errors_b: behind the other's.
        differing: rows on which the files differ.

    """

    a: str
    b: str
    errors_a: int
    errors_b: int
    differing: int


@dataclass(frozen=True)
class ScoreBounds:
    """What known scores say about the files without one, if all rows are scored.

    Attributes:
        rows: of each file.
        errors: behind each known score, by the file's name.
        bounds: one for each file without a known score, in the order given; empty if something
            contradicts the assumption.
        impossible: names of files whose score no whole number of errors gives.
        conflicts: pairs of files whose scores are farther apart than the files, or nearer.

    """

    rows: int
    errors: dict[str, int]
    bounds: tuple[Bounds, ...]
    impossible: tuple[str, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def is_contradicted(self) -> bool:
        """Whether the scores cannot be those of all rows."""
        return bool(self.impossible or self.conflicts)


def bound_scores(
    compared: "Comparison", scores: Mapping[str, float], elsewhere: Mapping[str, float]
) -> ScoreBounds:
    """Return what the known ``scores`` imply for the other files.

    The number of rows on which two sets of answers differ is a distance, and a file's errors are
    its distance from the true answers. So a file that differs from a known one, which has e
    errors, in d rows has at most e + d errors and at least ``abs(e - d)``. Several known scores:
    every bound holds, so the tightest counts.

    Args:
        compared: what `compare` returned.
        scores: accuracies 0-1 by the files' names, as Kaggle shows them.
        elsewhere: the same of files that are not compared; they only test the assumption.

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
    """Return what the scores in the ledger imply for its files without one.

    Files that are still there, unchanged, are compared; they are named by `name_entry`.
    """
    scores = {name_entry(one): one.public_score for one in entries if one.public_score is not None}
    # One file, or none with a score, tells nothing: then none is read, and listing starts at once.
    files = _read_unchanged(entries) if scores and len(entries) > 1 else {}
    here = {name: score for name, score in scores.items() if name in files}
    if not here or len(files) == 1:
        return ScoreBounds(ROWS, {}, (), find_impossible(scores, ROWS), ())
    from kaggle_digits.submissions import comparison

    return bound_scores(comparison.compare(list(files.items())), here, elsewhere=scores)


def name_entry(entry: Entry) -> str:
    """Return a name that tells apart two submissions of one file."""
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
            if len(answers) == ROWS == answers.ids.max():  # each id once: so they are 1 … ROWS
                found[name_entry(entry)] = answers
    return found


def find_impossible(scores: Mapping[str, float], rows: int) -> tuple[str, ...]:
    """Return the names whose score no number of errors in ``rows`` rows gives."""
    return tuple(name for name, score in scores.items() if count_errors(score, rows) is None)


def count_errors(score: float, rows: int) -> int | None:
    """Return the errors in ``rows`` rows that Kaggle shows as ``score``; None if none are.

    Kaggle cuts scores after the fifth decimal, so the true one is up to a step more. Up to 100,000
    rows, at most one number of errors fits.
    """
    slack = 1e-6  # of a row: rounding in these lines
    errors = math.floor(rows * (1 - score) + slack)
    within = errors > rows * (1 - score - STEP) + slack
    return errors if within and 0 <= errors <= rows else None


def show_score(errors: int, rows: int) -> str:
    """Return the score of so many errors as Kaggle shows it: cut after the fifth decimal."""
    return f"{(rows - errors) * 100_000 // rows / 100_000:.5f}"
