"""A file of records, one JSON object per line, the oldest first.

Every change rewrites the file, whole or not at all, under a lock, so two processes at once lose
nothing. A line that cannot be read is kept byte for byte, and so is a field that this version does
not know. Standard library alone: listing starts at once.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from kaggle_digits import files
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json


class Record(Protocol):
    """A dataclass with a field ``extra``, a dict of the fields that a later version wrote."""

    @property
    def key(self) -> Hashable:
        """What identifies the record."""

    def to_json(self) -> dict[str, Any]:
        """Return what its line says, unknown fields included."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class JsonLines(Generic[R]):
    """The file; it need not exist. A subclass says which records it holds."""

    path: Path

    kind: ClassVar[type[Any]]
    content: ClassVar[str]  # what the file holds, for messages

    def entries(self) -> list[R]:
        """Return every record that can be read, the oldest first."""
        return [entry for _, entry in self._lines() if entry is not None]

    def damaged(self) -> dict[int, bytes]:
        """Return the lines that cannot be read, by their numbers in the file."""
        lines = enumerate(self._read().split(b"\n"), start=1)
        return {
            number: line for number, line in lines if line.strip() and not self._from_line(line)
        }

    def append(self, entry: R) -> None:
        """Add one record."""
        with self._locked():
            self._write([*(line for line, _ in self._lines()), _to_line(entry)])

    def update(self, change: Callable[[R], R | None]) -> None:
        """Replace every record by ``change(record)``; None removes it."""
        with self._locked():
            lines = []
            for line, entry in self._lines():
                new = change(entry) if entry else None
                if new or entry is None:
                    lines.append(_to_line(new) if new else line)
            self._write(lines)

    def replace(self, old: R, new: R | None) -> None:
        """Replace the record ``old`` by ``new``; None removes it."""
        self.update(lambda entry: new if entry.key == old.key else entry)

    def _lines(self) -> list[tuple[bytes, R | None]]:
        return [(line, self._from_line(line)) for line in self._read().split(b"\n") if line.strip()]

    def _from_line(self, line: bytes) -> R | None:
        try:
            values = typed_json.parse(line.decode("utf-8-sig"))
            if not isinstance(values, dict):
                return None
            names = {field.name for field in fields(self.kind)} - {"extra"}
            known = {name: values.pop(name) for name in names & values.keys()}
            entry: R = replace(typed_json.build(self.kind, known), extra=values)
        except ValueError:
            return None
        return entry

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise InputError(
                f"cannot read {self.path}: {error.strerror or error}. Expected the ledger of "
                f"{self.content}, a file that you may read."
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


def _to_line(entry: Record) -> bytes:
    return files.json_text(entry.to_json()).encode()
