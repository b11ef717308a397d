"""Folds × epochs as they are trained: a Rich display on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kaggle_digits.cross_validation import Watcher
    from kaggle_digits.evaluation import Scores
    from kaggle_digits.training import Epoch


@contextlib.contextmanager
def watching(stream: TextIO) -> Iterator["Watcher"]:
    """Yield a watcher that shows a run on ``stream``."""
    if not stream.isatty():
        yield Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[epochs]}"),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[accuracy]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        speed_estimate_period=120,
    )
    with progress:
        yield Bars(progress)


class Bars:
    """One bar a fold and one for the whole run."""

    def __init__(self, progress: "Progress") -> None:
        self.progress = progress
        self.epochs = 0
        self.images: tuple[int, ...] = ()
        self.tasks: list[TaskID] = []
        self.fold = 0
        self.before = 0  # images of the fold's finished epochs

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Show an empty bar for every fold."""
        self.epochs, self.images = epochs, images
        blank: dict[str, Any] = {"epochs": "", "loss": "", "accuracy": "", "speed": ""}
        self.tasks = [
            self.progress.add_task(f"fold {k}/{members}", total=n * epochs, start=False, **blank)
            for k, n in enumerate(images, start=1)
        ]
        self.total = self.progress.add_task("all", total=sum(images) * epochs, **blank)

    def fold_started(self, number: int) -> None:
        """Turn to the bar of that fold."""
        self.fold, self.before = number - 1, 0
        self.progress.start_task(self.tasks[self.fold])
        self._show("starting …")

    def epochs_found(self, count: int) -> None:
        """Begin behind what an earlier process did."""
        self.before = count * self.images[self.fold]
        self._advance_to(self.before)
        self._show(f"epoch {count + 1}/{self.epochs}")

    def images_trained(self, count: int) -> None:
        """Move the bars."""
        self._advance_to(self.before + count)

    def epoch_done(self, epoch: "Epoch") -> None:
        """Show the epoch's figures."""
        self.before = epoch.epoch * self.images[self.fold]
        self._advance_to(self.before)
        self.progress.update(
            self.tasks[self.fold],
            loss=f"loss {epoch.loss:.4f}",
            accuracy=f"val {epoch.val_accuracy:.4f}",
            speed=f"{epoch.images_per_second:,.0f} img/s",
        )
        self._show(f"epoch {min(epoch.epoch + 1, self.epochs)}/{self.epochs}")

    def fold_done(self, number: int, judged: "Scores | None", *, skipped: bool) -> None:
        """Fill the bar."""
        self.fold = number - 1
        self._advance_to(self.epochs * self.images[self.fold])
        self.progress.update(
            self.tasks[self.fold], accuracy=f"val {judged.accuracy:.4f}" if judged else ""
        )
        self._show("done before" if skipped else "done")

    def _show(self, epochs: str) -> None:
        self.progress.update(self.tasks[self.fold], epochs=epochs)

    def _advance_to(self, images: int) -> None:
        self.progress.update(self.tasks[self.fold], completed=images)
        done = sum(self.progress.tasks[task].completed for task in self.tasks)
        self.progress.update(self.total, completed=done)


class Lines:
    """One line an epoch, with the time left."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.epochs = 0
        self.images: tuple[int, ...] = ()
        self.fold = 0
        self.trained = 0  # images in this process
        self.started = time.monotonic()

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Remember how much there is to do."""
        del members
        self.epochs, self.images = epochs, images
        self.left = sum(images) * epochs

    def fold_started(self, number: int) -> None:
        """Name the fold in the lines that follow."""
        self.fold = number - 1

    def epochs_found(self, count: int) -> None:
        """Say that training goes on, or start the clock."""
        if count:
            self._print(f"goes on after epoch {count}")
        self.left -= count * self.images[self.fold]

    def images_trained(self, count: int) -> None:
        """Say nothing between epochs."""

    def epoch_done(self, epoch: "Epoch") -> None:
        """Print the epoch."""
        self.trained += self.images[self.fold]
        self.left -= self.images[self.fold]
        seconds = self.left * (time.monotonic() - self.started) / self.trained
        self._print(
            f"epoch {epoch.epoch}/{self.epochs}  loss {epoch.loss:.4f}  "
            f"val accuracy {epoch.val_accuracy:.4f}  {epoch.images_per_second:,.0f} images/s  "
            f"left {seconds // 60:.0f} min {seconds % 60:02.0f} s"
        )

    def fold_done(self, number: int, judged: "Scores | None", *, skipped: bool) -> None:
        """Print the fold's result."""
        self.fold = number - 1
        if skipped:
            self.left -= self.epochs * self.images[self.fold]
        result = f"accuracy {judged.accuracy:.5f}" if judged else "nothing held out"
        self._print(f"{'finished before' if skipped else 'finished'}: {result}")

    def _print(self, text: str) -> None:
        print(f"fold {self.fold + 1}/{len(self.images)}  {text}", file=self.stream, flush=True)
