"""Gather the facts about several runs or files together: disagreements and ensembles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits import blending, submissions
from kaggle_digits.evaluation import Scores, ensembling
from kaggle_digits.runs import Run
from kaggle_digits.runs.predictions import OutOfFold, read_out_of_fold
from kaggle_digits.submissions import comparison

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_DISPUTED = 48  # images


@dataclass(frozen=True)
class Disputed:
    """An image on which runs or files disagree.

    Attributes:
        id: id of the image.
        label: index of its class; None for test images.
        answers: predicted class index of each run or file.
        probabilities: probability of each prediction; empty for files.

    """

    id: int
    label: int | None
    answers: tuple[int, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Disputes:
    """The disagreements of several runs or files.

    Attributes:
        names: names of the runs or files, in the order of the answers.
        split: ``train`` for held-out images, ``test`` for test images.
        images: number of compared images.
        differing: number of images on which each pair differs, ``[names, names]``.
        count: number of images on which not all agree.
        shown: the images with the most disagreement, at most `MAX_DISPUTED`.
        class_names: names of the classes that the answers are indexes of.
        has_images: whether the images are shown.

    """

    names: tuple[str, ...]
    split: str
    images: int
    differing: tuple[tuple[int, ...], ...]
    count: int
    shown: tuple[Disputed, ...]
    class_names: tuple[str, ...]
    has_images: bool


@dataclass(frozen=True)
class Member:
    """A run in an ensemble.

    Attributes:
        run: its folder.
        weight: its weight, 0-1.
        scores: scores on the images that every member held out.
        mended: number of this run's errors that the ensemble corrects.
        needed: ids of images that the ensemble predicts correctly only with this run. Without a
            run that has all the weight, the others have equal weights.
        harmful: ids of images that the ensemble predicts correctly only without this run.

    """

    run: str
    weight: float
    scores: Scores
    mended: int
    needed: tuple[int, ...]
    harmful: tuple[int, ...]


@dataclass(frozen=True)
class Ensemble:
    """A weighted mean of runs, with weights from hill climbing on the out-of-fold log loss."""

    members: tuple[Member, ...]
    scores: Scores


def group_runs(runs: Sequence[Run]) -> list[list[Run]]:
    """Group the runs that have the same test images and classes."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.test_fingerprint, run.class_names), []).append(run)
    return list(groups.values())


def compare_files(
    named: Sequence[tuple[str, Path]], class_names: tuple[str, ...], *, has_images: bool
) -> Disputes:
    """Return the disagreements of CSVs on the test images.

    Args:
        named: two or more pairs of a name and the path of a CSV.
        class_names: names of the classes.
        has_images: whether the images are shown.

    Raises:
        InputError: a file cannot be read, or the ids differ.

    """
    compared = comparison.compare([(name, submissions.read(csv)) for name, csv in named])
    shown = tuple(
        Disputed(int(compared.ids[row]), None, tuple(compared.labels[:, row].tolist()), ())
        for row in compared.disputed[:MAX_DISPUTED]
    )
    differing = tuple(tuple(row) for row in compared.differing.tolist())
    return Disputes(
        compared.names,
        "test",
        len(compared.ids),
        differing,
        len(compared.disputed),
        shown,
        class_names,
        has_images,
    )


def compare_held_out(runs: Sequence[Run], *, has_images: bool) -> Disputes | None:
    """Return the disagreements on the images that all runs held out; None without such images.

    Args:
        runs: runs with the same classes.
        has_images: whether the images are shown.

    """
    oof = read_out_of_fold(list(runs))
    if oof is None:
        return None
    answers = oof.probabilities.argmax(axis=2).astype(np.uint8)
    sure = oof.probabilities.max(axis=2)
    _, votes = comparison.majority_of(answers)
    disputed = np.flatnonzero(votes < len(runs))
    disputed = disputed[np.argsort(votes[disputed], kind="stable")]
    shown = tuple(
        Disputed(
            int(oof.ids[row]),
            int(oof.labels[row]),
            tuple(answers[:, row].tolist()),
            tuple(round(float(value), 4) for value in sure[:, row]),
        )
        for row in disputed[:MAX_DISPUTED]
    )
    differing = (answers[:, np.newaxis] != answers).sum(axis=2)
    names = tuple(str(run.folder) for run in runs)
    matrix = tuple(tuple(row) for row in differing.tolist())
    return Disputes(
        names,
        "train",
        len(oof.ids),
        matrix,
        len(disputed),
        shown,
        runs[0].class_names,
        has_images,
    )


def blend_runs(runs: Sequence[Run]) -> Ensemble | None:
    """Return the hill-climbed ensemble; None if the runs have no held-out images in common."""
    oof = read_out_of_fold(list(runs))
    if oof is None:
        return None
    blend = blending.ensemble([run.folder for run in runs], "hill-climb")
    if blend.scores is None:
        return None
    weights = np.array(blend.weights)
    oof = replace(oof, probabilities=ensembling.calibrate(oof.probabilities, blend.temperatures))
    right = _find_right(oof, weights)
    members = []
    for number, (run, judged) in enumerate(zip(runs, blend.member_scores, strict=True)):
        alone = oof.probabilities[number].argmax(axis=1) == oof.labels
        without = _find_right(oof, _weigh_others(weights, number))
        members.append(
            Member(
                str(run.folder),
                round(float(weights[number]), 6),
                judged,
                int((right & ~alone).sum()),
                tuple(oof.ids[right & ~without].tolist()),
                tuple(oof.ids[~right & without].tolist()),
            )
        )
    return Ensemble(tuple(members), blend.scores)


def _find_right(oof: OutOfFold, weights: "npt.NDArray[np.float64]") -> "npt.NDArray[np.bool_]":
    """Return which images the weighted mean predicts correctly, bool ``[n]``."""
    blended = ensembling.blend(oof.probabilities, "mean", weights)
    return np.asarray(blended.argmax(axis=1) == oof.labels)


def _weigh_others(weights: "npt.NDArray[np.float64]", left_out: int) -> "npt.NDArray[np.float64]":
    """Return the weights without one member; equal ones if it has all the weight."""
    others = np.arange(len(weights)) != left_out
    kept = np.where(others, weights, 0.0)
    return kept if kept.sum() else others.astype(np.float64)
