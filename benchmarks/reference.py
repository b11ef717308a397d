"""Recipes and their means on a scale that two cores carry, with standard errors over splits.

    python -m benchmarks.reference [--input DIR] [--images N] [--splits N] [A+B+C …]

Each argument is a mean of recipes; one that is named twice in it is trained twice, with other
seeds. Every split trains each network, in a process of its own, on another stratified choice of the
images and judges it on all the others. Without arguments: three networks of the public reference,
three of the record's first member, and the record's first three members. Nothing is kept: it prints
what each recipe and each mean does, and what each mean has fewer errors than the first.
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
from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from kaggle_digits.training import fit, planning
from kaggle_digits.training.cross_validation import subsample

MEANS = (
    "deotte15+deotte15+deotte15",
    "record-5+record-5+record-5",
    "+".join(planning.MEMBERS[:3]),
)
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

    errors: float
    log_loss: float
    seconds: float
    flop: float


@dataclass(frozen=True)
class Trained:
    """A network's probabilities for the images that it was not trained on, and what it cost."""

    probabilities: fit.Probabilities
    seconds: float
    flop: float


def networks_of(mean: str) -> tuple[Network, ...]:
    """Return the networks of ``A+B+A``: A's first, B's first, A's second."""
    names = mean.split("+")
    return tuple((name, names[:place].count(name)) for place, name in enumerate(names))


def judged_on(
    train: Dataset, images: int, split: int, means: Sequence[tuple[Network, ...]]
) -> dict[str, Judged]:
    """Train every network of ``means`` once; return how each recipe and each mean does, by name."""
    shown = subsample(train, images, split)
    others = train.take(np.flatnonzero(~np.isin(train.ids, shown.ids)))
    networks = dict.fromkeys(network for mean in means for network in mean)
    # A network of its own process: the first computation settles a process's threads.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        work = functools.partial(trained, shown=shown, others=others, split=split)
        results = dict(zip(networks, pool.map(work, networks), strict=True))
    judged = {}
    for recipe in dict.fromkeys(name for name, _ in networks):
        own = [[one] for network, one in results.items() if network[0] == recipe]
        judged[recipe] = _average([_judged(alone, others) for alone in own])
    for mean in means:
        if len(mean) > 1:
            name = "+".join(recipe for recipe, _ in mean)
            judged[name] = _judged([results[network] for network in mean], others)
    return judged


def trained(network: Network, shown: Dataset, others: Dataset, split: int) -> Trained:
    """Train ``network`` on ``shown`` and return what it says about ``others``."""
    name, number = network
    recipe = find(name)
    start_keras(recipe.training.batch_splits, recipe.training.threads_per_split)
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
    flop = planning.count_flop(recipe.network()) * len(shown) * recipe.training.epochs
    print(f"split {split}, {name} {number}: {seconds:.0f} s", flush=True)
    return Trained(model.predict(others.images), seconds, flop)


def _judged(networks: Sequence[Trained], others: Dataset) -> Judged:
    assert others.labels is not None  # noqa: S101 — training data is labelled by contract
    mean = np.mean([network.probabilities for network in networks], axis=0)
    scores = evaluation.scores(mean, others.labels)
    return Judged(
        errors=scores.errors,
        log_loss=scores.log_loss,
        seconds=sum(network.seconds for network in networks),
        flop=sum(network.flop for network in networks),
    )


def _average(results: Sequence[Judged]) -> Judged:
    return Judged(*map(statistics.fmean, zip(*map(astuple, results), strict=True)))


def row(name: str, results: Sequence[Judged], judged_images: int) -> str:
    """Return one line of the table, ± the standard error over splits."""
    mean, errors = _average(results), [one.errors for one in results]
    return (
        f"{name:46} {with_error(errors)}  {1 - mean.errors / judged_images:.5f}  "
        f"{with_error([one.log_loss for one in results], digits=4)}  {mean.seconds:5.0f} s "
        f"{mean.flop / 1e12:4.0f} TFLOP  {[round(count, 1) for count in errors]}"
    )


def with_error(values: Sequence[float], digits: int = 1) -> str:
    """Return the mean of ``values`` ± its standard error; of one value nobody knows that."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    """Train and judge what was asked for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("means", nargs="*", metavar="A+B+C", default=MEANS)
    parser.add_argument("--input", type=lambda text: Path(text).expanduser(), default=Path("input"))
    parser.add_argument("--images", type=int, default=6_000, help="that each is trained on")
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()
    means = [networks_of(mean) for mean in options.means]
    try:  # before minutes of training, not after them
        for name, _ in (network for mean in means for network in mean):
            find(name)
    except InputError as error:
        parser.error(str(error))
    train = datasets.load(options.input).train
    splits = [judged_on(train, options.images, split, means) for split in range(options.splits)]
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
