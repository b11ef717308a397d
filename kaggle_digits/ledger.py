"""What was pushed to Kaggle, with its cross-validation and leaderboard scores.

`submissions/ledger.jsonl` holds one line a push, the oldest first. Every change writes the file
anew, whole or not at all, under a lock: two processes at once lose nothing. A line that cannot be
read is kept as it is. Standard library alone: listing starts at once.
"""

import contextlib
import hashlib
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
LOCK_SECONDS = 60


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
class Origin:
    """The run that a CSV came from."""

    run: str
    recipe: str
    oof_accuracy: float | None


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
        with locked(
            self.path.with_name(f".{self.path.name}.lock"),
            seconds=LOCK_SECONDS,
            busy=f"{self.path} is being written by another `kaggle-digits`. Try again.",
        ):
            yield


@contextlib.contextmanager
def locked(path: Path, *, seconds: float, busy: str) -> Iterator[None]:
    """Hold the lock ``path``; raise InputError with ``busy`` if it cannot be had in time."""
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path).acquire(timeout=seconds)
    except Timeout as error:
        raise InputError(busy) from error
    except OSError as error:
        raise files.error_from(error, path) from error
    with held:
        yield


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the bytes of ``path``."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def origin_of(sha256: str, root: Path) -> Origin | None:
    """Return the run below ``root`` whose CSV has these bytes; None if there is none."""
    from kaggle_digits import runs

    for run in runs.listed(root)[0]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if sha256_of(run.submission) == sha256:
                oof = (run.metrics or {}).get("oof") or {}
                recipe = str(run.description["settings"]["recipe"])
                return Origin(str(run.folder), recipe, oof.get("accuracy"))
    return None


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False)


def _entry(line: str) -> Entry | None:
    try:
        values: dict[str, Any] = dict(json.loads(line))
        entry = Entry(**{field.name: values[field.name] for field in fields(Entry)})
    except (ValueError, KeyError, TypeError):
        return None
    texts = (entry.time, entry.file, entry.sha256, entry.message, entry.status)
    numbers = (entry.oof_accuracy, entry.reference, entry.public_score)
    good = all(isinstance(text, str) for text in texts) and all(
        number is None or (isinstance(number, int | float) and math.isfinite(number))
        for number in numbers
    )
    return entry if good else None
