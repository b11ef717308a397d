"""Finished runs that were not trained: their files alone, so that tests of reports are quick."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from kaggle_digits import datasets, files, submissions
from kaggle_digits.runs import Run
from kaggle_digits.training.history import Epoch, write_history
from tests.helpers import run_settings, write_competition

EPOCHS = 3


def make_data(folder: Path, train: int = 60, test: int = 20) -> Path:
    return write_competition(folder, train, test)


def make_run(folder: Path, data: Path, seed: int, errors: int = 8, **changes: object) -> Run:
    """Write a run on the data that gets ``errors`` of its held-out images wrong; return it."""
    splits = datasets.load(data)
    settings = dataclasses.replace(
        run_settings(),
        train_fingerprint=splits.train.fingerprint,
        test_fingerprint=splits.test.fingerprint,
    )
    description = {
        "state": "finished",
        "command": f"kaggle-digits cv --recipe bn20 --folds 2 --seed {seed}",
        "started": f"2026-01-0{seed + 1}T00:00:00+00:00",
        "finished": "2026-01-09T00:00:00+00:00",
        "settings": dataclasses.asdict(settings),
        "class_names": list(splits.train.class_names),
        "environment": {"python": "3.11", "machine": "a machine"},
        "test_images_in_train": 0,
    } | changes
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(description))
    labels = np.asarray(splits.train.labels)
    probabilities = make_probabilities(labels, errors, seed)
    files.write_npz(
        folder / "oof.npz",
        rows=np.arange(len(labels)),
        ids=splits.train.ids,
        labels=labels,
        probabilities=probabilities,
    )
    answers = make_probabilities((np.arange(len(splits.test)) % 10).astype(np.uint8), 5, seed)
    files.write_npz(folder / "test.npz", ids=splits.test.ids, probabilities=answers)
    submissions.write(folder / "submission.csv", splits.test.ids, answers.argmax(axis=1))
    right = probabilities.argmax(axis=1) == labels
    scores = {
        "accuracy": float(right.mean()), "log_loss": 0.5, "errors": errors, "images": len(labels),
        "standard_error": 0.01,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps({"oof": scores, "seconds": 12.5}))
    for fold in (1, 2):
        (folder / f"fold-{fold}").mkdir()
        history = [
            Epoch(n, 1 / n, 1 - 0.2 / n, 1.1 / n, 1 - 0.25 / n, 0.001, 2.0, 30.0)
            for n in range(1, EPOCHS + 1)
        ]
        write_history(folder / f"fold-{fold}" / "history.csv", history)
    return Run(folder)


def make_probabilities(labels: np.ndarray, errors: int, seed: int) -> np.ndarray:
    """Return float32 ``[n, 10]`` that is wrong for the first ``errors`` of a shuffled order."""
    random = np.random.default_rng(seed)
    said = labels.copy()
    wrong = random.permutation(len(labels))[:errors]
    said[wrong] = (said[wrong] + random.integers(1, 10, errors)) % 10
    probabilities = np.full((len(labels), 10), 0.02, np.float32)
    probabilities[np.arange(len(labels)), said] = 0.82
    return probabilities
