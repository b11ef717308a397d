"""Read files whole, packed or not, within one limit.

What a file is, is told by its first bytes and not by its name. Nothing is unpacked to the disk.
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

# Of one file, unpacked or not. The largest of the competition, train.csv, has 77 MB.
MAX_BYTES = 768 << 20
MAX_LAYERS = 3  # train.csv.gz in train.csv.zip in a zip
MAX_MEMBERS = 10_000  # Python takes some 600 bytes of memory for each, a zip 46
CHUNK = 1 << 20

GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is empty
ZIP_ENTRY = b"PK\x01\x02"

# What a packed file that was cut short or damaged, by chance or on purpose, lets Python raise.
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
    """A file on the disk that remembers the hash of what was read of it.

    Attributes:
        path: where it is.

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
        """The SHA-256 of the bytes that `read` returned last, or that the file has now."""
        if self._sha256 is None:
            self._sha256 = file_sha256(self.path)
        return self._sha256


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        disk: the file itself, or the zip that holds it.
        member: its name in that zip; None for the file itself.
        spellings: what it may be called where it is packed once more.

    """

    disk: DiskFile
    member: str | None
    spellings: tuple[str, ...]

    def __str__(self) -> str:
        """Return what a message calls it."""
        path = str(self.disk.path)
        return path if self.member is None else f"{path} ({self.member})"

    def unpack(self, content: bytes) -> bytes:
        """Return what is in this file, given the bytes of the one on the disk.

        Raises:
            DataError: it is broken, packed in an unknown way, or larger than `MAX_BYTES`.

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
    """Return the error for a file that is there but cannot be opened or read."""
    return InputError(
        f"cannot read {path}: {error.strerror or error}. Expected a file that you may read; "
        "change its permissions or name another one."
    )


def gunzip(content: bytes, name: str, kind: str = "gzip") -> bytes:
    """Return what a gzip file holds.

    Args:
        content: its bytes.
        name: what a message calls it.
        kind: what a message says was expected.

    Raises:
        DataError: it is broken, or holds more than `MAX_BYTES`.

    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _read_bounded(stream, name)
    except BROKEN as error:
        reason = describe_reason(error)
        raise DataError(f"{name} is broken: {reason}. Expected a whole {kind} file.") from error


@contextlib.contextmanager
def open_zip(content: bytes, name: str) -> Iterator[zipfile.ZipFile]:
    """Yield the zip with these bytes; turn what is wrong with it, while it is read, into DataError.

    Raises:
        DataError: it is broken, or needs a password, or has more than `MAX_MEMBERS` members.

    """
    if (count := content.count(ZIP_ENTRY)) > MAX_MEMBERS:
        raise DataError(
            f"{name} holds {count:,} files. Expected a zip of at most {MAX_MEMBERS:,}; the "
            "competition's has 3."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except BROKEN as error:
        web_page = content[:64].lstrip().startswith(b"<")
        reason = "it is a web page, perhaps one that asks you to sign in"
        reason = reason if web_page else describe_reason(error)
        raise DataError(f"{name} is broken: {reason}. Expected a whole zip file.") from error


def member_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the files in a zip, with slashes, without what file managers add to it."""
    names = (_with_slashes(member) for member in archive.infolist())
    return [name for name in names if not name.endswith("/") and not is_hidden(name)]


def _with_slashes(member: zipfile.ZipInfo) -> str:
    return member.filename.replace("\\", "/")  # some of Windows's programs write backslashes


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    """Return what a zip has under the name ``member``; a message calls it ``name``.

    Raises:
        DataError: it is larger than `MAX_BYTES`.

    """
    found = next(info for info in archive.infolist() if _with_slashes(info) == member)
    with archive.open(found) as stream:
        return _read_bounded(stream, name)


def _read_bounded(stream: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    """Return what is left in ``stream``. More than the limit is never in memory."""
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
    """Return what is left when every layer of gzip and zip is taken off."""
    for _ in range(MAX_LAYERS):
        if content.startswith(GZIP):
            content = gunzip(content, name)
        elif content.startswith(ZIP):
            content = _only_member(content, name, spellings)
        else:
            break
    if content.startswith((GZIP, *ZIP)):
        raise DataError(
            f"{name} is packed more than {MAX_LAYERS} times over. Unpack it, and take the file "
            "that is in it."
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
