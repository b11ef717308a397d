"""Compare a CSV with the predictions of finished runs on the same test images. No Keras.

A CSV without provenance may have the right ids but labels of other images, or in another order.
Such a CSV agrees with a run on about one row in ten.
"""

import contextlib
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits import runs, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.runs.folder import Run
from kaggle_digits.submissions import Submission

MIN_PLAUSIBLE = 0.9  # share of rows: recipes for digits agree on 97 % and more
MAX_RUNS = 50  # the newest ones; reading one takes some milliseconds
MAX_BYTES = 1 << 20  # of a run's CSV; one for the competition takes 0.2 MB


@dataclass(frozen=True)
class Agreement:
    """Number of rows on which a CSV and a run's own CSV agree.

    Attributes:
        run: the run's folder.
        rows: number of rows with the same label.
        total: number of rows.

    """

    run: str
    rows: int
    total: int

    @property
    def share(self) -> float:
        """Share of rows with the same label, 0-1."""
        return self.rows / self.total


def find_closest(answers: Submission, test_fingerprint: str, root: Path) -> Agreement | None:
    """Find the run whose CSV agrees most with ``answers``.

    Args:
        answers: the content of the CSV.
        test_fingerprint: SHA-256 of the test images that the CSV is meant for.
        root: the folder of runs. Only finished runs on the same test images count.

    Returns:
        The agreement with that run; None if there is no such run.

    """
    order = np.argsort(answers.ids)
    found = []
    for run in _runs_on(test_fingerprint, root):
        theirs = _read_csv(run)
        if theirs is None:
            continue
        their_order = np.argsort(theirs.ids)
        if np.array_equal(theirs.ids[their_order], answers.ids[order]):
            same = answers.labels[order] == theirs.labels[their_order]
            found.append(Agreement(str(run.folder), int(same.sum()), len(same)))
    return max(found, key=lambda agreement: agreement.rows, default=None)


def _runs_on(test_fingerprint: str, root: Path) -> list[Run]:
    finished = []
    for run in runs.list_runs(root)[0]:
        facts = run.facts
        same_images = facts.settings.test_fingerprint == test_fingerprint
        if same_images and facts.state == "finished":
            finished.append(run)
    return finished[-MAX_RUNS:]


def _read_csv(run: Run) -> Submission | None:
    """Return the run's CSV; None if it is not a regular file, too large or damaged."""
    with contextlib.suppress(OSError, InputError):
        status = run.submission.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES:
            return submissions.read(run.submission)
    return None
