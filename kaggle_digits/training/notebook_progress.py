"""Show progress bars in Jupyter as plain HTML, updated in place, without a widget package."""

import html
import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaggle_digits.evaluation import Scores
    from kaggle_digits.training.history import Epoch

PAUSE = 0.3  # seconds


def in_notebook() -> bool:
    """Return whether this process is a Jupyter kernel, without importing IPython."""
    shell = sys.modules.get("IPython")
    kernel = shell and shell.get_ipython()
    return kernel is not None and hasattr(kernel, "kernel")


@dataclass
class _Fold:
    images: int
    done: int = 0
    text: str = "waiting"


@dataclass
class NotebookBars:
    """One bar per fold. Give it to `cross_validate` as the callback, as Jupyter does by default."""

    epochs: int = 0
    folds: list[_Fold] = field(default_factory=list)
    handle: Any = None
    shown: float = 0.0  # time of the last update, monotonic clock
    notes: list[str] = field(default_factory=list)

    def note(self, text: str | None) -> None:
        """Show a note on the run's settings below the bars; None adds nothing."""
        if text is not None and text not in self.notes:
            self.notes.append(text)

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Show an empty bar for every fold."""
        from IPython.display import HTML, display

        del members
        self.epochs = epochs
        self.folds = [_Fold(count) for count in images]
        self.handle = display(HTML(self._table()), display_id=True)

    def fold_started(self, number: int) -> "_FoldBar":
        """Return the callback for that fold."""
        self.folds[number - 1].text = "starting"
        self.show()
        return _FoldBar(self, self.folds[number - 1])

    def fold_done(self, number: int, judged: "Scores | None", *, skipped: bool) -> None:
        """Fill the bar."""
        fold = self.folds[number - 1]
        fold.done = self.epochs * fold.images
        result = f"accuracy {judged.accuracy:.5f}" if judged else "no image held out"
        fold.text = f"{'finished earlier' if skipped else 'finished'}, {result}"
        self.show()

    def show(self, *, always: bool = True) -> None:
        """Update the cell; unless ``always``, at most a few times per second."""
        from IPython.display import HTML

        if always or time.monotonic() - self.shown > PAUSE:
            self.shown = time.monotonic()
            self.handle.update(HTML(self._table()))

    def _table(self) -> str:
        rows = "".join(
            f"<tr><td>fold {number}/{len(self.folds)}</td>"
            f"<td><progress max='{self.epochs * fold.images}' value='{fold.done}'></progress></td>"
            f"<td style='text-align:left'>{html.escape(fold.text)}</td></tr>"
            for number, fold in enumerate(self.folds, 1)
        )
        notes = "".join(f"<p>Note: {html.escape(text)}</p>" for text in self.notes)
        return f"<table>{rows}</table>{notes}"


@dataclass
class _FoldBar:
    bars: NotebookBars
    fold: _Fold
    finished: int = 0  # epochs

    def epochs_found(self, count: int) -> None:
        """Advance the bar by the epochs that an earlier process finished."""
        self.finished = count
        self.fold.done = count * self.fold.images

    def images_trained(self, count: int) -> None:
        """Move the bar."""
        self.fold.done = self.finished * self.fold.images + count
        self.bars.show(always=False)

    def epoch_done(self, epoch: "Epoch") -> None:
        """Show the epoch's figures."""
        self.finished = epoch.epoch
        validation = (
            "" if math.isnan(epoch.val_accuracy) else f", val accuracy {epoch.val_accuracy:.4f}"
        )
        self.fold.text = (
            f"epoch {epoch.epoch}/{self.bars.epochs}, loss {epoch.loss:.4f}{validation}"
        )
        self.fold.done = self.finished * self.fold.images
        self.bars.show()
