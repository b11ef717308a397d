"""Files that appear under their final name only when they are whole. A leaf.

A reader, or the same command after a crash, sees either the old file or the new one.
"""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError

if TYPE_CHECKING:
    import numpy as np

LOCK_SECONDS = 60.0
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
NO_SPACE_TEXTS = ("No space left", "File too large", "Not enough free space", " requested and ")


def error_from(error: OSError, path: Path) -> KaggleDigitsError:
    """Return ``error`` as one that tells the user what to do about ``path``."""
    # h5py and NumPy raise OSError without errno and put the reason into its text.
    if error.errno in NO_SPACE or any(text in str(error) for text in NO_SPACE_TEXTS):
        return OutsideError(
            f"no room to write {path}: {error.strerror or 'the disk is full'}. "
            "What was there before is unchanged. Free some space and run the same command again."
        )
    if error.errno in NO_LOCKS:
        return OutsideError(
            f"cannot lock {path}: its file system does not support file locks "
            f"({error.strerror or error}), which keep two processes from writing the same files. "
            "Choose a folder on a local disk, or mount this file system with locks."
        )
    in_the_way = error.errno in {errno.EEXIST, errno.ENOTDIR}
    reason = "a file is in the way of its folder" if in_the_way else error.strerror or error
    return InputError(
        f"cannot write {path}: {reason}. "
        "Expected a folder that you may write to; choose another one or change its permissions."
    )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; rename it to ``path`` if the block succeeds.

    The temporary name keeps the suffix, because Keras chooses its format by it. The content is
    flushed to the disk before the rename, so that a power cut cannot leave an empty file.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise error_from(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # renamed already, or its folder could not be made
            temporary.unlink()


@contextlib.contextmanager
def replacing_together(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Yield paths of the same names to write to; move them to ``paths`` if the block succeeds.

    For files that belong together, and for folders; they lie in one folder. The first path is what
    makes the others count: it goes before they are replaced and comes after them, so that a crash
    leaves them without it, but never with one that is not theirs.
    """
    folder = paths[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder, prefix=f".{paths[0].name}.", suffix=".tmp", ignore_cleanup_errors=True
        ) as beside:
            new = Path(beside, "new")
            new.mkdir()
            yield tuple(new / path.name for path in paths)
            for written in new.rglob("*"):
                if written.is_file():
                    with written.open("rb+") as file:
                        os.fsync(file.fileno())
            _move(new, paths, aside=Path(beside, "old"))
    except OSError as error:
        raise error_from(error, paths[0]) from error


def _move(new: Path, paths: tuple[Path, ...], aside: Path) -> None:
    first, *others = paths
    if first.is_dir() or (others and first.exists()):  # all else is replaced in one step
        first.rename(aside)
    moved = 0
    try:
        for path in (*others, first):
            (new / path.name).replace(path)
            moved += 1
    except OSError:
        if aside.exists() and not moved:
            aside.rename(first)
        raise


def require_writable(path: Path) -> None:
    """Raise now what writing ``path`` later would raise: before hours of work, not after them."""
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder. Expected the name of a file.")
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir():
        raise error_from(FileExistsError(errno.EEXIST, "File exists"), path)
    try:
        # os.access says yes on read-only file systems; writing does not.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise error_from(error, path) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON that UTF-8 can hold.

    File names that are not UTF-8 contain lone surrogates. JSON writes them as escapes, and reading
    it returns the same names.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_npz(path: Path, **arrays: "np.ndarray[Any, Any]") -> None:
    """Write ``arrays`` as an uncompressed ``.npz``, whole or not at all."""
    import numpy as np

    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


@contextlib.contextmanager
def locked(path: Path, *, busy: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock ``path``; raise InputError with ``busy`` if it cannot be had in time."""
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path).acquire(timeout=seconds)
    except Timeout as error:
        raise InputError(busy) from error
    except OSError as error:
        raise error_from(error, path) from error
    with held:
        yield


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the bytes of ``path``."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
