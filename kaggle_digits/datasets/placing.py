"""Put files into the input folder so that a killed process, or a second one, is always noticed."""

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
WAIT = 10.0  # seconds: what copies files is soon done, a download is not

Write = Callable[[Path], object]


@contextlib.contextmanager
def filling(folder: Path, *, room: int = 0) -> Iterator[Path]:
    """Keep other processes from filling ``folder``; yield a workspace in it for what comes.

    Args:
        folder: the input folder; made if it is not there.
        room: bytes that must be free.

    Raises:
        InputError: another process is filling it, or nothing can be written there.
        OutsideError: there is not room enough.

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
    """Write all files, then move all of them to their places; return what made room for them.

    Nothing in the folder changes before everything is written. A process that is killed after that
    leaves a note which `markers.require_filled` understands.

    Args:
        writers: what writes each file, by its name below ``folder``.
        folder: the input folder, or any other.
        workspace: a folder on the same disk, for as long as it takes.
        source: what the note says that the files are.
        move_aside: files of the user that are renamed.
        remove: files of an earlier `data get` that go.

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
