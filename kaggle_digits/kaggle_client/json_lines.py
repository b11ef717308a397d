"""Read and write a file of records: one JSON object per line, the oldest first.

Every change rewrites the file atomically under a lock, so concurrent processes lose nothing.
Damaged lines and unknown fields are preserved. Imports only the standard library, so that listing
starts quickly.
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
    """A dataclass with a field ``extra``: a dict of unknown fields, written by a later version."""

    @property
    def key(self) -> Hashable:
        """The record's identity."""

    def to_json(self) -> dict[str, Any]:
        """Return the record's JSON object, including unknown fields."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class JsonLines(Generic[R]):
    """A file of records, which may be missing. A subclass defines the type of the records."""

    path: Path

    kind: ClassVar[type[Any]]
    content: ClassVar[str]  # the records in words, for messages

    def entries(self) -> list[R]:
        """Return the undamaged records, the oldest first."""
        return [entry for _, entry in self._lines() if entry is not None]

    def damaged(self) -> dict[int, bytes]:
        """Return the damaged lines by their line numbers."""
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
        self.change(old, lambda _: new)

    def change(self, known: R, change: Callable[[R], R | None]) -> None:
        """Replace the record with the key of ``known`` by ``change(record)``; None removes it.

        ``change`` gets the record as it is in the file, which may be newer than ``known``.
        """
        self.update(lambda entry: change(entry) if entry.key == known.key else entry)

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
                f"{self.content}, a readable file."
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
