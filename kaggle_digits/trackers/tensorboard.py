"""``tensorboard``: event files in the run's folder, written by Keras's own callback.

The callback is called in the process that receives the progress, not in ``fit``: folds are trained
in processes of their own, and a resumed run must not write its epochs twice. What was written
before is therefore replaced: an event file cannot be continued without repeating epochs.
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kaggle_digits.backend import start_keras
from kaggle_digits.runs import Run
from kaggle_digits.terminal_text import escape
from kaggle_digits.trackers.tracker import Outcome, list_metrics, list_scores, list_settings
from kaggle_digits.training.history import Epoch

PACKAGE = "tensorboard"
FOLDER = "tensorboard"  # in the run's folder
WRITTEN = "**/events.out.tfevents.*"


def open_tracker(run: Run) -> "TensorBoardTracker":
    """Return a tracker that writes into the run's folder."""
    return TensorBoardTracker(run)


def describe(run: Run) -> str:
    """Return the command that shows the run."""
    return f"tensorboard --logdir {escape(str(run.folder / FOLDER))}"


class TensorBoardTracker:
    """Write one TensorBoard run per fold, and one with the settings and scores."""

    def __init__(self, run: Run) -> None:
        start_keras(run.settings.training.batch_splits, run.settings.threads)
        if run.settings.threads is not None:
            _leave_gpus_to_the_folds()
        self.folder = run.inside(FOLDER)
        for path in self.folder.glob(WRITTEN):
            path.unlink()
        self.callbacks: dict[int, Any] = {}
        self._write_texts({"settings": _table(list_settings(run))})

    def log_epochs(self, fold: int, epochs: Sequence[Epoch]) -> None:
        """Write epochs as Keras does: step 0 is the first."""
        callback = self.callbacks.get(fold) or self._open(fold)
        for epoch in epochs:
            callback.on_epoch_end(epoch.epoch - 1, list_metrics(epoch))
        for writer in callback._writers.values():  # noqa: SLF001 — else pages lag behind by minutes
            writer.flush()

    def log_results(self, run: Run, plots: Sequence[Path]) -> None:
        """Write scores as scalars at step 0, and plots as images."""
        import tensorflow as tf

        with self._writer("results").as_default(step=0):
            for name, value in list_scores(run).items():
                tf.summary.scalar(name, value)
            for path in plots:
                tf.summary.image(path.stem, _read_picture(path))

    def close(self, outcome: Outcome) -> None:
        """Close the event files."""
        del outcome  # the curves show it
        for callback in self.callbacks.values():
            callback.on_train_end()

    def _open(self, fold: int) -> Any:
        import keras

        callback = keras.callbacks.TensorBoard(
            str(self.folder / f"fold-{fold}"), write_graph=False, profile_batch=0
        )
        # It asks its model for a learning rate, which is among the figures here.
        callback.set_model(SimpleNamespace(optimizer=None))
        callback.on_train_begin()
        self.callbacks[fold] = callback
        return callback

    def _write_texts(self, texts: dict[str, str]) -> None:
        import tensorflow as tf

        with self._writer("settings").as_default(step=0):
            for name, text in texts.items():
                tf.summary.text(name, text)

    def _writer(self, name: str) -> Any:
        import tensorflow as tf

        return tf.summary.create_file_writer(str(self.folder / name), flush_millis=1000)


def _leave_gpus_to_the_folds() -> None:
    """Let this process, which trains nothing, take no memory of a GPU."""
    import contextlib

    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it has used them already
        tf.config.set_visible_devices([], "GPU")


def _table(values: dict[str, Any]) -> str:
    """Return names and values as a table in Markdown."""
    rows = [f"| {name} | `{str(value).replace('|', '/')}` |" for name, value in values.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _read_picture(path: Path) -> Any:
    """Return a PNG as uint8 ``[1, height, width, 3]``."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))[None]
