"""Define the items that train nothing, and what all items share.

Each public function that takes a `Bench` returns items of the table.
"""

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Item, process
from kaggle_digits import submissions
from kaggle_digits.datasets import cache, kaggle_csv
from kaggle_digits.datasets.columns import PIXELS
from kaggle_digits.datasets.dataset import Dataset

OURS = (sys.executable, "-m", "kaggle_digits")
BACKGROUND = 0.8  # share of a digit's pixels that are 0


@dataclass(frozen=True)
class Bench:
    """The settings of all items.

    Attributes:
        folder: an empty working folder.
        input: folder with train.csv and test.csv, the competition's or generated ones.
        quick: whether to use fewer rounds and images.
        machine: the description from `harness.machine`.

    """

    folder: Path
    input: Path
    quick: bool
    machine: dict[str, Any]

    def seconds(self, *command: str | Path) -> float:
        """Return the time of a process in seconds."""
        return process(command, self.folder).seconds

    def train(self, *options: str, name: str) -> Path:
        """Train into an empty folder and return it."""
        run = self.folder / name
        remove(run)
        process(
            (*OURS, *options, "--input", self.input, "--run", run, "--submission", f"{name}.csv"),
            self.folder,
        )
        return run


def remove(path: Path) -> None:
    """Remove a folder and its content."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def write_generated(path: Path, rows: int, *, labelled: bool) -> None:
    """Write a CSV in the competition's format with as much ink as digits have."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (rows, len(PIXELS)), np.uint8)
    pixels[random.random(pixels.shape) < BACKGROUND] = 0
    labels = [random.integers(0, 10, rows)] if labelled else []
    header = ",".join((["label"] if labelled else []) + list(PIXELS))
    np.savetxt(path, np.column_stack([*labels, pixels]), "%d", ",", header=header, comments="")


# -------------------------------------------------------------------------------------- start-up


def start_ups(bench: Bench) -> list[Item]:
    """Start-up time of the command line, relative to the bare interpreter."""
    rows = 28_000
    paths = [bench.folder / name for name in ("a.csv", "b.csv")]
    for path in paths:
        submissions.write(path, np.arange(1, rows + 1), np.arange(rows) % 10)
    compare = ("compare", *map(str, paths))
    commands = {"help": ("--help",), "runs": ("runs",), "compare": compare}
    return [
        Item(
            name=f"start-{name}",
            question=f"How soon does `{options[0]}` answer?",
            command=f"kaggle-digits {' '.join(Path(option).name for option in options)}",
            baseline="python -c pass",
            unit="s",
            ours=functools.partial(bench.seconds, *OURS, *options),
            theirs=functools.partial(bench.seconds, sys.executable, "-c", "pass"),
            rounds=5 if bench.quick else 15,
        )
        for name, options in commands.items()
    ]


# --------------------------------------------------------------------------------------- reading


def reading(bench: Bench) -> list[Item]:
    """First and cached read of train.csv, relative to pandas."""
    import pandas as pd

    path = bench.input / "train.csv"
    if bench.quick:
        path = bench.folder / "short.csv"
        write_generated(path, 5000, labelled=True)
    kept = bench.folder / cache.FOLDER

    def first() -> Dataset:
        remove(kept)
        return kaggle_csv.read_one(path, "train", kept)

    ways = {"first": first, "cached": lambda: kaggle_csv.read_one(path, "train", kept)}
    return [
        Item(
            name=f"read-{name}",
            question=f"How long does the {name} read of {path.name} take, checks included?",
            command=f"kaggle_digits.datasets.load, {name}",
            baseline="pandas.read_csv(path)",
            unit="s",
            ours=functools.partial(_seconds, way),
            theirs=functools.partial(_seconds, lambda: pd.read_csv(path)),
            rounds=3 if bench.quick else 7,
        )
        for name, way in ways.items()
    ]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
