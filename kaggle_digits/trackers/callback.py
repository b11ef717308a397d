"""Pass the progress of a run on, to those who watch it and to the trackers."""

from collections.abc import Sequence

from kaggle_digits.evaluation import Scores
from kaggle_digits.runs import Run
from kaggle_digits.trackers.tracker import Tracker
from kaggle_digits.training.cross_validation import TrainingCallback
from kaggle_digits.training.fit import FoldCallback
from kaggle_digits.training.history import Epoch, read_history


class TrackingCallback:
    """Write each epoch to the trackers, in this process, wherever a fold is trained."""

    def __init__(self, run: Run, watcher: TrainingCallback, trackers: Sequence[Tracker]) -> None:
        self.run = run
        self.watcher = watcher
        self.trackers = trackers

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Pass it on."""
        self.watcher.run_started(members, epochs, images)

    def fold_started(self, number: int) -> "FoldTracking":
        """Return the callback of that fold."""
        return FoldTracking(self, number, self.watcher.fold_started(number))

    def fold_done(self, number: int, judged: Scores | None, *, skipped: bool) -> None:
        """Write the epochs of a fold that an earlier process finished."""
        if skipped:
            self.log_epochs(number, read_history(self.run.fold(number) / "history.csv"))
        self.watcher.fold_done(number, judged, skipped=skipped)

    def log_epochs(self, number: int, epochs: Sequence[Epoch]) -> None:
        """Write epochs of that fold."""
        for tracker in self.trackers:
            tracker.log_epochs(number, epochs)


class FoldTracking:
    """Write the epochs of one fold."""

    def __init__(self, tracking: TrackingCallback, number: int, watcher: FoldCallback) -> None:
        self.tracking = tracking
        self.number = number
        self.watcher = watcher

    def epochs_found(self, count: int) -> None:
        """Write the epochs that an earlier process finished."""
        if count:
            path = self.tracking.run.fold(self.number) / "history.csv"
            self.tracking.log_epochs(self.number, read_history(path)[:count])
        self.watcher.epochs_found(count)

    def images_trained(self, count: int) -> None:
        """Pass it on."""
        self.watcher.images_trained(count)

    def epoch_done(self, epoch: Epoch) -> None:
        """Write the epoch."""
        self.tracking.log_epochs(self.number, [epoch])
        self.watcher.epoch_done(epoch)
