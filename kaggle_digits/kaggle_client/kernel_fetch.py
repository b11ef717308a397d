"""Download the runs of a kernel, completely or not at all.

Kaggle's output is checked like any file from outside. Only files that a run may contain are
downloaded, under our own names, up to the size in the manifest, and compared with its SHA-256. Then
the runs are opened and read. Only runs that pass are moved into ``runs/``. After a crash, runs that
are already there with the manifest's files are kept, and the same command fetches the others.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from kaggle_digits import files, safe_reading
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.formats import typed_json
from kaggle_digits.kaggle_client import sessions
from kaggle_digits.kaggle_client.client import Kaggle
from kaggle_digits.kaggle_client.kernel_job import MANIFEST, Manifest, OutputFile
from kaggle_digits.kaggle_client.kernel_ledger import PushedKernel
from kaggle_digits.runs.folder import Run
from kaggle_digits.runs.safe_folder import DamagedRunError

MAX_MANIFEST = 16 << 20  # bytes
MAX_TOTAL = 8 << 30  # bytes of all files
MAX_FILES = 20_000
RUN = "run.json"


@dataclass(frozen=True)
class Fetched:
    """The downloaded runs.

    Attributes:
        manifest: the manifest that the script wrote.
        runs: the run folders, now in ``runs/``.
        submission: path for the CSV; None while the training is not finished.

    """

    manifest: Manifest
    runs: tuple[Path, ...]
    submission: Path | None


def fetch(
    kernel: str,
    root: Path,
    csvs: Path,
    kaggle: Kaggle,
    *,
    pushed: PushedKernel | None,
    tell: sessions.Tell,
) -> Fetched:
    """Download the runs of the kernel's last session into ``root``.

    Args:
        kernel: ``user/name``.
        root: the folder of runs.
        csvs: the folder of submissions. Nothing is written to it.
        kaggle: an open connection.
        pushed: its entry in the ledger; None if it was pushed from elsewhere.
        tell: called with each status line for the user.

    Returns:
        The manifest, the run folders and the path for the CSV.

    Raises:
        InputError: it is not finished, has no runs, another run of the same name exists here, or
            the CSV cannot be written.
        OutsideError: the output is incomplete or damaged.
        KaggleError: the download failed.

    """
    session = sessions.require_session(kernel, kaggle)
    if session.status not in sessions.FINAL:
        raise InputError(
            f"{kernel} is {session.status} on Kaggle: its output is not complete yet. Wait for it "
            f"with `kaggle-digits kernel status {kernel} --wait`."
        )
    listed = sessions.list_output(kernel, kaggle).names
    if MANIFEST not in listed:
        reason = f"{session.status}{session.failure and f': {session.failure}'}"
        raise OutsideError(
            f"{kernel} has no runs to fetch ({reason}): its output has no {MANIFEST}. See its "
            f"log with `kaggle-digits kernel status {kernel}`, then push it again."
        )
    try:
        with files.workspace(root) as folder:
            manifest = _read_manifest(kernel, folder, kaggle)
    except OSError as error:
        raise files.error_from(error, root / MANIFEST) from error
    _require_of_push(kernel, manifest, pushed)
    _require_listed(kernel, manifest, listed)
    submission = _name_submission(kernel, manifest, csvs)
    if submission and not submission.exists():
        files.require_writable(submission)
    if missing := _find_missing(manifest, root):
        tell(f"{kernel}: {len(manifest.files)} files, {_total(manifest) / 1e6:,.1f} MB")
        _download_runs(kernel, manifest, missing, kaggle)
    return Fetched(manifest, tuple(root / run for run in manifest.runs), submission)


def _read_manifest(kernel: str, folder: Path, kaggle: Kaggle) -> Manifest:
    path = folder / MANIFEST
    _get(kernel, MANIFEST, path, MAX_MANIFEST, kaggle)
    try:
        manifest = typed_json.build(Manifest, safe_reading.read_json(path, MAX_MANIFEST))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutsideError(
            f"{MANIFEST} of {kernel} is damaged: {reason}. Nothing was fetched. Expected the "
            "manifest that the script of `kaggle-digits kernel push` writes; push it again."
        ) from error
    names = {file.name for file in manifest.files}
    if len(names) < len(manifest.files) or len(names) > MAX_FILES or _total(manifest) > MAX_TOTAL:
        raise OutsideError(
            f"{MANIFEST} of {kernel} lists {len(manifest.files):,} files with {_total(manifest):,} "
            f"bytes, {len(names):,} of them distinct. Nothing was fetched. Expected at most "
            f"{MAX_FILES:,} distinct files with {MAX_TOTAL:,} bytes."
        )
    return manifest


def _total(manifest: Manifest) -> int:
    return sum(file.size for file in manifest.files)


def _require_of_push(kernel: str, manifest: Manifest, pushed: PushedKernel | None) -> None:
    if pushed is not None and manifest.push != pushed.push:
        raise InputError(
            f"the output of {kernel} belongs to another push than the one recorded here at "
            f"{pushed.time}. Nothing was fetched. If the session has just ended, run the same "
            "command again in a minute. If it was pushed from another folder, fetch it there."
        )


def _require_listed(kernel: str, manifest: Manifest, listed: tuple[str, ...]) -> None:
    if not manifest.files:
        said = f" It failed: {manifest.message}" if manifest.message else ""
        raise OutsideError(
            f"{kernel} finished no epoch: its output has no run.{said} See its log with "
            f"`kaggle-digits kernel status {kernel}`."
        )
    missing = sorted({file.name for file in manifest.files} - set(listed))
    if missing:
        raise OutsideError(
            f"the output of {kernel} is incomplete: it lacks {missing[0]} and "
            f"{len(missing) - 1} more of {len(manifest.files)} files. Nothing was fetched. Run the "
            "same command again; if it fails again, push the kernel again."
        )
    for run in manifest.runs:
        names = {file.name for file in manifest.files}
        if f"runs/{run}/{RUN}" not in names:
            raise OutsideError(
                f"{MANIFEST} of {kernel} lists a run {run} without its {RUN}. Nothing was fetched. "
                "Push the kernel again."
            )


def _name_submission(kernel: str, manifest: Manifest, csvs: Path) -> Path | None:
    if manifest.state != "finished":
        return None
    name = kernel.partition("/")[2] if len(manifest.runs) > 1 else manifest.runs[0]
    return csvs / f"{name}.csv"


def _find_missing(manifest: Manifest, root: Path) -> tuple[Path, ...]:
    """Return the run folders to download: those that an earlier fetch has not moved here."""
    missing = []
    for target in (root / run for run in manifest.runs):
        if not target.exists() and not target.is_symlink():
            missing.append(target)
        elif not all(_is_here(file, target) for file in manifest.files if file.run == target.name):
            raise InputError(
                f"{target} exists with other files and is not overwritten. Nothing was fetched. "
                "Move or remove it, then run the same command again."
            )
    return tuple(missing)


def _is_here(file: OutputFile, folder: Path) -> bool:
    try:
        return safe_reading.sha256_of(folder / file.inner) == file.sha256
    except OSError:  # missing, or not a regular file
        return False


def _download_runs(
    kernel: str, manifest: Manifest, targets: tuple[Path, ...], kaggle: Kaggle
) -> None:
    """Download the runs ``targets``, check them, and move all of them to their places."""
    with files.replacing_together(*targets) as made:
        places = {path.name: path for path in made}
        for path in made:
            path.mkdir()
        for file in manifest.files:
            if file.run in places:
                _download(kernel, file, places[file.run] / file.inner, kaggle)
        for path in made:
            _require_sound(kernel, path, is_finished=manifest.state == "finished")


def _download(kernel: str, file: OutputFile, target: Path, kaggle: Kaggle) -> None:
    """Download ``file`` to ``target`` and compare it with the manifest."""
    target.parent.mkdir(exist_ok=True)
    size = _get(kernel, file.name, target, file.size, kaggle)
    with target.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if size != file.size or sha256 != file.sha256:
        raise OutsideError(
            f"{file.name} of {kernel} differs from the manifest: received {size:,} bytes with "
            f"SHA-256 {sha256[:12]}…, expected {file.size:,} with {file.sha256[:12]}…. Nothing was "
            "fetched. Run the same command again."
        )


def _get(kernel: str, name: str, target: Path, limit: int, kaggle: Kaggle) -> int:
    """Download the output file ``name`` to ``target``, at most ``limit`` bytes plus one."""

    def size() -> int:
        with contextlib.suppress(OSError):  # the file does not exist yet
            return target.stat().st_size
        return 0

    received: int = kaggle.call(
        "kernel_file",
        name,
        str(target),
        str(limit),
        doing=f"{name} of {kernel}",
        progress=size,
        kernel=kernel,
    )
    return received


def _require_sound(kernel: str, folder: Path, *, is_finished: bool) -> None:
    """Check that the run in ``folder`` opens and that its files can be read.

    Args:
        kernel: ``user/name``.
        folder: the folder of the run.
        is_finished: whether the run must be finished, because the kernel is.

    """
    from kaggle_digits import submissions  # NumPy

    run = Run(folder)
    try:
        run.require_whole()
        if is_finished or run.facts.state == "finished":
            run.arrays("test")
            submissions.read(run.submission)
            if run.has("oof.npz"):
                run.arrays("oof")
    except InputError as error:
        reason = (
            f"{error.path.relative_to(folder)}: {error.reason}"
            if isinstance(error, DamagedRunError)
            else str(error).partition(". ")[0].replace(str(folder), folder.name)
        )
        raise OutsideError(
            f"the run {folder.name} of {kernel} is damaged ({reason}). Nothing was fetched. Push "
            "the kernel again."
        ) from error
