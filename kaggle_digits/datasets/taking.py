"""Take a data set into the input folder: copy its files there, and remove the old ones."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.datasets import finding, layouts, loading, markers, placing
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.datasets.found import Found
from kaggle_digits.datasets.naming import usual_name
from kaggle_digits.datasets.reading import file_sha256
from kaggle_digits.errors import InputError


@dataclass(frozen=True, eq=False)
class DownloadResult:
    """The data that `get` put into the folder.

    Attributes:
        splits: the data, as `load` returns it.
        folder: the input folder.
        taken_from: the path it was copied from, or ``Kaggle``; None for the sample and for data
            that was there already.
        kept: whether it was there already.
        moved_aside: the user's files that were renamed to make room, under their new names.

    """

    splits: Splits
    folder: Path
    taken_from: Path | str | None = None
    kept: bool = False
    moved_aside: tuple[Path, ...] = ()

    @property
    def is_sample(self) -> bool:
        """Whether this is the embedded sample, which is not an entry for the competition."""
        return self.splits.source == "sample"


def load_present(source: str, folder: Path) -> DownloadResult | None:
    """Return the data in ``folder``; None if it is missing, broken or of another source."""
    # Data that is broken is replaced, so its errors do not matter here.
    with contextlib.suppress(InputError):
        splits = loading.load(folder)
        if splits.source == source:
            return DownloadResult(splits, folder, kept=True)
    return None


def take(
    found: Found, splits: Splits, folder: Path, workspace: Path, *, beside: tuple[str, ...]
) -> DownloadResult:
    """Copy the files ``found``, which were read as ``splits``, and remove the old files.

    Files named in ``beside`` are copied with them if they lie in the same folder.
    """
    targets = {name: found.folder / name for name in beside if (found.folder / name).is_file()}
    paths = (file.path for file in found.disk_files)
    targets |= zip(_target_names(found, folder), paths, strict=True)
    changed = [
        name for name, file in targets.items() if not _have_same_content(folder / name, file)
    ]
    obsolete = [name for name in finding.list_pieces(folder) if name not in targets]
    is_present = not changed and not obsolete and markers.read(folder).complete
    if is_present and (kept := load_present(splits.source, folder)):
        return kept
    ours = list_own_files(folder)
    theirs = [folder / name for name in (*obsolete, *changed) if name not in ours]
    moved = placing.place(
        {name: _copier(file) for name, file in targets.items()},
        folder,
        workspace,
        source=splits.source,
        move_aside=[file for file in theirs if file.is_file()],
        remove=[name for name in ours if name not in targets],
    )
    return DownloadResult(loading.load(folder), folder, moved_aside=moved)


def _target_names(found: Found, folder: Path) -> list[str]:
    """Return the name of each file in ``folder``: its present name there, else the usual one."""
    if found.folder.resolve() == folder.resolve():
        return list(found.names)
    if found.members is not None:
        return [layouts.ZIPS[found.layout]]
    names = zip(found.names, found.layout.files, strict=True)
    return [
        next(
            (target for target in spellings if Path(target).name == usual_name(Path(name).name)),
            spellings[0],
        )
        for name, spellings in names
    ]


def _have_same_content(path: Path, other: Path) -> bool:
    """Return whether two files hold the same bytes."""
    if not path.is_file():
        return False
    return path.stat().st_size == other.stat().st_size and (
        path.samefile(other) or file_sha256(path) == file_sha256(other)
    )


def list_own_files(folder: Path) -> list[str]:
    """Return the names of the files that an earlier `get` wrote and that are unchanged.

    Earlier versions recorded the hash of only one of them; if it is unchanged, all are.
    """
    marker = markers.read(folder)
    changed = marker.changed(folder)
    known = [name for name, sha256 in marker.sha256.items() if sha256 is not None]
    if not set(known) - set(changed):
        return []
    return [name for name in marker.sha256 if name not in changed]


def _copier(file: Path) -> placing.Write:
    # Copy the content but not the permissions: the copy of a read-only file must be writable.
    return lambda target: shutil.copyfile(file, target)
