"""Put files into the input folder so that killed and concurrent processes are noticed."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.datasets import cache, markers
from kaggle_digits.datasets.markers import Marker
from kaggle_digits.datasets.reading import file_sha256

LOCK = f"{cache.FOLDER}/.lock"
WAIT = 10.0  # seconds; enough for another process that copies files, but not for a download

Write = Callable[[Path], object]


@contextlib.contextmanager
def reserve_folder(folder: Path, *, room: int = 0) -> Iterator[Path]:
    """Lock ``folder`` against other `data get` processes, and yield a temporary folder in it.

    Args:
        folder: the input folder; created if it is missing.
        room: the required free space in bytes.

    Raises:
        InputError: another process is filling it, or it is not writable.
        OutsideError: the disk has too little free space.

    """
    busy = (
        f"another `kaggle-digits data get` is filling {folder}. Wait for it, then run the same "
        "command again."
    )
    with files.lock(folder / LOCK, busy=busy, seconds=WAIT), contextlib.ExitStack() as stack:
        try:
            free = shutil.disk_usage(folder).free
            workspace = stack.enter_context(files.workspace(folder))
        except OSError as error:
            raise files.error_from(error, folder) from error
        if free < room:
            raise files.error_from(OSError(errno.ENOSPC, f"it has {free >> 20} MiB left"), folder)
        yield workspace


def place(
    writers: Mapping[str, Write],
    folder: Path,
    workspace: Path,
    *,
    source: str,
    move_aside: Sequence[Path] = (),
    remove: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write all files into a temporary folder, then move all of them into ``folder``.

    The folder is unchanged until everything is written. A process that is killed after that leaves
    a record that `markers.require_filled` recognises.

    Args:
        writers: a function that writes each file, by its name relative to ``folder``.
        folder: the target folder.
        workspace: a temporary folder on the same disk.
        source: the source to record.
        move_aside: the user's files to rename.
        remove: names of files of an earlier `data get` to remove.

    Returns:
        The new paths of ``move_aside``.

    """
    try:
        new = {name: workspace / "new" / name for name in writers}
        for name, write in writers.items():
            new[name].parent.mkdir(parents=True, exist_ok=True)
            write(new[name])
            with new[name].open("rb+") as file:
                os.fsync(file.fileno())
        hashes = {name: file_sha256(path) for name, path in new.items()}
        markers.write(folder, Marker(source, hashes, complete=False))
        moved = tuple(_move_aside(path) for path in move_aside)
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


def _move_aside(path: Path) -> Path:
    numbers = iter(range(1, 1000))
    target = path.with_name(f"{path.name}.replaced")
    while target.exists():
        target = path.with_name(f"{path.name}.replaced-{next(numbers)}")
    return path.rename(target)


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    if path.parent != folder:
        with contextlib.suppress(OSError):  # the folder is not empty
            path.parent.rmdir()
