"""Which runs a CSV came from, told by its bytes. Standard library alone: listing starts at once.

A run keeps its own CSV. What was made of runs later, a blend or a prediction, has no folder, so
`blends.jsonl` beside the CSVs notes one line a file.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import files, runs
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.runs.folder import Run

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Splits

BLENDS = "blends.jsonl"


@dataclass(frozen=True)
class Provenance:
    """What a CSV was made of.

    Attributes:
        run: the run's folder; of a blend, all of them.
        recipe: that run's, or all of them.
        oof_accuracy: out-of-fold; None where nothing was held out.
        source: of the data.
        test_fingerprint: of the images that it answers; None where it is not known.
        test_images_in_train: how many of these images trained one of its models; None where that
            is unknown.

    """

    run: str
    recipe: str
    oof_accuracy: float | None
    source: str | None
    test_fingerprint: str | None
    test_images_in_train: int | None = None


@dataclass(frozen=True)
class _Noted:
    """What a line of the notes says beside the origin."""

    sha256: str


def find_provenance(sha256: str, root: Path, submissions: Path) -> Provenance | None:
    """Return what the CSV with these bytes was made of; None if nothing here knows it.

    Args:
        sha256: of the CSV's bytes.
        root: the folder of runs.
        submissions: the folder with the notes about blends.

    """
    for run in runs.list_runs(root)[0]:
        with contextlib.suppress(OSError, InputError):
            if files.sha256_of(run.submission) == sha256:
                return trace_runs([run], ((run.metrics or {}).get("oof") or {}).get("accuracy"))
    for noted, origin in _blends(submissions / BLENDS):
        if noted == sha256:
            return origin
    return None


def note(csv: Path, origin: Provenance, submissions: Path) -> None:
    """Note what ``csv`` was made of.

    Args:
        csv: the file, written.
        origin: such as `trace_runs` returns.
        submissions: the folder to note it in.

    """
    path = submissions / BLENDS
    line = json.dumps({"sha256": files.sha256_of(csv), **asdict(origin)})
    busy = f"{path} is locked by another process. Retry in a moment."
    with files.lock(path.with_name(f".{BLENDS}.lock"), busy=busy):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        others = [old for old in before.splitlines() if old != line]
        files.write_text(path, "".join(f"{one}\n" for one in [*others, line]))


def trace_runs(members: Sequence[Run], oof_accuracy: float | None) -> Provenance:
    """Return the origin of what ``members`` say together about their own test images."""
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
    """Return the origin of what ``run`` says about the test images of ``splits``."""
    return replace(
        trace_runs([run], None),
        source=splits.source,
        test_fingerprint=splits.test.fingerprint,
        test_images_in_train=run.count_trained_on(splits.test.images),
    )


def trace_vote(voters: Sequence[tuple[Path, Provenance | None]]) -> Provenance | None:
    """Return the origin of a majority's labels; None if nothing is known of any of the files.

    Args:
        voters: the CSVs, and what is known of each.

    """
    known = [origin for _, origin in voters if origin is not None]
    if not known:
        return None
    names = [str(path) if origin is None else origin.run for path, origin in voters]
    return replace(
        known[0],
        run=" + ".join(names),
        recipe=" + ".join(origin.recipe for origin in known),
        oof_accuracy=None,
        test_images_in_train=_most(
            origin.test_images_in_train if origin else None for _, origin in voters
        ),
    )


def _most(counts: Iterable[int | None]) -> int | None:
    """Return the largest of ``counts``; None if all that are known are 0 and one is unknown."""
    found = list(counts)
    most = max((count for count in found if count is not None), default=0)
    return most if most or None not in found else None


def _blends(path: Path) -> Iterator[tuple[str, Provenance]]:
    """Yield each note that can be read."""
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
