"""Read files from others safely: only regular files of limited size.

Imports no other module of this package.
"""

import errno
import hashlib
import io
import json
import os
import stat
import struct
from pathlib import Path
from typing import IO, Any

MAX_TEXT_BYTES = 64 << 20  # for a CSV or JSON file: a hundred times the largest CSV of a run
MAX_FILE_BYTES = 2 << 30  # for any file
MAX_LIST = 1 << 20  # bytes of a zip's list of members: about 15,000 of them
END_OF_ZIP, LONG_ZIP = b"PK\5\6", b"PK\6\7"
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, max_bytes: int = MAX_FILE_BYTES) -> io.BufferedReader:
    """Open a regular file for reading.

    Links, pipes and devices are rejected: reading them may block, never end, or read another file.

    Args:
        path: the file; a link is not followed.
        max_bytes: the largest accepted size.

    Raises:
        OSError: it is not a regular file, too large, or missing; ``strerror`` says which.

    """
    require_regular(
        path, path.lstat(), max_bytes
    )  # before opening: opening a device may have effects
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    try:
        require_regular(path, os.fstat(file.fileno()), max_bytes)
    except OSError:
        file.close()
        raise
    return file


def special_kind(path: Path) -> str | None:
    """Return a description of a special file; None for a regular file, a folder or no file."""
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if kind == stat.S_IFDIR else KINDS.get(kind)


def require_regular(path: Path, status: os.stat_result, max_bytes: int) -> None:
    """Raise an OSError unless ``status`` is that of a regular file of at most ``max_bytes``."""
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        reason = f"it is {kind}; expected a regular file"
        raise OSError(errno.EINVAL, reason, str(path))
    if status.st_size > max_bytes:
        reason = f"it has {status.st_size:,} bytes; expected at most {max_bytes:,}"
        raise OSError(errno.EINVAL, reason, str(path))


def read_bytes(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return the bytes of ``path``. Errors are those of `open_regular`."""
    with open_regular(path, max_bytes) as file:
        return file.read(max_bytes)


def read_json(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """Return the value of the JSON in ``path``.

    Raises:
        OSError: as `open_regular`.
        ValueError: it is not JSON, or is nested too deeply.

    """
    try:
        return json.loads(read_bytes(path, max_bytes))
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def is_small_zip(file: IO[bytes]) -> bool:
    """Return whether the file ends like a zip with few members, as Keras and NumPy write it.

    Python allocates 13 bytes of memory per byte of the list of members when it opens a zip.
    """
    end = struct.Struct("<4s8x2LH")
    length = os.fstat(file.fileno()).st_size
    file.seek(-min(length, end.size + len(LONG_ZIP) + 16), os.SEEK_END)
    before, record = (tail := file.read())[: -end.size], tail[-end.size :]
    if len(record) < end.size or before.startswith(LONG_ZIP):  # whose list may be longer
        return False
    signature, size, _, comment = end.unpack(record)
    return bool(signature == END_OF_ZIP and size <= MAX_LIST and not comment)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at ``path`` in hexadecimal; links are followed."""
    with open_regular(path.resolve()) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
