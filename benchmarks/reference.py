"""Compare recipes and their means on few images, with standard errors over splits.

    python -m benchmarks.reference [--input DIR] [--images N] [--splits N] [A+B+C …]

Each argument is a mean of recipes; a recipe that is named twice is trained twice with different
seeds. Every split trains each network, in a separate process, on a different stratified subset of
the images and evaluates it on all the others. Without arguments it compares three networks of the
public reference, three of the first member of `record`, and the first three members of `record`. It
prints the result of each recipe and each mean, and how many errors fewer each mean has than the
first. No file is written.
"""

import argparse
import functools
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from kaggle_digits import datasets, evaluation
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from kaggle_digits.training import fit, planning
from kaggle_digits.training.flop import count_flop
from kaggle_digits.training.predicting import Probabilities
from kaggle_digits.training.splitting import subsample

MEANS = (
    "deotte15+deotte15+deotte15",
    "record-5+record-5+record-5",
    "+".join(planning.MEMBERS[:3]),
)
Network = tuple[str, int]  # name of a recipe and number of the network, from 0


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a network or a mean of networks on one split.

    Attributes:
        errors: number of errors on the held-out images.
        log_loss: log loss on the held-out images.
        seconds: training time in seconds.
        flop: FLOP of training.

    """

    errors: float
    log_loss: float
    seconds: float
    flop: float


@dataclass(frozen=True)
class TrainedNetwork:
    """A network's probabilities of the held-out images, and the cost of its training."""

    probabilities: Probabilities
    seconds: float
    flop: float


def list_networks(mean: str) -> tuple[Network, ...]:
    """Return the networks of ``A+B+A``: A's first, B's first, A's second."""
    names = mean.split("+")
    return tuple((name, names[:place].count(name)) for place, name in enumerate(names))


def evaluate_means(
    train: Dataset, images: int, split: int, means: Sequence[tuple[Network, ...]]
) -> dict[str, Evaluation]:
    """Train every network of ``means`` once; return the results of recipes and means by name."""
    shown = subsample(train, images, split)
    others = train.take(np.flatnonzero(~np.isin(train.ids, shown.ids)))
    networks = dict.fromkeys(network for mean in means for network in mean)
    # One process per network, because the first computation fixes the number of threads.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        work = functools.partial(train_network, shown=shown, others=others, split=split)
        results = dict(zip(networks, pool.map(work, networks), strict=True))
    judged = {}
    for recipe in dict.fromkeys(name for name, _ in networks):
        own = [[one] for network, one in results.items() if network[0] == recipe]
        judged[recipe] = _average([_evaluate(alone, others) for alone in own])
    for mean in means:
        if len(mean) > 1:
            name = "+".join(recipe for recipe, _ in mean)
            judged[name] = _evaluate([results[network] for network in mean], others)
    return judged


def train_network(network: Network, shown: Dataset, others: Dataset, split: int) -> TrainedNetwork:
    """Train ``network`` on ``shown`` and return its probabilities for ``others``."""
    name, number = network
    recipe = find(name)
    recipe.training.start_keras()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model, _ = fit.train_model(
            recipe,
            recipe.training,
            shown,
            None,
            seed=(split, number),
            folder=Path(folder),
            watcher=fit.NullFoldCallback(),
        )
    seconds = time.perf_counter() - started
    flop = count_flop(recipe.network()) * len(shown) * recipe.training.epochs
    print(f"split {split}, {name} {number}: {seconds:.0f} s", flush=True)
    return TrainedNetwork(model.predict(others.images), seconds, flop)


def _evaluate(networks: Sequence[TrainedNetwork], others: Dataset) -> Evaluation:
    assert others.labels is not None  # noqa: S101 — training data is labelled by contract
    mean = np.mean([network.probabilities for network in networks], axis=0)
    scores = evaluation.scores(mean, others.labels)
    return Evaluation(
        errors=scores.errors,
        log_loss=scores.log_loss,
        seconds=sum(network.seconds for network in networks),
        flop=sum(network.flop for network in networks),
    )


def _average(results: Sequence[Evaluation]) -> Evaluation:
    return Evaluation(*map(statistics.fmean, zip(*map(astuple, results), strict=True)))


def row(name: str, results: Sequence[Evaluation], judged_images: int) -> str:
    """Return one line of the table, ± the standard error over splits."""
    mean, errors = _average(results), [result.errors for result in results]
    return (
        f"{name:46} {with_error(errors)}  {1 - mean.errors / judged_images:.5f}  "
        f"{with_error([result.log_loss for result in results], digits=4)}  {mean.seconds:5.0f} s "
        f"{mean.flop / 1e12:4.0f} TFLOP  {[round(count, 1) for count in errors]}"
    )


def with_error(values: Sequence[float], digits: int = 1) -> str:
    """Return the mean of ``values`` ± its standard error, which is unknown for one value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    """Train and evaluate the requested means, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("means", nargs="*", metavar="A+B+C", default=MEANS)
    parser.add_argument("--input", type=lambda text: Path(text).expanduser(), default=Path("input"))
    parser.add_argument("--images", type=int, default=6_000, help="training images per network")
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()
    means = [list_networks(mean) for mean in options.means]
    try:  # fails before minutes of training
        for name, _ in (network for mean in means for network in mean):
            find(name)
    except InputError as error:
        parser.error(str(error))
    train = datasets.load(options.input).train
    splits = [
        evaluate_means(train, options.images, split, means) for split in range(options.splits)
    ]
    others = len(train) - options.images
    print(f"errors in {others:,}, accuracy, log loss, training; ± standard error over splits")
    for name in splits[0]:
        print(row(name, [split[name] for split in splits], others))
    first, *rest = options.means
    for name in rest:
        fewer = [split[first].errors - split[name].errors for split in splits]
        print(f"{name} has {with_error(fewer)} errors fewer than {first}: {fewer}")


if __name__ == "__main__":
    main()
