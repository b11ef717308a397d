"""Put a data set into the input folder: from a path, from Kaggle, or the embedded sample.

One with known answers can also be written out in the competition's format, as a rehearsal.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kaggle_digits import credentials, files
from kaggle_digits.datasets import cache, kaggle_csv, layouts, loading, rehearsal, sample
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError, OutsideError

SOURCES = ("auto", "kaggle", "sample", "mnist", "cifar10")
VARIABLE = "KAGGLE_DIGITS_DATA"
FORMS = {
    "mnist": "mnist.npz, or a folder with the IDX files",
    "cifar10": "cifar-10-python.tar.gz, or a folder with cifar-10-batches-py",
}
ROOM = 400 << 20  # zip, unpacked files and their copies

# One file that is the whole data set, whatever it is called before the end of its name.
PACKED = (
    (".zip", layouts.ZIP),
    (".npz", layouts.MNIST_NPZ),
    ((".tar.gz", ".tgz"), layouts.CIFAR10_ARCHIVE),
)

Write = Callable[[Path], object]
Download = Callable[[Path], Path]


@dataclass(frozen=True, eq=False)
class Obtained:
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
    again: bool = False,
) -> Obtained:
    """Put data into ``folder`` and return it, read whole and checked.

    Args:
        source: ``auto`` takes what lies in the folder, else what KAGGLE_DIGITS_DATA names, else
            downloads if ``download`` is given, else takes the sample. The others ask for exactly
            that; ``kaggle`` keeps the competition's data if it is there and whole.
        folder: the input folder; made if it is not there.
        from_path: the competition's zip, mnist.npz, CIFAR-10's .tar.gz, or a folder that `load`
            would take.
        environment: where to look for KAGGLE_DIGITS_DATA.
        download: puts the competition's zip into an empty folder and returns its path; None
            without credentials.
        again: whether ``kaggle`` downloads even if the data is there.

    Raises:
        InputError: the data is broken, is not what ``source`` asks for, or cannot be had.
        OutsideError: the disk is full, or the download failed. What was there is still there.

    """
    if source not in SOURCES:
        raise InputError(f"--source: received {source!r}, expected one of {', '.join(SOURCES)}.")
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
    if not again and (kept := _kept(source, folder)):
        return kept
    if source == "kaggle" and download is not None:
        return _get_kaggle(folder, download)
    raise InputError(_unavailable(source, folder))


def _get_auto(folder: Path, environment: Mapping[str, str], download: Download | None) -> Obtained:
    if layouts.find(folder) is not None:
        return Obtained(loading.load(folder), folder, kept=True)
    if path := environment.get(VARIABLE):
        return _get_from(Path(path), folder, "auto")
    return _get_kaggle(folder, download) if download else _get_sample(folder)


def _kept(source: str, folder: Path) -> Obtained | None:
    # What is there may be broken: that is a reason to get it again, not to complain about it.
    with contextlib.suppress(InputError):
        splits = loading.load(folder)
        if splits.source == source:
            return Obtained(splits, folder, kept=True)
    return None


def _unavailable(source: str, folder: Path) -> str:
    if source == "kaggle":
        return (
            f"--source kaggle: there are no credentials for Kaggle. {credentials.HOW_TO_GET}, and "
            "accept the competition's rules at "
            "https://www.kaggle.com/competitions/digit-recognizer/rules. Or download it there in a "
            "browser:\n  kaggle-digits data get --from PATH/digit-recognizer.zip"
        )
    return (
        f"--source {source}: this program does not download it. Expected the data in {folder} or "
        f"--from PATH. Run instead:\n  kaggle-digits data get --from PATH   ({FORMS[source]})"
    )


def _get_kaggle(folder: Path, download: Download) -> Obtained:
    """Download and unpack beside what is there, check, and only then put it in its place."""
    with _beside(folder) as beside:
        (packed := beside / "packed").mkdir()
        (unpacked := beside / "unpacked").mkdir()
        archive = download(packed)
        try:
            kaggle_csv.unpack(archive, unpacked)
            obtained = _get_from(unpacked, folder, "kaggle", beside=(kaggle_csv.EXAMPLE,))
        except InputError as error:
            reason = str(error).replace(f"{beside}{os.sep}", "")
            raise OutsideError(
                f"what Kaggle sent is not the competition's data, whole: {reason}\n"
                f"What was in {folder} before is unchanged."
            ) from error
    return replace(obtained, taken_from="Kaggle")


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder in ``folder`` that is removed at the end.

    Raises:
        InputError, OutsideError: nothing can be written there, or there is not room enough.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(folder).free
        beside = tempfile.TemporaryDirectory(prefix=".download-", dir=folder)
    except OSError as error:
        raise files.error_from(error, folder) from error
    with beside as name:
        if room < ROOM:  # Kaggle's client would take it for a bad connection
            raise files.error_from(OSError(errno.ENOSPC, f"it has {room >> 20} MiB left"), folder)
        yield Path(name)


def _get_sample(folder: Path) -> Obtained:
    """Write the sample, unless it is there; refuse where anything else is."""
    present = layouts.pieces(folder)
    found = layouts.complete(layouts.CSV, folder)
    if found and layouts.source_noted(found) == "sample" and len(present) == len(found.files):
        return Obtained(loading.load(folder), folder, kept=True)
    if present:
        raise InputError(
            f"{folder} holds {', '.join(present)}, which the sample would "
            "replace. Choose another folder with --input DIR, or leave out --source sample to use "
            "what is there."
        )
    _place(sample.writers(), folder, source="sample", test="test.csv")
    return Obtained(loading.load(folder), folder)


def get_rehearsal(source: str, *, folder: Path, from_path: Path, seed: int) -> Obtained:
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
    found = _found_at(from_path)
    if found.folder.resolve() == folder.resolve():
        raise InputError(
            f"--from {from_path} lies in {folder}, where the rehearsal would take its place. "
            "Name another folder for one of them, such as --input rehearsal."
        )
    splits = loading.read(found, None)
    _require_source(source, splits, from_path)
    writers = rehearsal.writers(splits, seed, name=str(from_path))
    with _beside(folder) as beside:
        _place(writers, beside, source=rehearsal.SOURCE, test="test.csv")
        obtained = _get_from(beside, folder, rehearsal.SOURCE, beside=rehearsal.BESIDE)
    return replace(obtained, taken_from=from_path)


def _get_from(path: Path, folder: Path, source: str, *, beside: tuple[str, ...] = ()) -> Obtained:
    """Check what ``path`` holds by reading it whole, then copy it and remove what was there.

    Files of the names ``beside`` are copied with it where they lie in the folder ``path``.
    """
    found = _found_at(path)
    # Cached in the target: beside the original nothing is written, and `load` finds it there.
    splits = loading.read(found, folder / cache.FOLDER)
    _require_source(source, splits, path)
    if splits.source == rehearsal.SOURCE:
        beside = rehearsal.BESIDE
    targets = {name: path / name for name in beside if (path / name).is_file()}
    targets |= zip(_target_names(found, folder), found.files, strict=True)
    changed = [name for name, file in targets.items() if not _same(folder / name, file)]
    obsolete = [name for name in layouts.pieces(folder) if name not in targets]
    if not changed and not obsolete:
        return Obtained(splits, folder, kept=True)
    ours = _placed_by_us(folder)
    theirs = [folder / name for name in (*obsolete, *changed) if name not in ours]
    writers: dict[str, Write] = {name: _copier(file) for name, file in targets.items()}
    moved = _place(
        writers,
        folder,
        source=splits.source,
        test=list(targets)[-1],
        move_aside=[file for file in theirs if file.is_file()],
    )
    for name in ours - set(targets):
        _remove(folder, name)
    return Obtained(loading.load(folder), folder, taken_from=path, moved_aside=moved)


def _require_source(source: str, splits: Splits, path: Path) -> None:
    if source not in ("auto", splits.source):
        raise InputError(
            f"--source {source}: {path} holds data of another source, {splits.source} with "
            f"{len(splits.train)} train and {len(splits.test)} test images. "
            "Leave out --source to take it nevertheless."
        )


def _found_at(path: Path) -> layouts.Found:
    if not path.exists():
        raise InputError(
            f"--from {path}: there is nothing. Expected digit-recognizer.zip, mnist.npz, "
            "cifar-10-python.tar.gz, or a folder with train.csv and test.csv."
        )
    if path.is_file():
        for suffixes, layout in PACKED:
            if path.name.endswith(suffixes):
                return layouts.Found(layout, path.parent, (path.name,))
        if path.name in {name for layout in layouts.LAYOUTS for name in layout.spellings}:
            path = path.parent  # one of the files: the others lie beside it
    found = layouts.find(path) if path.is_dir() else None
    if found is None:
        raise InputError(
            f"--from {path}: received {'a folder' if path.is_dir() else 'a file'} without known "
            "data. Expected digit-recognizer.zip, mnist.npz, cifar-10-python.tar.gz, or a folder "
            "with one of them, with train.csv and test.csv, with MNIST's IDX files, or with "
            "cifar-10-batches-py."
        )
    return found


def _target_names(found: layouts.Found, folder: Path) -> list[str]:
    """Return what each file is to be called: as it lies in ``folder``, else as is usual there."""
    if found.folder.resolve() == folder.resolve() and set(found.names) <= set(
        found.layout.spellings
    ):
        return list(found.names)
    names = zip(found.names, found.layout.files, strict=True)
    return [
        next((one for one in spellings if Path(one).name == Path(name).name), spellings[0])
        for name, spellings in names
    ]


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    if not one.is_file():
        return False
    return one.stat().st_size == other.stat().st_size and (
        one.samefile(other) or layouts.file_sha256(one) == layouts.file_sha256(other)
    )


def _placed_by_us(folder: Path) -> set[str]:
    """Return the names of the files that an earlier `get` left and that are still those."""
    marker = layouts.read_marker(folder)
    if marker is None:
        return set()
    unchanged = any(
        name in marker.files and layouts.file_sha256(folder / name) == marker.test_sha256
        for name in layouts.pieces(folder)
    )
    known = {name for layout in layouts.LAYOUTS for name in layout.spellings}
    known |= set(rehearsal.BESIDE)
    return set(marker.files) & known if unchanged else set()


def _place(
    writers: Mapping[str, Write],
    folder: Path,
    *,
    source: str,
    test: str,
    move_aside: list[Path] | None = None,
) -> tuple[Path, ...]:
    """Write all files, then give all of them their names; return what was moved out of their way.

    Nothing in the folder changes before everything is written. The marker goes first: it counts
    for one content of ``test`` alone, so it says nothing wrong while the old file is there.
    """
    with contextlib.ExitStack() as stack:
        temporaries = {}
        for name, write in writers.items():
            temporaries[name] = stack.enter_context(files.replacing(folder / name))
            write(temporaries[name])
        marker = {
            "source": source,
            "test_sha256": layouts.file_sha256(temporaries[test]),
            "files": list(writers),
        }
        moved = tuple(_aside(path) for path in move_aside or ())
        files.write_json(folder / layouts.MARKER, marker)
    return moved


def _aside(path: Path) -> Path:
    numbers = iter(range(1, 1000))
    target = path.with_name(f"{path.name}.replaced")
    while target.exists():
        target = path.with_name(f"{path.name}.replaced-{next(numbers)}")
    try:
        return path.rename(target)
    except OSError as error:
        raise files.error_from(error, target) from error


def _remove(folder: Path, name: str) -> None:
    path = folder / name
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise files.error_from(error, path) from error
    if path.parent != folder:
        with contextlib.suppress(OSError):  # there is something else in it
            path.parent.rmdir()


def _copier(file: Path) -> Write:
    # With the content alone: a read-only original must not make a read-only copy.
    return lambda target: shutil.copyfile(file, target)
