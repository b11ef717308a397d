"""Recipes and their means on a scale that two cores carry, with standard errors over seeds.

    python -m benchmarks.reference [--input DIR] [--images N] [--splits N] [A+B+C …]

Each argument is a mean of recipes; one that is named twice in it is trained twice, with other
seeds. Every split trains each of them on another stratified choice of the images and judges it on
all the others. Without arguments: three networks of the public reference against three of the
record's. Nothing is kept: it prints a table.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kaggle_digits import datasets, evaluation, record, training
from kaggle_digits.backend import start_keras
from kaggle_digits.cross_validation import limited
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.recipes import find

MEANS = ("deotte15+deotte15+deotte15", "record-5+record-width+record-upright", "record-5+record-7")
Network = tuple[str, int]  # a recipe, and which of its networks: 0, 1 …


@dataclass(frozen=True)
class Judged:
    """A network, or a mean of networks, on one split.

    Attributes:
        errors: among the images that it was not trained on.
        log_loss: of the same.
        seconds: of training.
        flop: of training.

    """

    errors: int
    log_loss: float
    seconds: float
    flop: float


def networks_of(mean: str) -> tuple[Network, ...]:
    """Return the networks of ``A+B+A``: A's first, B's first, A's second."""
    names = mean.split("+")
    return tuple((name, names[:place].count(name)) for place, name in enumerate(names))


def one_split(
    train: Dataset, images: int, split: int, means: Iterable[tuple[Network, ...]]
) -> dict[tuple[Network, ...], Judged]:
    """Train every network of ``means`` once; return how each of them, and each mean, does."""
    shown = limited(train, images, split)
    others = train.take(np.flatnonzero(~np.isin(train.ids, shown.ids)))
    assert others.labels is not None  # noqa: S101 — training data is labelled by contract
    singles = {(network,): _trained(network, shown, others, split) for network in _distinct(means)}
    judged = {}
    for networks in [*singles, *means]:
        parts = [singles[network,] for network in networks]
        mean = np.mean([probabilities for probabilities, _, _ in parts], axis=0)
        scores = evaluation.scores(mean, others.labels)
        judged[networks] = Judged(
            errors=scores.errors,
            log_loss=scores.log_loss,
            seconds=sum(seconds for _, seconds, _ in parts),
            flop=sum(flop for _, _, flop in parts),
        )
    return judged


def _trained(
    network: Network, shown: Dataset, others: Dataset, split: int
) -> tuple[training.Probabilities, float, float]:
    """Return its probabilities for ``others``, and the seconds and the FLOP of its training."""
    name, number = network
    recipe = find(name)
    start_keras(recipe.training.parts)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model, _ = training.fit(
            recipe,
            recipe.training,
            shown,
            None,
            seed=(split, number),
            folder=Path(folder),
            watcher=training.Unwatched(),
        )
    seconds = time.perf_counter() - started
    probabilities = training.probabilities_of(model, others.images)
    flop = record.flop_of(recipe.network()) * len(shown) * recipe.training.epochs
    print(f"split {split}, {name} {number}: {seconds:.0f} s", flush=True)
    return probabilities, seconds, flop


def _distinct(means: Iterable[tuple[Network, ...]]) -> list[Network]:
    return list(dict.fromkeys(network for networks in means for network in networks))


def row(networks: tuple[Network, ...], results: list[Judged], images: int) -> str:
    """Return one line of the table, ± the standard error over splits."""
    name = "+".join(f"{recipe}.{number}" for recipe, number in networks)
    errors, log_loss, seconds, flop = (
        [getattr(result, value) for result in results]
        for value in ("errors", "log_loss", "seconds", "flop")
    )
    count, loss = statistics.fmean(errors), statistics.fmean(log_loss)
    return (
        f"{name:46} {count:6.1f} ± {_standard_error(errors):4.1f}  {1 - count / images:.5f}  "
        f"{loss:.4f} ± {_standard_error(log_loss):.4f}  {statistics.fmean(seconds):5.0f} s "
        f"{flop[0] / 1e12:4.0f} TFLOP  {errors}"
    )


def _standard_error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def main() -> None:
    """Train and judge what was asked for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("means", nargs="*", metavar="A+B+C", default=MEANS)
    parser.add_argument("--input", type=Path, default=Path("input"))
    parser.add_argument("--images", type=int, default=6_000, help="that each is trained on")
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()
    train = datasets.load(options.input).train
    means = [networks_of(mean) for mean in options.means]
    judged = [one_split(train, options.images, split, means) for split in range(options.splits)]
    others = len(train) - options.images
    print(f"errors in {others:,}, accuracy, log loss, training; ± standard error over splits")
    for networks in judged[0]:
        print(row(networks, [result[networks] for result in judged], others))


if __name__ == "__main__":
    main()
