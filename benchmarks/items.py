"""Define the items: each function here returns items of the table."""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Item, Side, process
from kaggle_digits import files, submissions
from kaggle_digits.datasets import cache, kaggle_csv
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.datasets.kaggle_csv import PIXELS
from kaggle_digits.training.history import read_history

PLAIN = Path(__file__).parent / "plain"
OURS = (sys.executable, "-m", "kaggle_digits")
DOCUMENT_EPOCHS = 50
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


# -------------------------------------------------------------------------------------- training


def training(bench: Bench) -> list[Item]:
    """`bn20` relative to plain Keras ``fit`` of its layers; the second epoch counts."""
    from kaggle_digits.backend import start_keras
    from kaggle_digits.recipes import find
    from kaggle_digits.training.flop import count_flop

    start_keras()
    flop = count_flop(find("bn20").network())
    images, epochs = (4000, 2) if bench.quick else (20_000, 3)
    rates: list[float] = []

    def ours() -> float:
        options = ("train", "--recipe", "bn20", "--epochs", str(epochs), "--limit", str(images))
        (rate,) = last_rates(bench.train(*options, name="bn20"))
        rates.append(rate)
        return 1 / rate

    def theirs() -> float:
        done = process((sys.executable, PLAIN / "fit.py", str(images), str(epochs)), bench.folder)
        return 1 / float(last_line(done.output)["images_per_second"])

    def note() -> dict[str, Any]:
        rate = statistics.median(rates)
        floor = bench.machine["gflops_float32"] * 1e9 / flop
        return {
            "images_per_second": round(rate),
            "mflop_an_image": round(flop / 1e6, 1),
            "share_of_the_float32_floor": round(rate / floor, 3),
        }

    return [
        Item(
            name="train-bn20",
            question="How long does an image take in training, augmentation included?",
            command=f"kaggle-digits train --recipe bn20 --limit {images} --epochs {epochs}",
            baseline="plain/fit.py: plain Keras, float arrays, batch 256, no augmentation",
            unit="s an image, last epoch",
            ours=ours,
            theirs=theirs,
            rounds=2 if bench.quick else 3,
            note=note,
        )
    ]


def last_rates(run: Path) -> list[float]:
    """Return the images per second of each fold's last epoch."""
    histories = sorted(run.glob("fold-*/history.csv"))
    return [read_history(history)[-1].images_per_second for history in histories]


def last_line(output: str) -> dict[str, Any]:
    """Return the JSON in the last line of a script's output."""
    return dict(json.loads(output.strip().splitlines()[-1]))


def fast(bench: Bench) -> list[Item]:
    """Fast recipes as whole processes, relative to the source document's script of 50 epochs."""

    def ours(recipe: str) -> float:
        remove(bench.folder / recipe)
        remove(bench.input / cache.FOLDER)  # a cold start reads the CSVs
        return bench.seconds(
            *OURS, "train", "--recipe", recipe, "--input", bench.input,
            "--run", recipe, "--submission", f"{recipe}.csv",
        )  # fmt: skip

    def theirs() -> float:
        done = process((sys.executable, PLAIN / "document.py", bench.input, "2"), bench.folder)
        _, second = last_line(done.output)["epochs"]
        return float(done.seconds + (DOCUMENT_EPOCHS - 2) * second)

    return [
        Item(
            name=f"whole-{recipe}",
            question=f"How long does `{recipe}` take from a cold start to model and CSV?",
            command=f"kaggle-digits train --recipe {recipe}",
            baseline="plain/document.py: 50 epochs (2 are run, 48 counted like the second)",
            unit="s, whole process",
            ours=functools.partial(ours, recipe),
            theirs=theirs,
            rounds=3,
        )
        for recipe in ("fast", "fast5")
    ]


def folds(bench: Bench) -> list[Item]:
    """Two folds at the same time, relative to one after the other."""

    def run(jobs: str) -> float:
        options = ("cv", "--folds", "4", "--epochs", "2", "--limit", "12000", "--recipe", "bn20")
        started = time.perf_counter()
        bench.train(*options, "--jobs", jobs, name=f"jobs{jobs}")
        return time.perf_counter() - started

    return [
        Item(
            name="folds-in-parallel",
            question="Are two folds at the same time, a core each, faster than in turn?",
            command="kaggle-digits cv --folds 4 --limit 12000 --epochs 2 --jobs 2",
            baseline="the same with --jobs 1",
            unit="s, whole process",
            ours=functools.partial(run, "2"),
            theirs=functools.partial(run, "1"),
            rounds=3,
        )
    ]


# ------------------------------------------------------------------------- prediction and memory


def prediction(bench: Bench) -> list[Item]:
    """Prediction of 28,000 images with five folds, as whole processes."""
    run = bench.train(
        "cv", "--recipe", "bn20", "--folds", "5", "--epochs", "1", "--limit", "600", name="five"
    )
    exported = bench.folder / "five.onnx"
    process(
        (*OURS, "export", run, "--format", "onnx", "--ensemble", "--output", exported),
        bench.folder,
    )
    models = sorted(run.glob("fold-*/model.keras"))
    ways = {
        "predict-five-folds": ("RUN", (run,)),
        "predict-exported": ("--model ENSEMBLE.onnx", ("--model", exported)),
    }
    return [
        Item(
            name=name,
            question="How long do 28,000 images take through the five models of a run?",
            command=f"kaggle-digits predict {shown}",
            baseline="plain/predict.py: five model.predict calls as they come",
            unit="s, whole process",
            ours=functools.partial(
                bench.seconds, *OURS, "predict", *named, "--input", bench.input,
                "--submission", "ours.csv",
            ),
            theirs=functools.partial(
                bench.seconds, sys.executable, PLAIN / "predict.py", bench.input / "test.csv",
                *models,
            ),
            rounds=5,
        )
        for name, (shown, named) in ways.items()
    ]  # fmt: skip


def memory(bench: Bench) -> list[Item]:
    """Peak memory of `cv`, and the growth of memory and time with ten times the images."""
    peaks: dict[int, float] = {}
    seconds: dict[int, list[float]] = {}  # an image, of each fold's last epoch

    def repeated(times: int) -> float:
        folder = bench.folder / f"times{times}"
        if not folder.exists():
            folder.mkdir()
            arrays = {}
            for part in ("train", "test"):
                data = kaggle_csv.read_one(bench.input / f"{part}.csv", part, None)
                many = times if part == "train" else 1
                labels = np.zeros(len(data), np.uint8) if data.labels is None else data.labels
                arrays[f"x_{part}"] = np.concatenate([data.images[..., 0]] * many)
                arrays[f"y_{part}"] = np.concatenate([labels] * many)
            files.write_npz(folder / "mnist.npz", **arrays)
        name = bench.folder / "memory"
        remove(name)
        done = process(
            (*OURS, "cv", "--recipe", "fast", "--folds", "2", "--epochs", "2",
             "--input", folder, "--run", name, "--submission", "memory.csv"),
            bench.folder,
        )  # fmt: skip
        images = 42_000 * times
        peaks[images] = done.peak
        seconds.setdefault(images, []).extend(1 / rate for rate in last_rates(name))
        return done.peak

    def whole() -> float:
        remove(bench.folder / "real")
        return process(
            (*OURS, "cv", "--folds", "5", "--epochs", "1", "--input", bench.input,
             "--run", "real", "--submission", "real.csv"),
            bench.folder,
        ).peak  # fmt: skip

    def note() -> dict[str, Any]:
        bn20 = whole()
        small, large = min(peaks), max(peaks)
        middle = 5 * small
        repeated(5)
        slope = (peaks[large] - peaks[small]) / (large - small)
        straight = peaks[small] + slope * (middle - small)
        return {
            "peak_mb": {str(images): round(peak) for images, peak in sorted(peaks.items())},
            "kb_an_image": round(slope * 1024, 2),
            "middle_off_the_line": round(peaks[middle] / straight - 1, 3),
            "time_an_image_large_to_small": round(
                statistics.median(seconds[large]) / statistics.median(seconds[small]), 3
            ),
            "peak_mb_of_bn20_on_42000": round(bn20),
        }

    def side(times: int) -> Side:
        return functools.partial(repeated, times)

    return [
        Item(
            name="memory",
            question="How does the peak memory of `cv` grow with ten times the images?",
            command="kaggle-digits cv --recipe fast --folds 2 --epochs 2, 420,000 images",
            baseline="the same, 42,000 images",
            unit="MB, peak of the process",
            ours=side(10),
            theirs=side(1),
            rounds=3,
            note=note,
        )
    ]


Make = Callable[[Bench], list[Item]]
QUICK: tuple[Make, ...] = (start_ups, reading, training)
FULL: tuple[Make, ...] = (*QUICK, prediction, folds, fast, memory)
