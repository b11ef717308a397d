"""What a tracker is."""

import enum
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from kaggle_digits.runs import Run
from kaggle_digits.training.history import Epoch


class Outcome(enum.Enum):
    """How a process ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"  # the run can be resumed


class Tracker(Protocol):
    """Receives a run. Epochs of an earlier process come again, and must not be written twice."""

    def log_epochs(self, fold: int, epochs: Sequence[Epoch]) -> None:
        """Write epochs of the model ``fold`` (1 … members), in order; the first ones begin at 1."""

    def log_results(self, run: Run, plots: Sequence[Path]) -> None:
        """Write the scores of a finished run, and its plots (PNG files)."""

    def close(self, outcome: Outcome) -> None:
        """End writing."""


class TrackerModule(Protocol):
    """A module of this package.

    Attributes:
        PACKAGE: the package that must be installed. The extra has the name of the module.

    """

    PACKAGE: str

    def open_tracker(self, run: Run) -> Tracker:
        """Return the tracker of a run that is open for training."""

    def describe(self, run: Run) -> str:
        """Return where the run was written, and the command that shows it."""


def list_metrics(epoch: Epoch) -> dict[str, float]:
    """Return the figures of an epoch by name; without ``val_*`` where nothing was held out."""
    figures: dict[str, float] = asdict(epoch)
    del figures["epoch"]
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def list_settings(run: Run) -> dict[str, Any]:
    """Return the settings of a run by name, those of the training with ``training.`` before."""
    return {name: value for name, value in run.settings.flat().items() if value is not None}


def list_scores(run: Run) -> dict[str, float]:
    """Return the scores of a finished run by name, out-of-fold, on the test set, and its time."""
    metrics = run.metrics or {}
    scores = {
        f"{part}_{name}": float(value)
        for part in ("oof", "test")
        for name, value in (metrics.get(part) or {}).items()
    }
    return scores | {"seconds": float(metrics.get("seconds") or 0)}
