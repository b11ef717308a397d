"""Blend the probabilities of finished runs.

Jupyter shows a blend as a short table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import files, runs, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Scores, scores
from kaggle_digits.results import (
    FinishedRun,
    Probabilities,
    describe_scores,
    html_table,
    open_run,
    require_list,
)
from kaggle_digits.runs import predictions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
        """Write the labels as ``ImageId,Label``, record their provenance and return the path.

        Raises:
            InputError: ``path`` cannot be written, or is a file that is not a submission.

        """
        from kaggle_digits.runs import provenance

        csv = files.expand_home(path)
        submissions.require_target(csv)
        submissions.write(csv, self.test.ids, self.labels)
        members = [runs.Run(run.folder) for run in self.runs]
        origin = provenance.trace_runs(members, self.scores.accuracy if self.scores else None)
        provenance.note(csv, origin, files.SUBMISSIONS)
        return csv

    def __repr__(self) -> str:
        names = ", ".join(str(run.folder) for run in self.runs)
        return f"<Blend ({self.method}) of {names}: {self._describe_accuracy()}>"

    def _describe_accuracy(self) -> str:
        found = self.scores
        return describe_scores(found) if found else "no image was held out by every run"

    def _repr_html_(self) -> str:
        members = zip(self.weights, self.runs, strict=True)
        rows = [("blend", self.method)]
        rows += [(f"weight {weight:.3f}", str(run.folder)) for weight, run in members]
        rows.append(("out-of-fold accuracy", self._describe_accuracy()))
        if self.test_scores:
            rows.append(("test accuracy", describe_scores(self.test_scores)))
        return html_table(rows)


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

    listed = require_list("ensemble", members)
    ensembling.require_method(method)
    for member in listed:
        if not isinstance(member, FinishedRun | str | Path):
            raise InputError(
                f"ensemble received {type(member).__name__}. Expected finished runs, or runs' "
                "folders."
            )
    finished = tuple(
        member if isinstance(member, FinishedRun) else open_run(member) for member in listed
    )
    if not finished:
        raise InputError("received no runs to blend. Expected one or more finished runs.")
    opened = [runs.Run(run.folder) for run in finished]
    test, oof = predictions.read_test(opened), predictions.read_out_of_fold(opened)
    count = len(finished)
    weights, temperatures = np.full(count, 1 / count), np.ones(count)
    blend = partial(ensembling.blend, method=method)
    if method == "hill-climb":
        if oof is None:
            raise InputError(
                "--method hill-climb needs images that every run held out, with the same labels. "
                "These runs share no such images. Use runs of `cv` on the same data, or --method "
                "mean."
            )
        temperatures = ensembling.find_temperatures(oof.probabilities, oof.labels)
        calibrated = ensembling.calibrate(oof.probabilities, temperatures)
        weights = ensembling.hill_climb(calibrated, oof.labels)
        blend = partial(blend, weights=weights, temperatures=temperatures)
    oof_scores: Scores | None = None
    member_scores: tuple[Scores, ...] = ()
    if oof:
        oof_scores = scores(blend(oof.probabilities), oof.labels)
        member_scores = tuple(scores(member, oof.labels) for member in oof.probabilities)
    blended = blend(test.probabilities)
    test_scores: Scores | None = None
    if test.labels is not None:
        test_scores = scores(blended, test.labels)
    return Blend(
        finished,
        method,
        tuple(weights.tolist()),
        tuple(temperatures.tolist()),
        Probabilities(test.ids, blended.astype(np.float32), test.labels),
        blended.argmax(axis=1).astype(np.uint8),  # before rounding, which could make a tie
        oof_scores,
        member_scores,
        test_scores,
    )
