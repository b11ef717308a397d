"""Record submissions to Kaggle with their cross-validation and leaderboard scores.

`submissions/ledger.jsonl` has one line per submission, the oldest first. Imports only the standard
library.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kaggle_digits import safe_reading
from kaggle_digits.kaggle_client.json_lines import JsonLines
from kaggle_digits.runs.safe_folder import unreadable

if TYPE_CHECKING:
    from kaggle_digits.runs import Run

NAME = "ledger.jsonl"
UNKNOWN = "UNKNOWN"  # being sent, or sent without an answer; resolved by Kaggle's list


@dataclass(frozen=True)
class Entry:
    """One submission.

    Attributes:
        time: time of the submission, UTC, ISO 8601.
        file: path of the CSV as the user gave it.
        sha256: SHA-256 of the CSV.
        message: description in Kaggle's list of submissions.
        run: folder of the run that made the CSV; None if no run here has the same bytes.
        recipe: recipe of that run.
        oof_accuracy: out-of-fold accuracy of that run (0-1); None if it held out no images.
        reference: Kaggle's reference number; None while it is unknown.
        status: Kaggle's status, or UNKNOWN.
        public_score: public leaderboard score (0-1); None while it is unknown.
        test_images_in_train: number of test images that a model was trained on; None if unknown.
        sent_sha256: SHA-256 of the uploaded bytes; None in entries of earlier versions, which
            uploaded the file itself.
        size: number of uploaded bytes; None in entries of earlier versions.
        listed_before: references in Kaggle's list before it was sent; None once its own is known,
            and in entries of earlier versions.
        error: Kaggle's reason why it could not score the file; None if there is none.
        extra: unknown fields, written by a later version.

    """

    time: str
    file: str
    sha256: str
    message: str
    run: str | None
    recipe: str | None
    oof_accuracy: float | None
    reference: int | None
    status: str
    public_score: float | None
    test_images_in_train: int | None = None
    sent_sha256: str | None = None
    size: int | None = None
    listed_before: tuple[int, ...] | None = None
    error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Time and SHA-256, which identify a submission before Kaggle gives it a reference."""
        return self.time, self.sha256

    @property
    def hashes(self) -> set[str]:
        """SHA-256 of the file and of the uploaded bytes; they differ if a clean copy was sent."""
        return {self.sha256, self.sent_sha256 or self.sha256}

    @property
    def gap(self) -> float | None:
        """Leaderboard score minus out-of-fold accuracy; None if one of them is missing."""
        if self.public_score is None or self.oof_accuracy is None:
            return None
        return self.public_score - self.oof_accuracy

    def to_json(self) -> dict[str, Any]:
        """Return the entry's JSON object, including unknown fields."""
        values = asdict(self)
        extra: dict[str, Any] = values.pop("extra")
        if self.listed_before is None:
            del values["listed_before"]
        return values | extra


class Ledger(JsonLines[Entry]):
    """The ledger file, which may be missing."""

    kind = Entry
    content = "submissions"


def find_best_score(run: "Run", entries: Iterable[Entry]) -> float | None:
    """Return the best public score of the CSV of ``run``; None if it has none.

    A run that was trained again under the same name does not get the scores of the earlier one.

    Args:
        run: a run, finished or not.
        entries: entries of the ledger.

    Raises:
        DamagedRunError: the CSV cannot be read.

    """
    own = [entry for entry in entries if entry.run == str(run.folder)]
    if not own or not run.has("submission.csv"):
        return None
    try:
        sha256 = safe_reading.sha256_of(run.submission)
    except OSError as error:
        raise unreadable(run.submission, error) from error
    scores = [entry.public_score for entry in own if sha256 in entry.hashes]
    return max((score for score in scores if score is not None), default=None)
