"""Read files into memory, compressed or not, within one size limit.

A file's format is recognised by its first bytes, not by its name. Nothing is unpacked to the disk.
"""

import contextlib
import gzip
import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.naming import candidates, is_hidden, join_names
from kaggle_digits.errors import InputError, describe_reason

# Of one file, before and after unpacking. The competition's largest, train.csv, has 77 MB.
MAX_BYTES = 768 << 20
MAX_LAYERS = 3  # train.csv.gz in train.csv.zip in a zip
MAX_MEMBERS = 10_000  # each takes 46 bytes in a zip and about 600 bytes in Python's memory
CHUNK = 1 << 20

GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is empty
ZIP_ENTRY = b"PK\x01\x02"

# The errors that Python raises for a damaged, truncated or malicious compressed file.
BROKEN = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    OverflowError,
    RuntimeError,  # a password is needed
    NotImplementedError,  # a compression that Python does not know
)


class DiskFile:
    """A file on the disk that keeps the hash of the bytes that were read.

    Attributes:
        path: the file's path.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sha256: str | None = None

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            InputError: as `read_whole`.

        """
        content = read_whole(self.path)
        self._sha256 = hashlib.sha256(content).hexdigest()
        return content

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes that `read` returned, or of the file if it was not read."""
        if self._sha256 is None:
            self._sha256 = file_sha256(self.path)
        return self._sha256


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        disk: the file itself, or the zip that holds it.
        member: its name in that zip; None for the file itself.
        spellings: its accepted names inside a further archive.

    """

    disk: DiskFile
    member: str | None
    spellings: tuple[str, ...]

    def __str__(self) -> str:
        """Return the file's name for messages."""
        path = str(self.disk.path)
        return path if self.member is None else f"{path} ({self.member})"

    def unpack(self, content: bytes) -> bytes:
        """Return the unpacked bytes of this file, given those of the file on the disk.

        Raises:
            DataError: it is broken, compressed in an unknown way, or larger than `MAX_BYTES`.

        """
        if self.member is not None:
            with open_zip(content, str(self.disk.path)) as archive:
                content = read_member(archive, self.member, str(self))
        return _without_layers(content, str(self), self.spellings)


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file on the disk.

    Raises:
        InputError: it cannot be read, or is larger than `MAX_BYTES`.

    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            if size > MAX_BYTES:
                raise _too_large(str(path), f"has {size:,} bytes")
            file.seek(0)
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that exists but cannot be opened or read."""
    return InputError(
        f"cannot read {path}: {error.strerror or error}. Expected a readable file: "
        "change its permissions or choose another file."
    )


def gunzip(content: bytes, name: str, kind: str = "gzip") -> bytes:
    """Return the decompressed bytes of a gzip file.

    Args:
        content: the compressed bytes.
        name: the file's name in messages.
        kind: the expected kind of file in messages.

    Raises:
        DataError: it is broken, or decompresses to more than `MAX_BYTES`.

    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _read_bounded(stream, name)
    except BROKEN as error:
        reason = describe_reason(error)
        raise DataError(f"{name} is broken: {reason}. Expected a complete {kind} file.") from error


@contextlib.contextmanager
def open_zip(content: bytes, name: str) -> Iterator[zipfile.ZipFile]:
    """Yield the zip with these bytes, and raise `DataError` for any error while it is read.

    Raises:
        DataError: it is broken, needs a password, or has more than `MAX_MEMBERS` members.

    """
    if (count := content.count(ZIP_ENTRY)) > MAX_MEMBERS:
        raise DataError(
            f"{name} holds {count:,} files. Expected a zip of at most {MAX_MEMBERS:,} files; the "
            "competition's has 3."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except BROKEN as error:
        web_page = content[:64].lstrip().startswith(b"<")
        reason = "it is a web page, perhaps one that asks you to sign in"
        reason = reason if web_page else describe_reason(error)
        raise DataError(f"{name} is broken: {reason}. Expected a complete zip file.") from error


def member_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the files in a zip, without those that file managers add."""
    names = (_with_slashes(member) for member in archive.infolist())
    return [name for name in names if not name.endswith("/") and not is_hidden(name)]


def _with_slashes(member: zipfile.ZipInfo) -> str:
    return member.filename.replace("\\", "/")  # some Windows programs write backslashes


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    """Return the bytes of ``member`` in a zip; ``name`` is its name in messages.

    Raises:
        DataError: it is larger than `MAX_BYTES`.

    """
    found = next(info for info in archive.infolist() if _with_slashes(info) == member)
    with archive.open(found) as stream:
        return _read_bounded(stream, name)


def _read_bounded(stream: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    """Return the rest of ``stream``, holding at most `MAX_BYTES` in memory."""
    content = io.BytesIO()
    while chunk := stream.read(CHUNK):
        if content.tell() + len(chunk) > MAX_BYTES:
            raise _too_large(name, f"unpacks to more than {MAX_BYTES:,} bytes")
        content.write(chunk)
    return content.getvalue()


def _too_large(name: str, problem: str) -> DataError:
    return DataError(
        f"{name} {problem}. Expected at most {MAX_BYTES:,}: ten times the competition's train.csv."
    )


def _without_layers(content: bytes, name: str, spellings: Sequence[str]) -> bytes:
    """Return ``content`` without its layers of gzip and zip."""
    for _ in range(MAX_LAYERS):
        if content.startswith(GZIP):
            content = gunzip(content, name)
        elif content.startswith(ZIP):
            content = _only_member(content, name, spellings)
        else:
            break
    if content.startswith((GZIP, *ZIP)):
        raise DataError(
            f"{name} is compressed more than {MAX_LAYERS} times. Unpack it and give the inner file."
        )
    return content


def _only_member(content: bytes, name: str, spellings: Sequence[str]) -> bytes:
    with open_zip(content, name) as archive:
        names = member_names(archive)
        found = candidates(spellings, [member.rpartition("/")[2] for member in names])
        fitting = [member for member in names if member.rpartition("/")[2] in found] or names
        if len(fitting) != 1:
            raise DataError(
                f"{name} is a zip that holds {join_names(names)}. "
                f"Expected one file, {spellings[0]}."
            )
        return read_member(archive, fitting[0], f"{name} ({fitting[0]})")
