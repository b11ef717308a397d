"""Run two ways to do the same thing in turn; report their ratio and its spread.

The speed of a shared machine varies, so results are ratios: each round runs the baseline and ours
one after the other, and the ratio is computed within the round.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# A small process in between, because on Linux a child inherits the peak memory of its parent.
RUNNER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(json.dumps([code, seconds, peak]))
"""
SLOWER = 1.15  # a ratio that is worse by this factor counts as a regression
Side = Callable[[], float]


@dataclass(frozen=True)
class Item:
    """One benchmark.

    Attributes:
        name: name of the item and of its file in ``results``.
        question: the question in one line.
        command: our command.
        baseline: the baseline, in words or as a command.
        unit: unit of the costs.
        ours: runs our side once and returns the cost; less is better.
        theirs: runs the baseline once and returns the cost.
        rounds: number of rounds.
        note: returns further results at the end.

    """

    name: str
    question: str
    command: str
    baseline: str
    unit: str
    ours: Side
    theirs: Side
    rounds: int
    note: Callable[[], dict[str, Any]] = dict


@dataclass(frozen=True)
class Result:
    """The result of an item.

    Attributes:
        name: name of the item.
        question: question of the item.
        command: our command.
        baseline: the baseline.
        unit: unit of the costs.
        ours: our cost in each round.
        theirs: the baseline's cost in each round.
        ratio: ours over the baseline's within a round: minimum, median, maximum.
        note: further results.
        machine: description of the machine.

    """

    name: str
    question: str
    command: str
    baseline: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    ratio: tuple[float, float, float]
    note: dict[str, Any]
    machine: dict[str, Any]


def measure(item: Item, machine: dict[str, Any]) -> Result:
    """Run both sides of ``item`` in turn."""
    pairs = [(item.theirs(), item.ours()) for _ in range(item.rounds)]
    theirs, ours = zip(*pairs, strict=True)
    ratios = [b / a for a, b in pairs]
    return Result(
        name=item.name,
        question=item.question,
        command=item.command,
        baseline=item.baseline,
        unit=item.unit,
        ours=tuple(round(cost, 6) for cost in ours),
        theirs=tuple(round(cost, 6) for cost in theirs),
        ratio=(
            round(min(ratios), 4),
            round(statistics.median(ratios), 4),
            round(max(ratios), 4),
        ),
        note=item.note(),
        machine=machine,
    )


def regression(new: Result, before: Result | None) -> str | None:
    """Return how much slower ``new`` is than ``before``; None if it is not, or is unknown.

    The median must be worse by more than 15 %, and the best round worse than the old median,
    because a single bad round is caused by the machine.
    """
    if before is None:
        return None
    best, median, _ = new.ratio
    if median <= SLOWER * before.ratio[1] or best <= before.ratio[1]:
        return None
    was = before.ratio[1]
    return f"{new.name}: ratio {median:.3f}, was {was:.3f} ({median / was:.2f} times)"


def path_of(name: str, *, quick: bool) -> Path:
    """Return the path of an item's result; quick results have a separate folder."""
    return RESULTS / ("quick" if quick else "full") / f"{name}.json"


def read_result(name: str, *, quick: bool) -> Result | None:
    """Return the committed result of an item, or None if it has no result."""
    path = path_of(name, quick=quick)
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    for key in ("ours", "theirs", "ratio"):
        values[key] = tuple(values[key])
    return Result(**values)


def write_result(result: Result, *, quick: bool) -> None:
    """Write the result to its file."""
    path = path_of(result.name, quick=quick)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Process:
    """A finished process: its output, wall-clock seconds, and peak memory in MB."""

    output: str
    seconds: float
    peak: float


def process(command: Sequence[str | Path], cwd: Path, **environment: str) -> Process:
    """Run ``command`` to its end.

    Raises:
        RuntimeError: it failed; the message has its output.

    """
    peak = cwd / "process.json"
    with (cwd / "output.txt").open("w+") as output:
        subprocess.run(
            [sys.executable, "-c", RUNNER, str(peak), *map(str, command)],
            cwd=cwd,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            check=True,
        )
        output.seek(0)
        text = output.read()
    code, seconds, kilobytes = json.loads(peak.read_text())
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{text[-2000:]}")
    return Process(text, seconds, kilobytes / 1024)


def machine() -> dict[str, Any]:
    """Return a description of the machine, with its rate of matrix products in GFLOP/s."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "keras": version("keras"),
        "tensorflow": version("tensorflow"),
        **{f"gflops_{name}": round(rate) for name, rate in _matrix_product_rates().items()},
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _matrix_product_rates(size: int = 2048, rounds: int = 6) -> dict[str, float]:
    """Return the best GFLOP/s of a large matrix product on all cores, by precision."""
    from kaggle_digits.backend import start_keras

    start_keras()
    import tensorflow as tf

    rates = {}
    for name in ("float32", "bfloat16"):
        matrix = tf.cast(tf.random.uniform((size, size)), name)
        product = tf.function(tf.matmul)
        product(matrix, matrix)
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            product(matrix, matrix).numpy()
            times.append(time.perf_counter() - started)
        rates[name] = 2 * size**3 / min(times) / 1e9
    return rates
