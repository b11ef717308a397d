"""Put a data set into the input folder: from a path, from Kaggle, or the embedded sample.

A data set with test labels can also be written in the competition's format, as a rehearsal.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from kaggle_digits.datasets.advice import add_advice, get_command
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.datasets.taking import DownloadResult, list_own_files, load_present, take
from kaggle_digits.errors import InputError, OutsideError

SOURCES = ("auto", "kaggle", "sample", "mnist", "cifar10")
VARIABLE = "KAGGLE_DIGITS_DATA"
FORMS = {
    "mnist": "mnist.npz, or a folder or zip with MNIST's IDX files, or with mnist_train.csv and "
    "mnist_test.csv",
    "cifar10": "cifar-10-python.tar.gz, or a folder with cifar-10-batches-py",
}
ROOM = 400 << 20  # bytes for the zip, the unpacked files and their copies

Download = Callable[[Path], Path]


def get(
    source: str,
    *,
    folder: Path,
    from_path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    download: Download | None = None,
    force: bool = False,
) -> DownloadResult:
    """Put data into ``folder``, then read and check it.

    Args:
        source: one of `SOURCES`. ``auto`` uses the first of these: the data in the folder, the path
            in KAGGLE_DIGITS_DATA, a download if ``download`` is given, the embedded sample. If a
            call that filled the folder was killed, it finishes that call from the same source.
            ``kaggle`` keeps the competition's data if it is already complete in the folder.
        folder: the input folder; created if it is missing.
        from_path: the competition's zip, a zip of MNIST, mnist.npz, CIFAR-10's .tar.gz, one of the
            files of a data set, or a folder that `load` can read.
        environment: the environment variables that may hold KAGGLE_DIGITS_DATA.
        download: puts the competition's zip into an empty folder and returns its path; None
            without credentials.
        force: whether ``kaggle`` downloads even if the data is there.

    Returns:
        The data, and where it came from.

    Raises:
        InputError: the data is broken, is not what ``source`` asks for, or is not available.
        OutsideError: the disk is full, or the download failed. The folder is unchanged.

    """
    if source not in SOURCES:
        raise InputError(f"--source: received {source!r}, expected one of {', '.join(SOURCES)}.")
    files.remove_abandoned(folder)
    if source == "sample":
        if from_path is not None:
            raise InputError(
                f"--source sample takes no files: received --from {from_path}. "
                "Omit one of the two options."
            )
        return _get_sample(folder)
    if from_path is not None:
        return _get_from(from_path, folder, source)
    if source == "auto":
        return _get_auto(folder, environment, download)
    if not force and (kept := load_present(source, folder)):
        return kept
    if source == "kaggle" and download is not None:
        return _get_kaggle(folder, download, force=force)
    raise InputError(_unavailable(source, folder))


def _get_auto(
    folder: Path, environment: Mapping[str, str], download: Download | None
) -> DownloadResult:
    is_interrupted = not markers.read(folder).complete
    if is_interrupted and (resumed := _resume(folder, environment, download)):
        return resumed
    markers.require_filled(folder, finding.list_pieces(folder))
    if finding.find(folder) is not None:
        return DownloadResult(loading.load(folder), folder, kept=True)
    if path := environment.get(VARIABLE):
        return _get_from(files.expand_home(path), folder, "auto")
    return _get_kaggle(folder, download) if download else _get_sample(folder)


def _resume(
    folder: Path, environment: Mapping[str, str], download: Download | None
) -> DownloadResult | None:
    """Finish a `data get` that was killed. Return None if its source is unavailable."""
    marker = markers.read(folder)
    if marker.source == "sample" and not _list_present(folder):
        return _get_sample(folder)
    if path := environment.get(VARIABLE):
        source = files.expand_home(path)
        found = finding.find_at(source, folder)
        if {file.sha256 for file in found.disk_files} <= set(marker.sha256.values()):
            return _get_from(source, folder, "auto")
    if marker.source == "kaggle" and download:
        return _get_kaggle(folder, download)
    return None


def _unavailable(source: str, folder: Path) -> str:
    if source == "kaggle":
        from_zip = get_command(folder, "--from", "PATH/digit-recognizer.zip")
        return (
            f"--source kaggle: {credentials.explain_missing()}, and accept the competition's rules "
            "at https://www.kaggle.com/competitions/digit-recognizer/rules. Or download it there "
            f"in a browser:\n  {from_zip}"
        )
    command = get_command(folder, "--from", "PATH")
    return (
        f"--source {source}: kaggle-digits cannot download this data. Expected it in {folder} or "
        f"at --from PATH. Run instead:\n  {command}   ({FORMS[source]})"
    )


def _get_kaggle(folder: Path, download: Download, *, force: bool = False) -> DownloadResult:
    """Download into a temporary folder, check the data, and only then replace the old files."""
    # The room is checked first, because Kaggle's client reports a full disk as a network error.
    with placing.reserve_folder(folder, room=ROOM) as workspace:
        if not force and (kept := load_present("kaggle", folder)):
            return kept  # another process downloaded it meanwhile
        (packed := workspace / "packed").mkdir()
        (unpacked := workspace / "unpacked").mkdir()
        archive = download(packed)
        try:
            with add_advice(folder):
                kaggle_csv.unpack(archive, unpacked)
            found = finding.find_at(unpacked, folder)
            splits = loading.read(found, folder)
            _require_source("kaggle", splits, unpacked)
        except InputError as error:
            reason = str(error).replace(f"{workspace}{os.sep}", "")
            raise OutsideError(
                f"Kaggle's download is not the complete data of the competition: {reason}\n"
                f"The files in {folder} are unchanged."
            ) from error
        obtained = take(found, splits, folder, workspace, beside=(kaggle_csv.EXAMPLE,))
    return replace(obtained, taken_from="Kaggle")


def _get_sample(folder: Path) -> DownloadResult:
    """Write the sample unless it is there; raise if the folder holds other data."""
    if kept := _load_present_sample(folder):
        return kept
    with placing.reserve_folder(folder) as workspace:
        if kept := _load_present_sample(folder):
            return kept  # another process wrote it meanwhile
        if present := _list_present(folder):
            raise InputError(
                f"{folder} holds {', '.join(present)}, which the sample would "
                "replace. Choose another folder with --input DIR, or omit --source sample to "
                "use these files."
            )
        writers = sample.writers()
        theirs = [folder / name for name in set(writers) - set(list_own_files(folder))]
        moved = placing.place(
            writers,
            folder,
            workspace,
            source="sample",
            move_aside=[file for file in theirs if file.is_file()],
        )
    return DownloadResult(loading.load(folder), folder, moved_aside=moved)


def _load_present_sample(folder: Path) -> DownloadResult | None:
    marker = markers.read(folder)
    if not marker.complete or marker.source != "sample":
        return None
    found = (
        finding.find(folder) if len(finding.list_pieces(folder)) == len(layouts.CSV.files) else None
    )
    if found and found.stands_in == "sample":
        return DownloadResult(loading.load(folder), folder, kept=True)
    return None


def _list_present(folder: Path) -> tuple[str, ...]:
    """Return the names of data files in ``folder``, without those of an interrupted sample."""
    marker = markers.read(folder)
    ours = set()
    if not marker.complete and marker.source == "sample":
        ours = set(marker.sha256) - set(marker.changed(folder))
    if present := finding.list_pieces(folder):
        return tuple(name for name in present if name not in ours)
    found = finding.find(folder)  # of unusual names
    return found.names if found else ()


def get_rehearsal(source: str, *, folder: Path, from_path: Path, seed: int) -> DownloadResult:
    """Write the digits in ``from_path`` into ``folder`` in the competition's format.

    Args:
        source: ``auto``, or the source that ``from_path`` must hold.
        folder: the input folder; created if it is missing.
        from_path: labelled train and test images, as for `get`.
        seed: seed of the split and the order. The same seed gives the same bytes.

    Returns:
        The data, and where it came from. ``answers.csv`` in ``folder`` has the test labels.

    Raises:
        InputError: the data is broken, is not what ``source`` asks for, has no labels for its test
            images, or does not consist of grey 28×28 images.
        OutsideError: the disk is full. The folder is unchanged.

    """
    found = finding.find_at(from_path, folder)
    if found.folder.resolve() == folder.resolve():
        raise InputError(
            f"--from {from_path} lies in {folder}, where the rehearsal would replace it. "
            "Choose another folder for the rehearsal, such as --input rehearsal."
        )
    splits = loading.read(found, folder, keep=False)
    _require_source(source, splits, from_path)
    writers = rehearsal.writers(splits, seed, name=str(from_path))
    with placing.reserve_folder(folder, room=ROOM) as workspace:
        (written := workspace / "written").mkdir()
        placing.place(writers, written, workspace, source=rehearsal.SOURCE)
        made = finding.find_at(written, folder)
        obtained = take(
            made, loading.read(made, folder), folder, workspace, beside=rehearsal.BESIDE
        )
    noted = replace(obtained.splits, notes=splits.notes)
    return replace(obtained, splits=noted, taken_from=from_path)


def _get_from(path: Path, folder: Path, source: str) -> DownloadResult:
    """Read and check the data at ``path``, copy it into ``folder``, and remove the old files."""
    found = finding.find_at(path, folder)
    if source == "mnist" and found.layout == layouts.CSV and found.members is None:
        # MNIST's CSVs under the competition's file names: the user said what they are.
        found = replace(found, layout=layouts.MNIST_CSV)
    # The cache goes into the target folder: nothing is written beside the original.
    splits = loading.read(found, folder)
    _require_source(source, splits, path)
    beside = rehearsal.BESIDE if splits.source == rehearsal.SOURCE else ()
    with placing.reserve_folder(folder) as workspace:
        obtained = take(found, splits, folder, workspace, beside=beside)
    noted = replace(obtained.splits, notes=splits.notes)
    return replace(obtained, splits=noted, taken_from=None if obtained.kept else path)


def _require_source(source: str, splits: Splits, path: Path) -> None:
    if source not in ("auto", splits.source):
        raise InputError(
            f"--source {source}: {path} holds data of another source, {splits.source} with "
            f"{len(splits.train)} train and {len(splits.test)} test images. "
            "Omit --source to use it."
        )
