"""Write a run to the pages that experiments are compared on: one tracker, one file.

A tracker is a module of this package with ``PACKAGE``, ``open_tracker`` and ``describe``, as in
`tracker.TrackerModule`. Nothing else names it.
"""

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from kaggle_digits.errors import InputError
from kaggle_digits.optional_packages import require_packages
from kaggle_digits.runs import Run
from kaggle_digits.trackers.callback import TrackingCallback
from kaggle_digits.trackers.tracker import Outcome, Tracker, TrackerModule
from kaggle_digits.training.cross_validation import TrainingCallback

__all__ = ["Outcome", "Tracker", "describe", "find_names", "require_trackers", "tracking"]

HELPERS = ("callback", "tracker")


def find_names() -> list[str]:
    """Return the names of the trackers."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if module.name not in HELPERS
    )


def require_trackers(names: Sequence[str]) -> None:
    """Raise an InputError unless all trackers ``names`` exist and are installed."""
    for name in names:
        if name not in find_names():
            raise InputError(
                f"received the tracker {name!r}. Expected one of {', '.join(find_names())}."
            )
        require_packages([_module(name).PACKAGE], extra=name, needed_by=f"the tracker {name}")


def describe(name: str, run: Run) -> str:
    """Return where the tracker ``name`` wrote ``run``, and the command that shows it."""
    return _module(name).describe(run)


@contextlib.contextmanager
def tracking(
    run: Run, names: Sequence[str], watcher: TrainingCallback, data: Path | None
) -> Iterator[TrainingCallback]:
    """Yield a callback that also writes the run to the trackers ``names``.

    What an earlier process trained is written too, and nothing is written twice. The scores and the
    plots follow at the end, if the run is finished then.

    Args:
        run: open for training.
        names: of the trackers; none yields ``watcher`` itself.
        watcher: called as before.
        data: folder with the images, for the plot of the worst ones; None leaves it out.

    """
    if not names:
        yield watcher
        return
    trackers: list[Tracker] = []
    outcome = Outcome.INTERRUPTED
    try:
        trackers.extend(_module(name).open_tracker(run) for name in names)
        yield TrackingCallback(run, watcher, trackers)
        for tracker in trackers:
            tracker.log_results(run, draw_plots(run, data))
        outcome = Outcome.FINISHED
    finally:
        for tracker in trackers:
            tracker.close(outcome)


def draw_plots(run: Run, data: Path | None) -> list[Path]:
    """Draw the plots of a finished run, and return their PNG files."""
    from kaggle_digits import plots

    # Without data the worst images are left out, as where the data has changed.
    drawn = plots.draw_run(run, data or run.folder)
    return [path for path in drawn.written if path.suffix == ".png"]


def _module(name: str) -> TrackerModule:
    return cast("TrackerModule", importlib.import_module(f"{__name__}.{name}"))
