"""What was pushed to Kaggle, with its cross-validation and leaderboard scores.

`submissions/ledger.jsonl` holds one line a push, the oldest first. Every change writes the file
anew, whole or not at all, under a lock: two processes at once lose nothing. A line that cannot be
read is kept as it is. Standard library alone: listing starts at once.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.errors import InputError

NAME = "ledger.jsonl"
UNKNOWN = "UNKNOWN"  # being sent, or sent without an answer: Kaggle's list of submissions knows


@dataclass(frozen=True)
class Entry:
    """One push.

    Attributes:
        time: when it was sent, UTC, ISO 8601.
        file: the CSV's path as it was given.
        sha256: of the CSV's bytes.
        message: what Kaggle's list of submissions says of it.
        run: folder of the run that made the CSV; None where no run here has the same bytes.
        recipe: that run's.
        oof_accuracy: that run's, out-of-fold; None where it held nothing out.
        reference: Kaggle's number; None while it is not known.
        status: Kaggle's, or UNKNOWN.
        public_score: None while there is none.
        test_images_in_train: how many of the test images trained a model in it; None where that
            is unknown.

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

    @property
    def push(self) -> tuple[str, str]:
        """What stays the same however much becomes known: when, and which bytes."""
        return self.time, self.sha256

    @property
    def gap(self) -> float | None:
        """Leaderboard minus out-of-fold accuracy; None while one of them is missing."""
        if self.public_score is None or self.oof_accuracy is None:
            return None
        return self.public_score - self.oof_accuracy


@dataclass(frozen=True)
class Ledger:
    """The file; it need not exist."""

    path: Path

    def entries(self) -> list[Entry]:
        """Return every push that can be read, the oldest first."""
        return [entry for _, entry in self._lines() if entry is not None]

    def damaged(self) -> list[int]:
        """Return the numbers of the lines that cannot be read."""
        return [number for number, (_, entry) in enumerate(self._lines(), 1) if entry is None]

    def append(self, entry: Entry) -> None:
        """Add one push."""
        with self._locked():
            self._write([*(line for line, _ in self._lines()), _line(entry)])

    def update(self, change: Callable[[Entry], Entry | None]) -> None:
        """Put ``change(entry)`` in the place of every entry; None removes it."""
        with self._locked():
            lines = []
            for line, entry in self._lines():
                new = change(entry) if entry else None
                if new or entry is None:
                    lines.append(_line(new) if new else line)
            self._write(lines)

    def replace(self, old: Entry, new: Entry | None) -> None:
        """Put ``new`` in the place of the push ``old``; None removes it."""
        self.update(lambda entry: new if entry.push == old.push else entry)

    def _lines(self) -> list[tuple[str, Entry | None]]:
        try:
            content = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(
                f"cannot read {self.path}: {error.strerror or error}. Expected the ledger of what "
                "was pushed, a file that you may read."
            ) from error
        return [(line, _entry(line)) for line in content.split("\n") if line.strip()]

    def _write(self, lines: list[str]) -> None:
        files.write_text(self.path, "".join(f"{line}\n" for line in lines))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with files.locked(
            self.path.with_name(f".{self.path.name}.lock"),
            busy=f"{self.path} is being written by another `kaggle-digits`. Try again.",
        ):
            yield


def _line(entry: Entry) -> str:
    return files.json_text(asdict(entry))


def _entry(line: str) -> Entry | None:
    try:
        values: dict[str, Any] = dict(json.loads(line))
        known = {"test_images_in_train": None} | values  # lines of earlier versions lack it
        entry = Entry(**{field.name: known[field.name] for field in fields(Entry)})
    except (ValueError, KeyError, TypeError):
        return None
    texts = (entry.time, entry.file, entry.sha256, entry.message, entry.status)
    numbers = (
        entry.oof_accuracy,
        entry.reference,
        entry.public_score,
        entry.test_images_in_train,
    )
    good = all(isinstance(text, str) for text in texts) and all(
        number is None or (isinstance(number, int | float) and math.isfinite(number))
        for number in numbers
    )
    return entry if good else None
