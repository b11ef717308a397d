"""Put files into the input folder so that a killed process, or a second one, is always noticed."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.datasets import cache, markers
from kaggle_digits.datasets.markers import Marker
from kaggle_digits.datasets.reading import file_sha256
from kaggle_digits.errors import KaggleDigitsError

LOCK = f"{cache.FOLDER}/.lock"
WAIT = 10.0  # seconds: what copies files is soon done, a download is not
STAGING = ".download-"
STAGED = re.compile(re.escape(STAGING) + "[a-z0-9_]{8}")  # as tempfile adds to it

Write = Callable[[Path], object]


@contextlib.contextmanager
def filling(folder: Path, *, room: int = 0, wait: float | None = None) -> Iterator[Path]:
    """Keep other processes from filling ``folder``; yield an empty folder in it for what comes.

    The empty folder is removed at the end, and what killed processes left is removed now: none of
    them is alive, because each holds the lock.

    Args:
        folder: the input folder; made if it is not there.
        room: bytes that must be free.
        wait: seconds to wait for another process that fills it; None for `WAIT`.

    Raises:
        InputError: another process is filling it, or nothing can be written there.
        OutsideError: there is not room enough.

    """
    busy = (
        f"another `kaggle-digits data get` is filling {folder}. Wait for it, then run the same "
        "command again."
    )
    with files.locked(folder / LOCK, busy=busy, seconds=WAIT if wait is None else wait):
        for path in _abandoned(folder):
            shutil.rmtree(path, ignore_errors=True)
        try:
            free = shutil.disk_usage(folder).free
            staging = tempfile.TemporaryDirectory(prefix=STAGING, dir=folder)
        except OSError as error:
            raise files.error_from(error, folder) from error
        with staging as name:
            if free < room:
                raise files.error_from(
                    OSError(errno.ENOSPC, f"it has {free >> 20} MiB left"), folder
                )
            yield Path(name)


def clean(folder: Path) -> None:
    """Remove what killed processes left in ``folder``, unless another process is filling it."""
    if _abandoned(folder):
        with contextlib.suppress(KaggleDigitsError), filling(folder, wait=0):
            pass


def _abandoned(folder: Path) -> list[Path]:
    """Return the folders of processes that were filling ``folder``; alive ones hold the lock."""
    with contextlib.suppress(OSError):  # it is not there, or cannot be listed
        return [
            Path(entry.path)
            for entry in os.scandir(folder)
            if STAGED.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return []


def place(
    writers: Mapping[str, Write],
    folder: Path,
    staging: Path,
    *,
    source: str,
    move_aside: Sequence[Path] = (),
    remove: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write all files, then move all of them to their places; return what made room for them.

    Nothing in the folder changes before everything is written. A process that is killed after that
    leaves a note which `markers.require_filled` understands.

    Args:
        writers: what writes each file, by its name below ``folder``.
        folder: the input folder, or any other.
        staging: an empty folder on the same disk.
        source: what the note says that the files are.
        move_aside: files of the user that are renamed.
        remove: files of an earlier `data get` that go.

    """
    try:
        new = {name: staging / "new" / name for name in writers}
        for name, write in writers.items():
            new[name].parent.mkdir(parents=True, exist_ok=True)
            write(new[name])
            with new[name].open("rb+") as file:
                os.fsync(file.fileno())
        hashes = {name: file_sha256(path) for name, path in new.items()}
        markers.write(folder, Marker(source, hashes, complete=False))
        moved = tuple(_aside(path) for path in move_aside)
        for name, path in new.items():
            (folder / name).parent.mkdir(exist_ok=True)
            path.replace(folder / name)
            files.flush_folder((folder / name).parent)
        for name in remove:
            _remove(folder, name)
        markers.write(folder, Marker(source, hashes))
    except OSError as error:
        raise files.error_from(error, folder) from error
    return moved


def _aside(path: Path) -> Path:
    numbers = iter(range(1, 1000))
    target = path.with_name(f"{path.name}.replaced")
    while target.exists():
        target = path.with_name(f"{path.name}.replaced-{next(numbers)}")
    return path.rename(target)


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    if path.parent != folder:
        with contextlib.suppress(OSError):  # there is something else in it
            path.parent.rmdir()
