"""Measure how long it takes to train one model of each recipe, relative to ``bn20``.

    python -m benchmarks.recipe_times [--rounds N] [RECIPE …]

The figures stand in the recipes (`Recipe.relative_time`). In each round every recipe is trained for
two short epochs on random images, in a process of its own; the second epoch counts, times the
recipe's epochs and the images of its data. The ratio is computed within a round.
"""

import argparse
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from kaggle_digits.recipes import RECIPES, find
from kaggle_digits.training import planning

UNIT = "bn20"
FOLDS = 5
DIGITS, CIFAR10 = 42_000, 50_000  # training images; a model is trained on four fifths of them


def measure_model(name: str) -> float:
    """Return the seconds that training one model of the recipe takes."""
    images = DIGITS if find(name).image_shape == (28, 28, 1) else CIFAR10
    trainings = planning.configure_members(images, FOLDS, None, [name])
    with tempfile.TemporaryDirectory() as folder:
        seconds = planning.measure_seconds(trainings, FOLDS, Path(folder))[name]
    return seconds * trainings[name].epochs * images * (FOLDS - 1) / FOLDS


def main() -> None:
    """Measure the requested recipes and print median, minimum and maximum of their ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="RECIPE", default=list(RECIPES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = list(dict.fromkeys([UNIT, *options.names]))
    # One process per measurement, because the first computation fixes the number of threads.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        rounds = [list(pool.map(measure_model, names)) for _ in range(options.rounds)]
    for place, name in enumerate(names):
        ratios = [seconds[place] / seconds[0] for seconds in rounds]
        print(
            f"{name:18} {statistics.median(ratios):6.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            f"  {statistics.median(seconds[place] for seconds in rounds):6.0f} s"
        )


if __name__ == "__main__":
    main()
