"""Put a data set into the input folder: from a path, from Kaggle, or the embedded sample.

One with known answers can also be written out in the competition's format, as a rehearsal.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kaggle_digits import credentials, files
from kaggle_digits.datasets import (
    finding,
    kaggle_csv,
    layouts,
    loading,
    markers,
    placing,
    rehearsal,
    sample,
)
from kaggle_digits.datasets.advice import advising, get_command
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.datasets.found import Found
from kaggle_digits.datasets.naming import usual_name
from kaggle_digits.datasets.reading import file_sha256
from kaggle_digits.errors import InputError, OutsideError

SOURCES = ("auto", "kaggle", "sample", "mnist", "cifar10")
VARIABLE = "KAGGLE_DIGITS_DATA"
FORMS = {
    "mnist": "mnist.npz, or a folder or zip with MNIST's IDX files, or with mnist_train.csv and "
    "mnist_test.csv",
    "cifar10": "cifar-10-python.tar.gz, or a folder with cifar-10-batches-py",
}
ROOM = 400 << 20  # zip, unpacked files and their copies

Download = Callable[[Path], Path]


@dataclass(frozen=True, eq=False)
class DownloadResult:
    """What `get` left in the folder.

    Attributes:
        splits: the data, as `load` returns it.
        folder: where it lies.
        taken_from: where it was copied from, a path or ``Kaggle``; None for the sample and for
            what was there already.
        kept: whether it was there already.
        moved_aside: files of yours that made room, under their new names.

    """

    splits: Splits
    folder: Path
    taken_from: Path | str | None = None
    kept: bool = False
    moved_aside: tuple[Path, ...] = ()

    @property
    def is_sample(self) -> bool:
        """Whether this is the stand-in: say so loudly, its submissions mean nothing to Kaggle."""
        return self.splits.source == "sample"


def get(
    source: str,
    *,
    folder: Path,
    from_path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    download: Download | None = None,
    force: bool = False,
) -> DownloadResult:
    """Put data into ``folder`` and return it, read whole and checked.

    Args:
        source: ``auto`` takes what lies in the folder, else what KAGGLE_DIGITS_DATA names, else
            downloads if ``download`` is given, else takes the sample. The others ask for exactly
            that; ``kaggle`` keeps the competition's data if it is there and whole.
        folder: the input folder; made if it is not there.
        from_path: the competition's zip or one of MNIST, mnist.npz, CIFAR-10's .tar.gz, one of
            several files, or a folder that `load` would take.
        environment: where to look for KAGGLE_DIGITS_DATA.
        download: puts the competition's zip into an empty folder and returns its path; None
            without credentials.
        force: whether ``kaggle`` downloads even if the data is there.

    Raises:
        InputError: the data is broken, is not what ``source`` asks for, or cannot be had.
        OutsideError: the disk is full, or the download failed. What was there is still there.

    """
    if source not in SOURCES:
        raise InputError(f"--source: received {source!r}, expected one of {', '.join(SOURCES)}.")
    files.remove_abandoned(folder)
    if source == "sample":
        if from_path is not None:
            raise InputError(
                f"--source sample needs no files: received --from {from_path}. "
                "Leave one of the two out."
            )
        return _get_sample(folder)
    if from_path is not None:
        return _get_from(from_path, folder, source)
    if source == "auto":
        return _get_auto(folder, environment, download)
    if not force and (kept := _kept(source, folder)):
        return kept
    if source == "kaggle" and download is not None:
        return _get_kaggle(folder, download, force=force)
    raise InputError(_unavailable(source, folder))


def _get_auto(
    folder: Path, environment: Mapping[str, str], download: Download | None
) -> DownloadResult:
    if finding.find(folder) is not None:
        return DownloadResult(loading.load(folder), folder, kept=True)
    if path := environment.get(VARIABLE):
        return _get_from(files.expand_home(path), folder, "auto")
    return _get_kaggle(folder, download) if download else _get_sample(folder)


def _kept(source: str, folder: Path) -> DownloadResult | None:
    # What is there may be broken: that is a reason to get it again, not to complain about it.
    with contextlib.suppress(InputError):
        splits = loading.load(folder)
        if splits.source == source:
            return DownloadResult(splits, folder, kept=True)
    return None


def _unavailable(source: str, folder: Path) -> str:
    if source == "kaggle":
        from_zip = get_command(folder, "--from", "PATH/digit-recognizer.zip")
        return (
            f"--source kaggle: {credentials.explain_missing()}, and accept the competition's rules "
            "at https://www.kaggle.com/competitions/digit-recognizer/rules. Or download it there "
            f"in a browser:\n  {from_zip}"
        )
    return (
        f"--source {source}: this program does not download it. Expected the data in {folder} or "
        f"--from PATH. Run instead:\n  {get_command(folder, '--from', 'PATH')}   ({FORMS[source]})"
    )


def _get_kaggle(folder: Path, download: Download, *, force: bool = False) -> DownloadResult:
    """Download and unpack beside what is there, check, and only then put it in its place."""
    with placing.filling(folder, room=ROOM) as workspace:  # Kaggle's client would blame the network
        if not force and (kept := _kept("kaggle", folder)):
            return kept  # another process downloaded it meanwhile
        (packed := workspace / "packed").mkdir()
        (unpacked := workspace / "unpacked").mkdir()
        archive = download(packed)
        try:
            with advising(folder):
                kaggle_csv.unpack(archive, unpacked)
            found = finding.find_at(unpacked, folder)
            splits = loading.read(found, folder)
            _require_source("kaggle", splits, unpacked)
        except InputError as error:
            reason = str(error).replace(f"{workspace}{os.sep}", "")
            raise OutsideError(
                f"what Kaggle sent is not the competition's data, whole: {reason}\n"
                f"What was in {folder} before is unchanged."
            ) from error
        obtained = _take(found, splits, folder, workspace, beside=(kaggle_csv.EXAMPLE,))
    return replace(obtained, taken_from="Kaggle")


def _get_sample(folder: Path) -> DownloadResult:
    """Write the sample, unless it is there; refuse where anything else is."""
    if kept := _kept_sample(folder):
        return kept
    with placing.filling(folder) as workspace:
        if kept := _kept_sample(folder):
            return kept  # another process wrote it meanwhile
        if present := _present(folder):
            raise InputError(
                f"{folder} holds {', '.join(present)}, which the sample would "
                "replace. Choose another folder with --input DIR, or leave out --source sample to "
                "use what is there."
            )
        placing.place(sample.writers(), folder, workspace, source="sample")
    return DownloadResult(loading.load(folder), folder)


def _kept_sample(folder: Path) -> DownloadResult | None:
    marker = markers.read(folder)
    if marker is None or not marker.complete:
        return None
    found = finding.find(folder) if len(finding.pieces(folder)) == len(layouts.CSV.files) else None
    if found and found.stands_in == "sample":
        return DownloadResult(loading.load(folder), folder, kept=True)
    return None


def _present(folder: Path) -> tuple[str, ...]:
    """Return the names of files of any data set, whole or not, but an interrupted sample's."""
    marker = markers.read(folder)
    ours = set()
    if marker and not marker.complete and marker.source == "sample":
        ours = set(marker.sha256) - set(marker.changed(folder))
    if present := finding.pieces(folder):
        return tuple(name for name in present if name not in ours)
    found = finding.find(folder)  # of unusual names
    return found.names if found else ()


def get_rehearsal(source: str, *, folder: Path, from_path: Path, seed: int) -> DownloadResult:
    """Write the digits in ``from_path`` into ``folder`` as the competition's files, with answers.

    Args:
        source: ``auto``, or what ``from_path`` must hold.
        folder: the input folder; made if it is not there.
        from_path: labelled train and test images; as for `get`.
        seed: decides the split and the order. The same seed gives the same bytes.

    Raises:
        InputError: the data is broken, is not what ``source`` asks for, has no labels for its test
            images, or is not of grey 28×28 images.
        OutsideError: the disk is full. What was there is still there.

    """
    found = finding.find_at(from_path, folder)
    if found.folder.resolve() == folder.resolve():
        raise InputError(
            f"--from {from_path} lies in {folder}, where the rehearsal would take its place. "
            "Name another folder for one of them, such as --input rehearsal."
        )
    splits = loading.read(found, folder, keep=False)
    _require_source(source, splits, from_path)
    writers = rehearsal.writers(splits, seed, name=str(from_path))
    with placing.filling(folder, room=ROOM) as workspace:
        (written := workspace / "written").mkdir()
        placing.place(writers, written, workspace, source=rehearsal.SOURCE)
        found = finding.find_at(written, folder)
        splits = loading.read(found, folder)
        obtained = _take(found, splits, folder, workspace, beside=rehearsal.BESIDE)
    return replace(obtained, taken_from=from_path)


def _get_from(path: Path, folder: Path, source: str) -> DownloadResult:
    """Check what ``path`` holds by reading it whole, then copy it and remove what was there."""
    found = finding.find_at(path, folder)
    if source == "mnist" and found.layout == layouts.CSV and found.members is None:
        # MNIST's CSVs under the names of the competition's: what they are was said.
        found = replace(found, layout=layouts.MNIST_CSV)
    # Cached in the target: beside the original nothing is written, and `load` finds it there.
    splits = loading.read(found, folder)
    _require_source(source, splits, path)
    beside = rehearsal.BESIDE if splits.source == rehearsal.SOURCE else ()
    with placing.filling(folder) as workspace:
        obtained = _take(found, splits, folder, workspace, beside=beside)
    return obtained if obtained.kept else replace(obtained, taken_from=path)


def _take(
    found: Found, splits: Splits, folder: Path, workspace: Path, *, beside: tuple[str, ...]
) -> DownloadResult:
    """Copy the files ``found``, which were read as ``splits``, and remove what was there.

    Files of the names ``beside`` are copied with them where they lie in the same folder.
    """
    targets = {name: found.folder / name for name in beside if (found.folder / name).is_file()}
    paths = (file.path for file in found.disk_files)
    targets |= zip(_target_names(found, folder), paths, strict=True)
    changed = [name for name, file in targets.items() if not _same(folder / name, file)]
    obsolete = [name for name in finding.pieces(folder) if name not in targets]
    marker = markers.read(folder)
    whole = not changed and not obsolete and (marker is None or marker.complete)
    if whole and (kept := _kept(splits.source, folder)):
        return kept
    ours = _list_own_files(folder)
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


def _require_source(source: str, splits: Splits, path: Path) -> None:
    if source not in ("auto", splits.source):
        raise InputError(
            f"--source {source}: {path} holds data of another source, {splits.source} with "
            f"{len(splits.train)} train and {len(splits.test)} test images. "
            "Leave out --source to take it nevertheless."
        )


def _target_names(found: Found, folder: Path) -> list[str]:
    """Return what each file is to be called: as it lies in ``folder``, else as is usual there."""
    if found.folder.resolve() == folder.resolve():
        return list(found.names)
    if found.members is not None:
        return [layouts.ZIPS[found.layout]]
    names = zip(found.names, found.layout.files, strict=True)
    return [
        next(
            (one for one in spellings if Path(one).name == usual_name(Path(name).name)),
            spellings[0],
        )
        for name, spellings in names
    ]


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    if not one.is_file():
        return False
    return one.stat().st_size == other.stat().st_size and (
        one.samefile(other) or file_sha256(one) == file_sha256(other)
    )


def _list_own_files(folder: Path) -> list[str]:
    """Return the names of the files that an earlier `get` left and that are still those.

    Earlier versions noted the hash of one of them; it spoke for the others.
    """
    marker = markers.read(folder)
    if marker is None:
        return []
    changed = marker.changed(folder)
    known = [name for name, sha256 in marker.sha256.items() if sha256 is not None]
    if not set(known) - set(changed):
        return []
    return [name for name in marker.sha256 if name not in changed]


def _copier(file: Path) -> placing.Write:
    # With the content alone: a read-only original must not make a read-only copy.
    return lambda target: shutil.copyfile(file, target)
