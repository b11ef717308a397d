"""List the runs in a folder. Standard library only: listing starts at once."""

from dataclasses import dataclass
from pathlib import Path

from kaggle_digits.runs.folder import Run
from kaggle_digits.runs.safe_folder import DamagedRunError


@dataclass(frozen=True)
class DamagedRun:
    """A run that is left out because a file is damaged.

    Attributes:
        folder: the run's folder.
        file: name of the first damaged file.
        reason: what is wrong with that file.

    """

    folder: Path
    file: str
    reason: str


def list_runs(root: Path) -> tuple[list[Run], list[DamagedRun]]:
    """Return the readable runs directly below ``root``, oldest first, and the damaged ones."""
    found, damaged = [], []
    for folder in sorted(root.glob("*")):
        run = Run(folder)
        try:
            if run.has("run.json"):
                run.require_whole()
                found.append((run.facts.started, run))
        except DamagedRunError as error:
            file = str(error.path.relative_to(folder))
            damaged.append(DamagedRun(folder, file, error.reason))
    return [run for _, run in sorted(found, key=lambda pair: pair[0])], damaged
