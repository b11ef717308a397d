"""A finished run, for notebooks. Jupyter shows it as a short table.

pandas and Keras are imported when needed.
"""

import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits import files, runs, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Scores, confusion_matrix
from kaggle_digits.runs import predictions, provenance
from kaggle_digits.terminal_text import describe_count
from kaggle_digits.training.history import read_history

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Predicted probabilities of images.

    Attributes:
        ids: int64 ``[n]``, the ids of the images.
        probabilities: float32 ``[n, classes]``; each row sums to 1.
        labels: uint8 ``[n]``; None for test images without known labels.

    """

    ids: "npt.NDArray[np.int64]"
    probabilities: "npt.NDArray[np.float32]"
    labels: "npt.NDArray[np.uint8] | None"

    def __repr__(self) -> str:
        count, classes = self.probabilities.shape
        return f"<Probabilities: {count:,} images × {classes} classes>"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as `cross_validate`, `train` and `open_run` return it.

    Attributes:
        folder: the run's folder; everything else is read from it.

    Example:
        >>> run = kd.open_run("runs/example")
        >>> run.scores.images, run.oof.labels.dtype, run.test.probabilities.shape
        (1442, dtype('uint8'), (355, 10))
        >>> run.predict(kd.load("input").test.images[:2]).shape
        (2, 10)
        >>> int(run.confusion_matrix.to_numpy().trace()) == 1442 - run.scores.errors
        True
        >>> models = run.load_models()
        >>> models[0].predict(kd.load("input").test.images, verbose=0).shape
        (355, 10)

    """

    folder: Path

    def __post_init__(self) -> None:
        """Raise InputError unless the folder holds a finished run."""
        self._run.require_finished()

    @property
    def _run(self) -> runs.Run:
        return runs.Run(self.folder)

    @cached_property
    def settings(self) -> runs.Settings:
        """All settings that determine the run's result."""
        return self._run.settings

    @cached_property
    def scores(self) -> Scores | None:
        """Out-of-fold scores; None if no image was held out."""
        return self._run.read_scores("oof")

    @cached_property
    def test_scores(self) -> Scores | None:
        """Scores of the models' mean on the test images; None if their labels are unknown."""
        return self._run.read_scores("test")

    @cached_property
    def oof(self) -> Probabilities:
        """Out-of-fold probabilities: each image is predicted by models not trained on it.

        Raises:
            InputError: no image was held out.

        """
        found = self._held_out
        return Probabilities(found.ids, found.probabilities[0], found.labels)

    @cached_property
    def _held_out(self) -> predictions.OutOfFold:
        found = predictions.read_out_of_fold([self._run])
        if found is None:
            raise InputError(
                f"{self.folder} held out no images, so it has no out-of-fold probabilities. "
                "Expected a run of cross_validate, or of train with a validation_split."
            )
        return found

    @cached_property
    def test(self) -> Probabilities:
        """Probabilities of the test images: the mean of the run's models."""
        arrays = self._run.arrays("test")
        return Probabilities(
            arrays["ids"], arrays["probabilities"].astype("float32"), arrays.get("labels")
        )

    @cached_property
    def confusion_matrix(self) -> "pd.DataFrame":
        """Number of held-out images by label (row) and predicted class (column).

        Raises:
            InputError: no image was held out.

        """
        found = self._held_out
        return confusion_matrix(found.probabilities[0], found.labels, self._run.class_names)

    @cached_property
    def history(self) -> "pd.DataFrame":
        """One row per fold and epoch.

        Columns: fold, epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds,
        images_per_second.
        """
        import pandas as pd

        rows = [
            {"fold": number, **vars(epoch)}
            for number in range(1, self.settings.members + 1)
            for epoch in read_history(self._run.fold(number) / "history.csv")
        ]
        return pd.DataFrame(rows)

    def predict(self, images: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.float32]":
        """Predict with all models of the run and average their probabilities.

        Args:
            images: uint8 ``[n, height, width, channels]``, from 0 (background) to 255, of the shape
                that the run was trained on.

        Returns:
            float32 ``[n, classes]``.

        Raises:
            InputError: the images have another type or shape, a model is damaged, or the run's
                recipe is a Python file that was never allowed on this machine.

        """
        from kaggle_digits.datasets.dataset import require_images
        from kaggle_digits.training import predicting

        require_images(images)
        return predicting.predict_with_run(self._run, images).astype("float32")

    def load_models(self) -> list[Any]:
        """Return the Keras model of every fold: uint8 ``[n, h, w, c]`` in, probabilities out.

        Raises:
            InputError: a model is damaged, or the run's recipe is a Python file that was never
                allowed on this machine.

        """
        from kaggle_digits.backend import start_keras
        from kaggle_digits.training import predicting

        start_keras()
        if self.settings.recipe_sha256:
            self._run.recipe()  # its custom layers are registered
        return [predicting.load_model(path, to_train=False) for path in self._run.models()]

    def write_submission(self, path: str | Path) -> Path:
        """Write the labels of the test images as ``ImageId,Label`` and return the path.

        Raises:
            InputError: ``path`` cannot be written, or is a file that is not a submission.

        """
        csv = files.expand_home(path)
        submissions.require_target(csv)
        test = self._run.arrays("test")  # before rounding, which could make a tie
        submissions.write(csv, test["ids"], test["probabilities"].argmax(axis=1))
        provenance.note_run(csv, self._run, files.SUBMISSIONS)
        return csv

    def __repr__(self) -> str:
        scores = describe_scores(self.scores) if self.scores else "no image was held out"
        return f"<FinishedRun {self.folder}: {scores}>"

    def _repr_html_(self) -> str:
        settings = self.settings
        rows = {
            "recipe": settings.recipe,
            "models": f"{settings.members} × {settings.training.epochs} epochs",
            "out-of-fold accuracy": "no image was held out",
            "log loss": "",
        }
        if self.scores:
            rows["out-of-fold accuracy"] = describe_scores(self.scores)
            rows["log loss"] = f"{self.scores.log_loss:.5f}"
        if self.test_scores:
            rows["test accuracy"] = describe_scores(self.test_scores)
        rows["folder"] = str(self.folder)
        return html_table(list(rows.items())) + self._learning_curves()

    def _learning_curves(self) -> str:
        from kaggle_digits.plots import learning_curves

        histories = [
            read_history(self._run.fold(number) / "history.csv")
            for number in range(1, self.settings.members + 1)
        ]
        drawn = io.StringIO()
        learning_curves.learning_curves(histories, "").savefig(drawn, format="svg")
        return drawn.getvalue().partition("<svg")[1] + drawn.getvalue().partition("<svg")[2]


def open_run(folder: str | Path) -> FinishedRun:
    """Open the finished run in a folder.

    Args:
        folder: the run's folder, such as ``runs/bn20-5-fold``.

    Raises:
        InputError: the folder holds no run, or an unfinished one.

    Example:
        >>> kd.open_run("runs/example").settings.recipe
        'dense'

    """
    return FinishedRun(files.expand_home(folder))


def require_list(
    function: str, items: Sequence[FinishedRun | str | Path]
) -> Sequence[FinishedRun | str | Path]:
    """Return ``items``; raise InputError if they are one run or one path instead of a list."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise InputError(
            f"{function} received {type(items).__name__} instead of a list. Expected runs or paths "
            f"in brackets: kd.{function}([…, …])."
        )
    return items


def describe_scores(judged: Scores) -> str:
    """Return accuracy with standard error, and the number of errors."""
    return (
        f"{judged.accuracy:.5f} ± {judged.standard_error:.5f} "
        f"({describe_count(judged.errors, 'error')} in {describe_count(judged.images, 'image')})"
    )


def html_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return an HTML table of names and values."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"
