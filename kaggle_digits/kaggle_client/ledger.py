"""Submissions to Kaggle, with their cross-validation and leaderboard scores.

`submissions/ledger.jsonl` holds one line per submission, the oldest first. Every change rewrites
the file, whole or not at all, under a lock, so two processes at once lose nothing. A line that
cannot be read is kept byte for byte, and so is a field that this version does not know. Standard
library alone: listing starts at once.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json

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


NAMES = {one.name for one in fields(Entry)} - {"extra"}


@dataclass(frozen=True)
class Ledger:
    """The file; it need not exist."""

    path: Path

    def entries(self) -> list[Entry]:
        """Return every submission that can be read, the oldest first."""
        return [entry for _, entry in self._lines() if entry is not None]

    def damaged(self) -> dict[int, bytes]:
        """Return the lines that cannot be read, by their numbers in the file."""
        lines = enumerate(self._read().split(b"\n"), start=1)
        return {number: line for number, line in lines if line.strip() and not _from_line(line)}

    def append(self, entry: Entry) -> None:
        """Add one submission."""
        with self._locked():
            self._write([*(line for line, _ in self._lines()), _to_line(entry)])

    def update(self, change: Callable[[Entry], Entry | None]) -> None:
        """Replace every entry by ``change(entry)``; None removes it."""
        with self._locked():
            lines = []
            for line, entry in self._lines():
                new = change(entry) if entry else None
                if new or entry is None:
                    lines.append(_to_line(new) if new else line)
            self._write(lines)

    def replace(self, old: Entry, new: Entry | None) -> None:
        """Replace the submission ``old`` by ``new``; None removes it."""
        self.update(lambda entry: new if entry.key == old.key else entry)

    def _lines(self) -> list[tuple[bytes, Entry | None]]:
        return [(line, _from_line(line)) for line in self._read().split(b"\n") if line.strip()]

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise InputError(
                f"cannot read {self.path}: {error.strerror or error}. Expected the ledger of "
                "submissions, a file that you may read."
            ) from error

    def _write(self, lines: list[bytes]) -> None:
        with files.replacing(self.path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in lines))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with files.lock(
            self.path.with_name(f".{self.path.name}.lock"),
            busy=f"{self.path} is locked by another `kaggle-digits`. Retry in a moment.",
        ):
            yield


def _to_line(entry: Entry) -> bytes:
    values = entry.to_json()
    return files.json_text(values).encode()


def _from_line(line: bytes) -> Entry | None:
    try:
        values = typed_json.parse(line.decode("utf-8-sig"))
        if not isinstance(values, dict):
            return None
        known = {name: values.pop(name) for name in NAMES & values.keys()}
        return replace(typed_json.build(Entry, known), extra=values)
    except ValueError:
        return None
