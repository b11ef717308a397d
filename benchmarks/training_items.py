"""Define the items that train models, and those that predict with them."""

import functools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Item, Side, process
from benchmarks.items import OURS, Bench, remove
from kaggle_digits import files
from kaggle_digits.datasets import cache, kaggle_csv
from kaggle_digits.training.history import read_history

PLAIN = Path(__file__).parent / "plain"
DOCUMENT_EPOCHS = 50


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
                labels = data.labels
                if labels is None:  # of the test images; MNIST's file needs some
                    labels = np.zeros(len(data), np.uint8)
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
