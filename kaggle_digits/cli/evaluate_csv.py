"""Evaluate a CSV against known labels, for ``evaluate``."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import options, printing

if TYPE_CHECKING:
    import pandas as pd

    from kaggle_digits.evaluation import Scores, WorstImage


def judge_csv(csv: Path, labels: Path | None, worst: int, *, as_json: bool) -> None:
    """Print the scores of ``csv`` against the labels in ``labels``."""
    from kaggle_digits import evaluation, submissions
    from kaggle_digits.errors import InputError

    if labels is None:
        command = shlex.join([options.program(), "evaluate", str(csv), "--labels"])
        raise InputError(
            f"{csv} is a file: received no --labels to score it against. Expected a CSV with "
            "ImageId,Label of the same images, such as the answers.csv of a rehearsal:\n"
            f"  {command} input/answers.csv"
        )
    if not labels.is_file():
        what = "is a folder" if labels.is_dir() else "does not exist"
        raise InputError(
            f"--labels {labels} {what}. Expected a CSV with the true ImageId,Label. A rehearsal "
            "has it as answers.csv in its --input folder."
        )
    answers, truth = submissions.read(csv), submissions.read(labels)
    submissions.check(answers, truth.ids, name=str(csv), source=f"ids in {labels}")
    rows, true_rows = answers.ids.argsort(), truth.ids.argsort()
    probabilities = evaluation.one_hot(answers.labels[rows], submissions.CLASSES)
    true_labels = truth.labels[true_rows]
    scores = evaluation.scores(probabilities, true_labels)
    names = [str(name) for name in range(submissions.CLASSES)]
    table = evaluation.confusion_matrix(probabilities, true_labels, names)
    shown = min(worst, scores.errors)  # the images after them are correct
    wrong = evaluation.find_worst_images(probabilities, true_labels, truth.ids[true_rows], shown)
    print_ = _print_json_of_csv if as_json else _print_csv
    print_(scores, table, wrong)


def _print_csv(scores: "Scores", table: "pd.DataFrame", wrong: "tuple[WorstImage, ...]") -> None:
    print(f"accuracy  {scores.accuracy:.5f} ± {scores.standard_error:.5f} (standard error)")
    print(f"errors    {scores.errors:,} in {scores.images:,} images\n")
    print(table.to_string())
    if wrong:
        print(f"\nwrong labels, first {len(wrong):,} of {scores.errors:,} (--worst N lists more)")
        print("id      label  predicted")
    for image in wrong:
        print(f"{image.id:<7} {image.label:<6} {image.predicted}")


def _print_json_of_csv(
    scores: "Scores", table: "pd.DataFrame", wrong: "tuple[WorstImage, ...]"
) -> None:
    judged = asdict(scores)
    del judged["log_loss"]
    printing.print_json(
        {
            "scores": judged,
            "confusion_matrix": table.to_numpy().tolist(),
            "wrong": [
                {"id": image.id, "label": image.label, "predicted": image.predicted}
                for image in wrong
            ],
        }
    )
