"""Gather a run's folds: average their predictions, score them, and write the run's files."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kaggle_digits import files, submissions
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.evaluation import Scores, ensembling, scores
from kaggle_digits.runs import Run, now
from kaggle_digits.runs.safe_folder import MISSING, DamagedRunError


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        run: its folder.
        oof: scores over the held-out images, None if nothing was held out.
        folds: scores of each fold over its held-out images.
        test: scores of the averaged models on the test images, None where they have no labels.
        seconds: training time in seconds, without interruptions.

    """

    run: Run
    oof: Scores | None
    folds: tuple[Scores | None, ...]
    test: Scores | None
    seconds: float


def gather(run: Run, splits: Splits) -> Result:
    """Average the trained folds of ``run``, write its files and mark it as finished.

    Args:
        run: a run whose models are all trained.
        splits: its images.

    Raises:
        DamagedRunError: a file of a fold is missing or damaged.

    """
    members = range(1, run.settings.members + 1)
    finished = [_read_mark(run, number) for number in members]
    images = len(splits.test)
    test = ensembling.blend(
        np.stack([run.fold_arrays(k, "test", images)["probabilities"] for k in members]), "mean"
    )
    answers = {} if splits.test.labels is None else {"labels": splits.test.labels}
    files.write_npz(run.folder / "test.npz", ids=splits.test.ids, probabilities=test, **answers)
    tested = scores(test, answers["labels"]) if answers else None
    oof = _gather_oof(run, members, splits.train)
    folds = tuple(map(_scores, finished))
    seconds = round(sum(fold["seconds"] for fold in finished), 1)
    result = Result(run, oof, folds, tested, seconds)
    metrics = {
        "oof": oof and asdict(oof),
        "folds": [fold and asdict(fold) for fold in folds],
        "test": tested and asdict(tested),
        "seconds": seconds,
    }
    files.write_json(run.folder / "metrics.json", metrics)
    submissions.write(run.submission, splits.test.ids, test.argmax(axis=1))
    run.update(state="finished", finished=run.facts.finished or now())
    return result


def _gather_oof(run: Run, members: range, train: Dataset) -> Scores | None:
    """Write ``oof.npz``: the probabilities of each held-out image, averaged over the seeds."""
    total = np.zeros((len(train), len(train.class_names)), np.float64)
    times = np.zeros(len(train), np.int64)
    for number in members:
        if run.has(f"fold-{number}/oof.npz"):
            fold = run.fold_arrays(number, "oof")
            if not 0 <= fold["rows"].min() <= fold["rows"].max() < len(train):
                path = run.fold(number) / "oof.npz"
                raise DamagedRunError(path, f"it has rows beyond the {len(train):,} images")
            total[fold["rows"]] += fold["probabilities"]
            times[fold["rows"]] += 1
    rows = np.flatnonzero(times)
    if not len(rows) or train.labels is None:
        return None
    probabilities = (total[rows] / times[rows, None]).astype(np.float32)
    labels = train.labels[rows]
    files.write_npz(
        run.folder / "oof.npz",
        rows=rows,
        ids=train.ids[rows],
        labels=labels,
        probabilities=probabilities,
    )
    return scores(probabilities, labels)


def read_fold_scores(run: Run, number: int) -> Scores | None:
    """Return the scores of a trained fold on its held-out images; None if it held none out.

    Raises:
        DamagedRunError: ``finished.json`` is missing or damaged.

    """
    return _scores(_read_mark(run, number))


def _scores(finished: dict[str, Any]) -> Scores | None:
    return Scores(**finished["scores"]) if finished["scores"] else None


def _read_mark(run: Run, number: int) -> dict[str, Any]:
    if mark := run.fold_scores(number):
        return mark
    path = run.fold(number) / "finished.json"
    raise DamagedRunError(path, MISSING, "Run the same command again: it trains this fold.")
