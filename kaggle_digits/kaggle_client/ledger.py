"""Submissions to Kaggle, with their cross-validation and leaderboard scores.

`submissions/ledger.jsonl` holds one line per submission, the oldest first. Standard library alone.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from kaggle_digits.kaggle_client.json_lines import JsonLines

NAME = "ledger.jsonl"
UNKNOWN = "UNKNOWN"  # being sent, or sent without an answer: Kaggle's list of submissions tells


@dataclass(frozen=True)
class Entry:
    """One submission.

    Attributes:
        time: when it was sent, UTC, ISO 8601.
        file: the CSV's path as it was given.
        sha256: of the CSV's bytes.
        message: its description in Kaggle's list of submissions.
        run: folder of the run that made the CSV; None where no run here has the same bytes.
        recipe: that run's.
        oof_accuracy: that run's, out-of-fold; None where it held nothing out.
        reference: Kaggle's number; None while it is unknown.
        status: Kaggle's, or UNKNOWN.
        public_score: None while there is none.
        test_images_in_train: how many of the test images trained a model in it; None where that
            is unknown.
        sent_sha256: of the bytes that were uploaded; None in lines of earlier versions, which
            uploaded the file itself.
        size: of the bytes that were uploaded; None in lines of earlier versions.
        listed_before: the references in Kaggle's list before it was sent; None once its own is
            known, and in lines of earlier versions.
        error: Kaggle's reason why it could not score the file; None while there is none.
        extra: fields that a later version wrote.

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
        """What identifies a submission before Kaggle numbers it: when, and which bytes."""
        return self.time, self.sha256

    @property
    def hashes(self) -> set[str]:
        """The SHA-256 of the file and of what was uploaded, the same unless a copy was cleaned."""
        return {self.sha256, self.sent_sha256 or self.sha256}

    @property
    def gap(self) -> float | None:
        """Leaderboard minus out-of-fold accuracy; None while one of them is missing."""
        if self.public_score is None or self.oof_accuracy is None:
            return None
        return self.public_score - self.oof_accuracy

    def to_json(self) -> dict[str, Any]:
        """Return what its line says, unknown fields included."""
        values = asdict(self)
        extra: dict[str, Any] = values.pop("extra")
        if self.listed_before is None:
            del values["listed_before"]
        return values | extra


class Ledger(JsonLines[Entry]):
    """The file; it need not exist."""

    kind = Entry
    content = "submissions"
