"""Results for notebooks: a finished run, a blend of runs, a comparison of files.

Jupyter shows each as a short table. pandas and Keras are imported when needed.
"""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits import files, runs, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Scores, scores
from kaggle_digits.runs import predictions
from kaggle_digits.training.history import read_history

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from kaggle_digits.submissions import comparison


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


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as `cross_validate`, `train` and `open_run` return it.

    Attributes:
        folder: the run's folder; everything else is read from it.

    Example:
        >>> run = kd.open_run("runs/example")
        >>> run.scores.images, run.oof.labels.dtype, run.test.probabilities.shape
        (1442, dtype('uint8'), (355, 10))
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
        return self._read_scores("oof")

    @cached_property
    def test_scores(self) -> Scores | None:
        """Scores of the models' mean on the test images; None if their labels are unknown."""
        return self._read_scores("test")

    def _read_scores(self, of: str) -> Scores | None:
        found = (self._run.metrics or {}).get(of)
        return Scores(**found) if found else None

    @cached_property
    def oof(self) -> Probabilities:
        """Out-of-fold probabilities: each image is predicted by models not trained on it.

        Raises:
            InputError: no image was held out.

        """
        found = predictions.read_out_of_fold([self._run])
        if found is None:
            raise InputError(
                f"{self.folder} held out no images, so it has no out-of-fold probabilities. "
                "Expected a run of cross_validate, or of train with a validation_split."
            )
        return Probabilities(found.ids, found.probabilities[0], found.labels)

    @cached_property
    def test(self) -> Probabilities:
        """Probabilities of the test images: the mean of the run's models."""
        arrays = self._run.arrays("test")
        return Probabilities(
            arrays["ids"], arrays["probabilities"].astype("float32"), arrays.get("labels")
        )

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

    def load_models(self) -> list[Any]:
        """Return the Keras model of every fold: uint8 ``[n, h, w, c]`` in, probabilities out."""
        from kaggle_digits.backend import start_keras
        from kaggle_digits.training import fit

        start_keras()
        if self.settings.recipe_sha256:
            self._run.recipe()  # its custom layers are registered
        return [fit.load_model(path, to_train=False) for path in self._run.models()]

    def write_submission(self, path: str | Path) -> Path:
        """Write the labels of the test images as ``ImageId,Label`` and return the path."""
        csv = files.expand_home(path)
        submissions.write(csv, self.test.ids, self.test.probabilities.argmax(axis=1))
        return csv

    def _repr_html_(self) -> str:
        settings, oof_scores = self.settings, self.scores
        rows = {
            "recipe": settings.recipe,
            "models": f"{settings.members} × {settings.training.epochs} epochs",
            "out-of-fold accuracy": "no image was held out"
            if oof_scores is None
            else _describe_scores(oof_scores),
            "log loss": "" if oof_scores is None else f"{oof_scores.log_loss:.5f}",
            **({"test accuracy": _describe_scores(self.test_scores)} if self.test_scores else {}),
            "folder": str(self.folder),
        }
        return _html_table(list(rows.items())) + self._learning_curves()

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


@dataclass(frozen=True, eq=False)
class Blend:
    """The blended predictions of several runs.

    Attributes:
        runs: the members.
        method: how their probabilities were combined.
        weights: one weight per member; they sum to 1.
        temperatures: one per member, applied to its probabilities before blending: with
            ``hill-climb`` the one with the lowest out-of-fold log loss, else 1.
        test: probabilities of the test images.
        labels: uint8 ``[n]``, the most probable class of each test image.
        scores: out-of-fold scores on the images that every member held out; None without such
            images.
        member_scores: scores of each member on the same images; empty without such images.
        test_scores: scores on the test images; None if their labels are unknown.

    Example:
        >>> blend = kd.ensemble(["runs/example", "runs/example"])
        >>> blend.weights, blend.labels.shape
        ((0.5, 0.5), (355,))

    """

    runs: tuple[FinishedRun, ...]
    method: str
    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    test: Probabilities
    labels: "npt.NDArray[np.uint8]"
    scores: Scores | None
    member_scores: tuple[Scores, ...]
    test_scores: Scores | None

    def write_submission(self, path: str | Path) -> Path:
        """Write the labels as ``ImageId,Label``, record their provenance and return the path."""
        from kaggle_digits.runs import provenance

        csv = files.expand_home(path)
        submissions.write(csv, self.test.ids, self.labels)
        members = [runs.Run(run.folder) for run in self.runs]
        origin = provenance.trace_runs(members, self.scores.accuracy if self.scores else None)
        provenance.note(csv, origin, files.SUBMISSIONS)
        return csv

    def _repr_html_(self) -> str:
        oof_scores = self.scores
        accuracy = (
            "no image was held out by every run"
            if oof_scores is None
            else _describe_scores(oof_scores)
        )
        members = zip(self.weights, self.runs, strict=True)
        rows = [(f"{weight:.3f}", str(run.folder)) for weight, run in members]
        rows.append(("out-of-fold accuracy", accuracy))
        if self.test_scores is not None:
            rows.append(("test accuracy", _describe_scores(self.test_scores)))
        return _html_table(rows)


def ensemble(members: Sequence[FinishedRun | str | Path], method: str = "mean") -> Blend:
    """Blend the probabilities of finished runs on the same data.

    Args:
        members: finished runs, or their folders.
        method: ``mean``, ``geometric`` (mean), ``vote``, or ``hill-climb``, which calibrates
            each member with a temperature and chooses the weights by out-of-fold log loss.

    Returns:
        The blend: probabilities float32 ``[n, classes]``, labels uint8 ``[n]``, and scores.

    Raises:
        InputError: a run is not finished or predicts other test images; or the method needs images
            that every run held out, and there are no such images.

    Example:
        >>> blend = kd.ensemble(["runs/example"], method="mean")
        >>> blend.write_submission("submissions/blend.csv")
        PosixPath('submissions/blend.csv')

    """
    import numpy as np

    from kaggle_digits.evaluation import ensembling

    ensembling.require_method(method)
    finished = tuple(
        member if isinstance(member, FinishedRun) else open_run(member) for member in members
    )
    if not finished:
        raise InputError("received no runs to blend. Expected one or more finished runs.")
    opened = [runs.Run(run.folder) for run in finished]
    test, oof = predictions.read_test(opened), predictions.read_out_of_fold(opened)
    weights = temperatures = None
    if method == "hill-climb":
        if oof is None or oof.labels is None:
            raise InputError(
                "--method hill-climb needs images that every run held out, with the same labels. "
                "These runs share no such images. Use runs of `cv` on the same data, or --method "
                "mean."
            )
        temperatures = ensembling.find_temperatures(oof.probabilities, oof.labels)
        calibrated = ensembling.calibrate(oof.probabilities, temperatures)
        weights = ensembling.hill_climb(calibrated, oof.labels)
    blended = ensembling.blend(test.probabilities, method, weights, temperatures)
    oof_scores: Scores | None = None
    member_scores: tuple[Scores, ...] = ()
    if oof is not None and oof.labels is not None:
        blended_oof = ensembling.blend(oof.probabilities, method, weights, temperatures)
        oof_scores = scores(blended_oof, oof.labels)
        member_scores = tuple(scores(member, oof.labels) for member in oof.probabilities)
    count = len(finished)
    shares = [1 / count] * count if weights is None else weights.tolist()
    used = [1.0] * count if temperatures is None else temperatures.tolist()
    return Blend(
        finished,
        method,
        tuple(shares),
        tuple(used),
        Probabilities(test.ids, blended.astype(np.float32), test.labels),
        blended.argmax(axis=1).astype(np.uint8),  # before rounding, which could make a tie
        oof_scores,
        member_scores,
        None if test.labels is None else scores(blended, test.labels),
    )


@dataclass(frozen=True, eq=False)
class FileComparison:
    """Agreement and differences of submissions.

    Attributes:
        details: all figures of the comparison.

    Example:
        >>> found = kd.compare(["submissions/sample.csv", "runs/example"])
        >>> found.agreement.shape
        (2, 2)

    """

    details: "comparison.Comparison"

    @property
    def agreement(self) -> "pd.DataFrame":
        """Share of images on which two files agree, 0-1, shape files × files."""
        import pandas as pd

        names = list(self.details.names)
        return pd.DataFrame(self.details.agreement, index=names, columns=names)

    @property
    def disputed(self) -> "pd.DataFrame":
        """The files' labels of each disputed image, the image with the most disagreement first."""
        import pandas as pd

        rows = self.details.disputed
        table = pd.DataFrame(
            self.details.labels[:, rows].T,
            index=pd.Index(self.details.ids[rows], name="ImageId"),
            columns=list(self.details.names),
        )
        table["majority"] = self.details.majority[rows]
        return table

    def _repr_html_(self) -> str:
        return str(self.agreement.to_html()) + str(self.disputed.head(20).to_html())


def compare(items: Sequence[FinishedRun | str | Path]) -> FileComparison:
    """Compare submissions image by image.

    Args:
        items: two or more CSVs with ``ImageId,Label``, finished runs, or runs' folders.

    Returns:
        The agreement of each pair and the images on which the files differ.

    Raises:
        InputError: a file cannot be read, or the files have different image ids.

    Example:
        >>> found = kd.compare(["submissions/sample.csv", "runs/example"])
        >>> list(found.disputed.columns)
        ['submissions/sample.csv', 'runs/example', 'majority']

    """
    from kaggle_digits.submissions import comparison

    named = []
    for item in items:
        path = item.folder if isinstance(item, FinishedRun) else files.expand_home(item)
        csv = runs.Run(path).submission if path.is_dir() else path
        named.append((str(path), submissions.read(csv)))
    return FileComparison(comparison.compare(named))


def _describe_scores(judged: Scores) -> str:
    return (
        f"{judged.accuracy:.5f} ± {judged.standard_error:.5f} "
        f"({judged.errors:,} errors in {judged.images:,} images)"
    )


def _html_table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"
