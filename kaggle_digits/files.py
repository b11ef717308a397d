"""Write files atomically, and lock them.

A reader, or the same command after a crash, sees either the old file or the new one.
"""

import codecs
import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits import safe_reading
from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
from kaggle_digits.terminal_text import plain

if TYPE_CHECKING:
    import numpy as np

# Where commands write by default, in the current folder.
RUNS = Path("runs")
SUBMISSIONS = Path("submissions")
LOCK_SECONDS = 60.0
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
NO_SPACE_TEXTS = ("No space left", "File too large", "Not enough free space", " requested and ")
DEVICE_FAULTS = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT}
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}  # raised by some network file systems

# Only this module creates folders of this name, so they may be removed once their process is gone.
WORKSPACE = re.compile(r"\.kaggle-digits-[a-z0-9_]{8}\.tmp")


def error_from(error: OSError, path: Path) -> KaggleDigitsError:
    """Return ``error`` as an error that tells the user what to do about ``path``."""
    # h5py and NumPy raise OSError without errno and put the reason into the text.
    if error.errno in NO_SPACE or any(text in str(error) for text in NO_SPACE_TEXTS):
        return OutsideError(
            f"no space to write {path}: {error.strerror or 'the disk is full'}. "
            "Existing files are unchanged. Free some space and run the same command again."
        )
    if error.errno in NO_LOCKS:
        return OutsideError(
            f"cannot lock {path}: its file system does not support file locks "
            f"({error.strerror or error}), which prevent two processes from writing the same "
            "files. Choose a folder on a local disk, or mount this file system with locks."
        )
    if error.errno in DEVICE_FAULTS:
        return OutsideError(
            f"cannot write {path}: {error.strerror}. The disk or the network drive reports an "
            "error. Check it, then run the same command again."
        )
    reason = error.strerror or error
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        reason = "a parent folder is a file or a link to nothing"
    return InputError(
        f"cannot write {path}: {reason}. "
        "Expected a writable folder. Choose another one or change its permissions."
    )


def expand_home(path: str | Path, name: str = "a path") -> Path:
    """Return ``path`` with ``~`` and ``~user`` expanded; unchanged if there is no such user.

    Args:
        path: a path, also from Python, where it may be anything.
        name: the name of the argument, for messages.

    Raises:
        InputError: it is neither text nor a path, is empty, or has a null character.

    """
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise InputError(
            f"received {plain(repr(path))} for {name}. Expected the path of a file or folder, as "
            "text or as a pathlib.Path."
        )
    if "\0" in str(path):
        raise InputError(
            f"received the path {str(path)!r}. Expected a path without null characters, which no "
            "file name may have."
        )
    return Path(os.path.expanduser(path))  # noqa: PTH111 — Path.expanduser raises in that case


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Yield a new temporary folder in ``folder``, and remove it at the end.

    ``folder`` is created if it is missing. The name is random and only this user has access, so
    nobody else can place a link there. The temporary folder is locked while this process lives; the
    next process that writes to ``folder`` removes the temporary folders of killed processes.
    """
    make_folder(folder)
    remove_abandoned(folder)
    made, lock = _locked_folder(folder)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents, and flush their names to the disk."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def _locked_folder(folder: Path) -> tuple[Path, int]:
    """Create a folder with a random name in ``folder``; return it and its open descriptor."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=".kaggle-digits-", suffix=".tmp", dir=folder))
        with contextlib.suppress(
            FileNotFoundError
        ):  # removed by another process before it was locked
            lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # without locks no folder is removed either
                fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                return made, lock
            os.close(lock)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders of processes that no longer exist."""
    with contextlib.suppress(OSError):  # if it cannot be listed, the next write reports it
        for path in folder.iterdir():
            if WORKSPACE.fullmatch(path.name):
                with contextlib.suppress(OSError):  # in use, a link, or gone
                    _remove_if_unlocked(path)


def _remove_if_unlocked(path: Path) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(lock)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; move it to ``path`` if the block succeeds.

    The path has the same file name, because Keras chooses its format by the suffix, and lies in a
    temporary folder beside ``path``. Content and folder are flushed to the disk, so that a power
    cut leaves the old file or the new one. A link at ``path`` is replaced, not followed.
    """
    try:
        with workspace(path.parent) as beside:
            temporary = beside / path.name
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            flush_folder(path.parent)
    except OSError as error:
        raise error_from(error, path) from error


@contextlib.contextmanager
def replacing_together(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Yield paths to write to; move all of them to ``paths`` if the block succeeds.

    For files or folders that belong together; they must lie in one folder. The first path marks the
    others as valid: it is removed before they are replaced and written after them. So a crash may
    leave them without the first file, but never with one that does not belong to them.
    """
    try:
        with workspace(paths[0].parent) as beside:
            new = beside / "new"
            new.mkdir()
            yield tuple(new / path.name for path in paths)
            for written in new.rglob("*"):
                if written.is_file():
                    _flush(written)
                else:
                    flush_folder(written)
            _move(new, paths, aside=beside / "old")
    except OSError as error:
        raise error_from(error, paths[0]) from error


def _move(new: Path, paths: tuple[Path, ...], aside: Path) -> None:
    first, *others = paths
    if first.is_dir() or (others and first.exists()):  # all else is replaced in one step
        first.rename(aside)
        flush_folder(first.parent)
    moved = 0
    try:
        for path in (*others, first):
            (new / path.name).replace(path)
            moved += 1
            flush_folder(path.parent)
    except OSError:
        if aside.exists() and not moved:
            aside.rename(first)
        raise


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk, so that a power cut does not undo a rename."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder without read permission cannot be flushed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def require_writable(path: Path) -> None:
    """Check that ``path`` can be written, so that long work does not fail at its end.

    Args:
        path: the file to be written later.

    Raises:
        InputError: it is a folder, or its folder is not writable.

    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder. Expected the name of a file.")
    there = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not there.is_dir():
        raise error_from(FileExistsError(errno.EEXIST, "File exists"), path)
    try:
        # os.access returns True on read-only file systems, so try to write.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise error_from(error, path) from error


def require_replaceable(path: Path, kind: str, *starts: bytes) -> None:
    """Check that ``path`` can be written and that no file of another kind would be lost.

    Args:
        path: the file to be written later.
        kind: what such a file is called in the message, such as "a submission".
        starts: the bytes with which files of this kind begin, the usual ones first.

    Raises:
        InputError: ``path`` cannot be written, or a file of another kind is there.

    """
    require_writable(path)
    if not path.exists():
        return
    if not path.is_file():  # a pipe would make the next lines wait forever
        raise InputError(f"{path} is not a regular file. Expected the name of a new file.")
    try:
        with path.open("rb") as file:
            found = file.read(len(codecs.BOM_UTF8) + max(map(len, starts)))
    except OSError as error:
        raise error_from(error, path) from error
    if found and not found.removeprefix(codecs.BOM_UTF8).startswith(starts):
        shown = " ".join(starts[0].decode("latin-1").split())
        why = f": it does not begin with {shown}" if shown.isascii() else ""
        raise InputError(
            f"{path} exists and is not {kind}{why}. The file was not changed. Use a new name, or "
            "that of an earlier file of this kind."
        )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically as UTF-8 with LF line endings."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON."""
    write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON text that can be encoded as UTF-8.

    File names that are not UTF-8 contain lone surrogates. They are escaped; reading the JSON
    returns the same names.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_npz(path: Path, **arrays: "np.ndarray[Any, Any]") -> None:
    """Write ``arrays`` atomically as an uncompressed ``.npz``."""
    import numpy as np

    with replacing(path) as temporary:
        # Without allow_pickle=False, which NumPy 2.0 would write as one more array.
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # its stubs expect a bool


@contextlib.contextmanager
def lock(path: Path, *, busy: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock file ``path``, and remove what killed processes left beside it.

    Args:
        path: the lock file; created if it is missing.
        busy: the message if another process holds the lock.
        seconds: how long to wait for it.

    Raises:
        InputError: another process still holds the lock, or ``path`` cannot be written.
        OutsideError: the disk is full or failed, or its file system has no locks.

    """
    from filelock import FileLock, Timeout

    try:
        make_folder(path.parent)
        if path.exists() or path.is_symlink():  # opening a link would truncate its target
            safe_reading.require_regular(path, path.lstat(), safe_reading.MAX_TEXT_BYTES)
        held = FileLock(path).acquire(timeout=seconds)
    except Timeout as error:
        raise InputError(busy) from error
    except OSError as error:
        raise error_from(error, path) from error
    with held:
        remove_abandoned(path.parent)
        yield
