"""Two ways to do the same thing, run in turn: their ratio, its spread, and what was committed.

A shared machine drifts, so no figure here is a time alone: a round runs the baseline and ours one
after the other, and the ratio is taken within the round.
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
# A small process between: what starts another one hands on its own peak memory, by Linux's count.
RUNNER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(json.dumps([code, seconds, peak]))
"""
SLOWER = 1.15  # from here on a ratio counts as a regression
Side = Callable[[], float]


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        name: of the item, and of its file in ``results``.
        question: in one line.
        command: ours, as one would type it.
        baseline: what it is compared with, in words or as a command.
        unit: of the costs.
        ours: does it once and returns the cost; less is better.
        theirs: does the baseline once and returns its cost.
        rounds: how often both are done.
        note: what came of a whole item besides its ratio, asked for at its end.

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
    """What was measured.

    Attributes:
        name: of the item.
        question: of the item.
        command: of ours.
        baseline: what it was compared with.
        unit: of the costs.
        ours: cost a round.
        theirs: the baseline's.
        ratio: ours to the baseline's within a round: minimum, median, maximum.
        note: anything else.
        machine: what it was measured on.

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


def measured(item: Item, machine: dict[str, Any]) -> Result:
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
    """Return how much slower ``new`` is than ``before``; None if it is not, or nobody knows.

    The median must be worse by more than 15 %, and the best round worse than what was the median:
    one bad round of several is the machine's.
    """
    if before is None:
        return None
    best, median, _ = new.ratio
    if median <= SLOWER * before.ratio[1] or best <= before.ratio[1]:
        return None
    was = before.ratio[1]
    return f"{new.name}: ratio {median:.3f}, was {was:.3f} ({median / was:.2f} times)"


def path_of(name: str, *, quick: bool) -> Path:
    """Return where the result of an item is kept: quick ones apart, like is compared with like."""
    return RESULTS / ("quick" if quick else "full") / f"{name}.json"


def kept(name: str, *, quick: bool) -> Result | None:
    """Return the committed result of an item, None if there is none."""
    path = path_of(name, quick=quick)
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    for key in ("ours", "theirs", "ratio"):
        values[key] = tuple(values[key])
    return Result(**values)


def keep(result: Result, *, quick: bool) -> None:
    """Write the result to be committed."""
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
        RuntimeError: it failed; with what it printed.

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
    """Return what the figures depend on, and the rate of its matrix products in GFLOP/s."""
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
