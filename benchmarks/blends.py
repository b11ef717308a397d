"""Compare finished runs and the means of their predictions, out-of-fold.

    python -m benchmarks.blends RUN RUN …

Prints a Markdown table with a row for each run and for each mean of two or more: errors on the
images that all runs held out, log loss as it is and at the best temperature, and the work of the
training. The last column compares each row with the first run, image by image. Temperatures are
fitted on the same images, one number each. No file is written.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from kaggle_digits import evaluation, runs
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import ensembling
from kaggle_digits.evaluation.metrics import Integers
from kaggle_digits.runs import predictions
from kaggle_digits.training import flop, run_images


@dataclass(frozen=True)
class Row:
    """A run, or a mean of runs.

    Attributes:
        name: the recipes, joined by a plus sign.
        images: number of held-out images.
        errors: number of errors on them.
        standard_error: binomial standard error of the errors.
        log_loss: log loss of the probabilities as they are.
        calibrated_log_loss: log loss at the temperature that is best on these images.
        flop: FLOP of the training, in all folds.
        seconds: training time in seconds.
        fewer: errors fewer than the first run has.
        fewer_error: standard error of ``fewer``, paired by image.

    """

    name: str
    images: int
    errors: int
    standard_error: float
    log_loss: float
    calibrated_log_loss: float
    flop: float
    seconds: float
    fewer: int
    fewer_error: float


def compare(folders: Sequence[Path]) -> Iterator[Row]:
    """Yield a row for each run and each mean of runs.

    Raises:
        InputError: a folder holds no finished run, or the runs held out different images.

    """
    opened = [runs.Run(folder) for folder in folders]
    same = len({run.settings.train_fingerprint for run in opened}) == 1
    found = predictions.read_out_of_fold(opened) if same else None
    if found is None:
        raise InputError(
            "the runs share no held-out images. Expected runs of `cv` on the same training images."
        )
    labels = found.labels
    wrong_at_first = found.probabilities[0].argmax(axis=1) != labels
    work = [(count_flop(run), (run.metrics or {}).get("seconds", math.nan)) for run in opened]
    for size in range(1, len(opened) + 1):
        for chosen in combinations(range(len(opened)), size):
            mean = ensembling.blend(found.probabilities[list(chosen)], "mean")
            wrong = mean.argmax(axis=1) != labels
            difference = wrong_at_first.astype(int) - wrong
            scores = evaluation.scores(mean, labels)
            yield Row(
                name=" + ".join(opened[k].settings.recipe for k in chosen),
                images=len(labels),
                errors=int(wrong.sum()),
                standard_error=scores.standard_error * len(labels),
                log_loss=scores.log_loss,
                calibrated_log_loss=calibrated_log_loss(mean, labels),
                flop=sum(work[k][0] for k in chosen),
                seconds=sum(work[k][1] for k in chosen),
                fewer=int(difference.sum()),
                fewer_error=float(difference.std() * math.sqrt(len(labels))),
            )


def calibrated_log_loss(probabilities: ensembling.Probabilities, labels: Integers) -> float:
    """Return the log loss at the temperature that is best for ``labels``."""
    temperatures = ensembling.find_temperatures([probabilities], labels)
    [calibrated] = ensembling.calibrate([probabilities], temperatures)
    return float(evaluation.scores(calibrated, labels).log_loss)


def count_flop(run: runs.Run) -> float:
    """Return the FLOP of training all models of a run."""
    settings = run.settings
    recipe = run.recipe()
    recipe.training.start_keras()
    trained = sum(run_images.count_run_images(run))
    return flop.count_flop(recipe.network()) * trained * settings.training.epochs


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = "mean of|errors|accuracy|log loss|at the best temperature|training|fewer than the first"
    lines = [head, "|".join("---" for _ in head.split("|"))]
    lines += [
        f"{row.name}|{row.errors} ± {row.standard_error:.0f}|{1 - row.errors / row.images:.5f}|"
        f"{row.log_loss:.4f}|{row.calibrated_log_loss:.5f}|{row.flop / 1e15:.2f} PFLOP, "
        f"{row.seconds / 60:.0f} min|{row.fewer} ± {row.fewer_error:.0f}"
        for row in rows
    ]
    return "\n".join(f"|{line}|" for line in lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    options = parser.parse_args()
    try:
        print(markdown(list(compare(options.runs))))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
