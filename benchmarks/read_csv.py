"""The reader that brings the competition's train.csv into a uint8 array soonest: a comparison.

    python benchmarks/read_csv.py [train.csv] [--rounds 5]

Without a file it generates one of the same shape: a fifth of the pixels has ink. The readers take
turns, so that whatever else the machine does hits all of them alike; each round's time is divided
by that of `parse`, the product's reader with all its checks, in the same round.
"""

import argparse
import importlib.util
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.datasets import cache, kaggle_csv, layouts
from kaggle_digits.datasets.kaggle_csv import PIXELS

BACKGROUND = 0.8  # of all pixels
COLUMNS = ("label", *PIXELS)
OURS = "parse (the product)"


def write_generated(path: Path, rows: int) -> None:
    """Write a train file of random digits' density."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (rows, len(PIXELS)), np.uint8)
    pixels[random.random(pixels.shape) < BACKGROUND] = 0
    table = np.column_stack([random.integers(0, 10, rows), pixels])
    np.savetxt(path, table, "%d", ",", header=",".join(COLUMNS), comments="")


def pandas_c(data: bytes) -> Any:
    """Pandas' own parser, told the type."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(data), dtype=np.uint8).to_numpy()


def pandas_pyarrow(data: bytes) -> Any:
    """Pandas with engine="pyarrow"."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(data), engine="pyarrow").to_numpy().astype(np.uint8)


def pyarrow_default(data: bytes) -> Any:
    """pyarrow.csv as it comes: int64 columns in blocks of 1 MiB."""
    import pyarrow as pa
    from pyarrow import csv

    return csv.read_csv(pa.py_buffer(data)).to_pandas().to_numpy().astype(np.uint8)


def polars(data: bytes) -> Any:
    """Polars, told the type. Not a dependency: left out where it is not installed."""
    pl = importlib.import_module("polars")
    return pl.read_csv(data, schema=dict.fromkeys(COLUMNS, pl.UInt8)).to_numpy()


def readers(path: Path, cache_folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what to time, each from a file's name to an array in memory."""
    named: dict[str, Callable[[], Any]] = {
        OURS: lambda: kaggle_csv.parse(layouts.read_bytes(path), path.name, labelled=True),
        "pandas, C engine, uint8": lambda: pandas_c(path.read_bytes()),
        "pandas, engine=pyarrow": lambda: pandas_pyarrow(path.read_bytes()),
        "pyarrow.csv, defaults": lambda: pyarrow_default(path.read_bytes()),
        "cached .npz (the product)": lambda: kaggle_csv.read_one(path, "train", cache_folder),
    }
    if importlib.util.find_spec("polars"):
        named["polars, uint8"] = lambda: polars(path.read_bytes())
    return named


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Return how long ``work`` takes, and how long its threads keep a core busy."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def main() -> None:
    """Time the readers in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000, help="of the generated file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = options.path or Path(name) / "train.csv"
        if options.path is None:
            write_generated(path, options.rows)
        named = readers(path, Path(name) / cache.FOLDER)
        for work in named.values():  # imports, the page cache, and our own cache
            work()
        rounds = [
            {key: seconds(work) for key, work in named.items()} for _ in range(options.rounds)
        ]
    print(f"{path.name}, {options.rounds} rounds; time as a multiple of `{OURS}`\n")
    print("| reader | median s | median CPU s | min | median | max |\n|---|---|---|---|---|---|")
    for key in named:
        ratios = [one[key][0] / one[OURS][0] for one in rounds]
        wall, busy = (statistics.median(one[key][i] for one in rounds) for i in (0, 1))
        print(
            f"| {key} | {wall:.2f} | {busy:.2f} | {min(ratios):.2f} "
            f"| {statistics.median(ratios):.2f} | {max(ratios):.2f} |"
        )


if __name__ == "__main__":
    main()
