"""Show the training progress: Rich progress bars on a terminal, plain lines elsewhere."""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kaggle_digits.evaluation import Scores
    from kaggle_digits.training.cross_validation import TrainingCallback
    from kaggle_digits.training.history import Epoch


@contextlib.contextmanager
def show_progress(stream: TextIO) -> Iterator["TrainingCallback"]:
    """Yield a callback that shows the progress of a run on ``stream``."""
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
    """Progress bars: one per fold and one for the whole run."""

    def __init__(self, progress: "Progress") -> None:
        self.progress = progress
        self.epochs = 0
        self.images: tuple[int, ...] = ()
        self.tasks: list[TaskID] = []

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Show an empty bar for every fold."""
        self.epochs, self.images = epochs, images
        blank: dict[str, Any] = {"epochs": "", "loss": "", "accuracy": "", "speed": ""}
        self.tasks = [
            self.progress.add_task(f"fold {k}/{members}", total=n * epochs, start=False, **blank)
            for k, n in enumerate(images, start=1)
        ]
        self.total = self.progress.add_task("all", total=sum(images) * epochs, **blank)

    def fold_started(self, number: int) -> "FoldBar":
        """Start the bar of that fold."""
        self.progress.start_task(self.tasks[number - 1])
        self.show(number, epochs="starting …")
        return FoldBar(self, number)

    def fold_done(self, number: int, judged: "Scores | None", *, skipped: bool) -> None:
        """Fill the bar."""
        self.advance(number, self.epochs * self.images[number - 1])
        self.show(
            number,
            accuracy=f"val {judged.accuracy:.4f}" if judged else "",
            epochs="done earlier" if skipped else "done",
        )

    def show(self, number: int, **fields: str) -> None:
        """Show texts in the bar of that fold."""
        self.progress.update(self.tasks[number - 1], **fields)  # type: ignore[arg-type]  # fields of ours

    def advance(self, number: int, images: int) -> None:
        """Advance the bar of that fold to ``images``, and the bar of the whole run."""
        self.progress.update(self.tasks[number - 1], completed=images)
        done = sum(self.progress.tasks[task].completed for task in self.tasks)
        self.progress.update(self.total, completed=done)


class FoldBar:
    """The bar of one fold."""

    def __init__(self, bars: Bars, number: int) -> None:
        self.bars = bars
        self.number = number
        self.images = bars.images[number - 1]
        self.before = 0  # images of the fold's finished epochs

    def epochs_found(self, count: int) -> None:
        """Advance the bar by the epochs that an earlier process finished."""
        self._finish(count)

    def images_trained(self, count: int) -> None:
        """Move the bars."""
        self.bars.advance(self.number, self.before + count)

    def epoch_done(self, epoch: "Epoch") -> None:
        """Show the epoch's figures."""
        self._finish(epoch.epoch)
        self.bars.show(
            self.number,
            loss=f"loss {epoch.loss:.4f}",
            accuracy=_accuracy(epoch, "val"),
            speed=f"{epoch.images_per_second:,.0f} img/s",
        )

    def _finish(self, epochs: int) -> None:
        self.before = epochs * self.images
        self.bars.advance(self.number, self.before)
        running = min(epochs + 1, self.bars.epochs)
        self.bars.show(self.number, epochs=f"epoch {running}/{self.bars.epochs}")


class Lines:
    """Progress as plain text: one line per epoch, with the time left."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.epochs = 0
        self.images: tuple[int, ...] = ()
        self.left = 0  # images of the whole run
        self.trained = 0  # images in this process
        self.started = time.monotonic()

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Store the amount of work."""
        del members
        self.epochs, self.images = epochs, images
        self.left = sum(images) * epochs

    def fold_started(self, number: int) -> "FoldLines":
        """Return the callback that prints the fold's lines."""
        return FoldLines(self, number)

    def fold_done(self, number: int, judged: "Scores | None", *, skipped: bool) -> None:
        """Print the fold's result."""
        if skipped:
            self.left -= self.epochs * self.images[number - 1]
        result = f"accuracy {judged.accuracy:.5f}" if judged else "no held-out images"
        self.print(number, f"{'finished earlier' if skipped else 'finished'}: {result}")

    def time_left(self, images: int) -> str:
        """Return the time left after training ``images`` more images."""
        self.trained += images
        self.left -= images
        seconds = self.left * (time.monotonic() - self.started) / self.trained
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"

    def print(self, number: int, text: str) -> None:
        """Print the fold's number and ``text``."""
        print(f"fold {number}/{len(self.images)}  {text}", file=self.stream, flush=True)


class FoldLines:
    """The lines of one fold."""

    def __init__(self, lines: Lines, number: int) -> None:
        self.lines = lines
        self.number = number
        self.images = lines.images[number - 1]
        self.epochs = 0  # finished ones; a fold may resume several times, if its node is lost

    def epochs_found(self, count: int) -> None:
        """Print after which epoch training resumes."""
        if count:
            self.lines.print(self.number, f"resumes after epoch {count}")
        self.lines.left -= (count - self.epochs) * self.images
        self.epochs = count

    def images_trained(self, count: int) -> None:
        """Print nothing between epochs."""

    def epoch_done(self, epoch: "Epoch") -> None:
        """Print the epoch."""
        self.epochs = epoch.epoch
        self.lines.print(
            self.number,
            f"epoch {epoch.epoch}/{self.lines.epochs}  loss {epoch.loss:.4f}  "
            f"{_accuracy(epoch, 'val accuracy')}  {epoch.images_per_second:,.0f} images/s  "
            f"left {self.lines.time_left(self.images)}",
        )


def _accuracy(epoch: "Epoch", name: str) -> str:
    """Return the validation accuracy after ``epoch`` as text."""
    held_out = not math.isnan(epoch.val_accuracy)
    return f"{name} {epoch.val_accuracy:.4f}" if held_out else "no held-out images"
