"""Find the provenance of a CSV by its SHA-256. Standard library only: listing starts at once.

A run keeps its own CSV, and the runs in runs/ are searched for it. For blends, later predictions
and runs elsewhere, `blends.jsonl`, in the folder of the CSVs, holds one line per file.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import files, runs, safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.runs.folder import Run

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Splits

BLENDS = "blends.jsonl"


@dataclass(frozen=True)
class Provenance:
    """The runs and the data that a CSV was made from.

    Attributes:
        run: folder of the run; for a blend, the folders of all runs.
        recipe: name of the run's recipe, or of all recipes.
        oof_accuracy: out-of-fold accuracy, 0-1; None if no image was held out.
        source: name of the data set.
        test_fingerprint: SHA-256 of the test images; None if unknown.
        test_images_in_train: number of these images among the training images of the models; None
            if unknown.

    """

    run: str
    recipe: str
    oof_accuracy: float | None
    source: str | None
    test_fingerprint: str | None
    test_images_in_train: int | None = None


@dataclass(frozen=True)
class _Noted:
    """The part of a line in the notes that is not the provenance."""

    sha256: str


def find_provenance(sha256: str, root: Path, submissions: Path) -> Provenance | None:
    """Find the provenance of a CSV; None if it is unknown.

    Args:
        sha256: SHA-256 of the CSV's bytes.
        root: the folder of runs.
        submissions: the folder with the notes about blends.

    """
    for run in runs.list_runs(root)[0]:
        with contextlib.suppress(OSError, InputError):
            if safe_reading.sha256_of(run.submission) == sha256:
                return trace_run(run)
    noted = [origin for known, origin in _blends(submissions / BLENDS) if known == sha256]
    return noted[-1] if noted else None  # the same bytes may have been written again


def note(csv: Path, origin: Provenance, submissions: Path) -> None:
    """Record the provenance of ``csv``, unless ``submissions`` cannot be written.

    `submit`, which looks for the notes in the same folder, cannot work there either.

    Args:
        csv: the written file.
        origin: its provenance, from `trace_runs` for example.
        submissions: the folder with the notes.

    Raises:
        InputError: another process holds the lock of the notes, or they cannot be read.
        OutsideError: the disk is full or failed.

    """
    path = submissions / BLENDS
    try:
        files.require_writable(path)
    except InputError:
        return
    line = json.dumps({"sha256": safe_reading.sha256_of(csv), **asdict(origin)}).encode()
    busy = f"{path} is locked by another process. Retry in a moment."
    with files.lock(path.with_name(f".{BLENDS}.lock"), busy=busy):
        before = _read_notes(path)
        others = [old for old in before.splitlines() if old != line]
        files.write_bytes(path, b"".join(entry + b"\n" for entry in [*others, line]))


def note_run(csv: Path, run: Run, submissions: Path) -> None:
    """Record that ``csv`` has the labels of ``run``. Runs in runs/ are found without a note."""
    if run.folder.resolve().parent != files.RUNS.resolve():
        note(csv, trace_run(run), submissions)


def _read_notes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise files.error_from(error, path) from error


def trace_run(run: Run) -> Provenance:
    """Return the provenance of the CSV of ``run``."""
    return trace_runs([run], ((run.metrics or {}).get("oof") or {}).get("accuracy"))


def trace_runs(members: Sequence[Run], oof_accuracy: float | None) -> Provenance:
    """Return the provenance of a blend of ``members`` on their own test images."""
    settings = members[0].facts.settings
    return Provenance(
        run=" + ".join(str(run.folder) for run in members),
        recipe=" + ".join(run.facts.settings.recipe for run in members),
        oof_accuracy=oof_accuracy,
        source=settings.source,
        test_fingerprint=settings.test_fingerprint,
        test_images_in_train=_most(run.test_images_in_train for run in members),
    )


def trace_prediction(run: Run, splits: "Splits") -> Provenance:
    """Return the provenance of the predictions of ``run`` for the test images of ``splits``."""
    return replace(
        trace_runs([run], None),
        source=splits.source,
        test_fingerprint=splits.test.fingerprint,
        test_images_in_train=run.count_trained_on(splits.test.images),
    )


def require_same_images(voters: Sequence[tuple[Path, Provenance | None]]) -> None:
    """Raise InputError if two files are known to label different test images.

    Args:
        voters: the CSVs, each with its provenance or None.

    """
    first: dict[str, Path] = {}  # the first file for each set of test images
    for path, origin in voters:
        if origin is not None and origin.test_fingerprint is not None:
            first.setdefault(origin.test_fingerprint, path)
    if len(first) > 1:
        one, other, *_ = first.values()
        raise InputError(
            f"a majority vote needs labels of the same test images; {one} and {other} are for "
            "different ones. Omit one of them, or predict the same images with both."
        )


def trace_vote(voters: Sequence[tuple[Path, Provenance | None]]) -> Provenance | None:
    """Return the provenance of a majority vote; None if the provenance of all files is unknown.

    Args:
        voters: the CSVs, each with its provenance or None.

    """
    known = [origin for _, origin in voters if origin is not None]
    if not known:
        return None
    with_images = [origin for origin in known if origin.test_fingerprint]
    names = [str(path) if origin is None else origin.run for path, origin in voters]
    return replace(
        (with_images or known)[0],
        run=" + ".join(names),
        recipe=" + ".join(origin.recipe for origin in known),
        oof_accuracy=None,
        test_images_in_train=_most(
            origin.test_images_in_train if origin else None for _, origin in voters
        ),
    )


def _most(counts: Iterable[int | None]) -> int | None:
    """Return the largest count; None if all known counts are 0 and at least one is unknown."""
    found = list(counts)
    most = max((count for count in found if count is not None), default=0)
    return most if most or None not in found else None


def _blends(path: Path) -> Iterator[tuple[str, Provenance]]:
    """Yield each readable note."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            value = typed_json.parse(line)
            yield (
                typed_json.build(_Noted, value, strict=False).sha256,
                typed_json.build(Provenance, value, strict=False),
            )
