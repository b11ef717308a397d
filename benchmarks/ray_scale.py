"""Measure what training on Ray costs beside training in processes, and compute larger clusters.

    python -m benchmarks.ray_scale [--input DIR] [--rounds N] [--nodes N]

1. `cv` of ``bn20`` with folds of about a minute, on a Ray cluster of one node and with `--on
   processes`, in turn: the ratio of the times of the whole processes.
2. Memory of the node while it trains: proportional set size of its Ray processes and its worker.
3. The driver's work for a fold: simulated nodes on this machine "train" folds without computing
   anything, and send checkpoints as large as those of ``bn20``.
4. Computed from these: many folds on many nodes.

It needs the extra ``ray``. No file is written.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.__main__ import competition_csvs
from benchmarks.harness import process
from benchmarks.items import OURS, remove
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.training.executors import Task
from kaggle_digits.training.executors.ray import OnRay
from kaggle_digits.training.executors.ray_cluster import SETTINGS
from kaggle_digits.training.fit import FoldCallback, NullFoldCallback
from kaggle_digits.training.history import Epoch

FOLDS, EPOCHS = 2, 24  # of bn20 on 42,000 images: one to three minutes a fold on 2 cores
CHECKPOINT_BYTES = 15_200_000  # of bn20: weights and RMSprop's second moments
MODEL_BYTES = 7_600_000
SIMULATED_EPOCHS = 15
SIMULATED_FOLDS = 3  # per node
CPUS = 2
LARGE = ((100, 10), (1000, 100), (1000, 1000))  # folds, nodes
FOLD_SECONDS = 60.0


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """Start a head without CPUs and ``nodes`` nodes of two CPUs on this machine."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    variables = {**SETTINGS, "PYTHONPATH": os.pathsep.join(sys.path), "RAY_TMPDIR": folder}
    (Path(folder) / "ray").mkdir()
    head = {"num_cpus": 0, "include_dashboard": False}
    with mock.patch.dict(os.environ, variables):
        started: Any = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(nodes):
                started.add_node(num_cpus=CPUS)
            yield started
        finally:
            started.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------ Ray against processes


def compare_with_processes(
    input_: Path, work: Path, rounds: int
) -> tuple[list[float], list[float], float]:
    """Compare whole processes on Ray and without it.

    Returns:
        The ratio of times (Ray / processes) and the seconds that Ray takes longer for a fold, of
        each round, and the node's peak in bytes.

    """
    ratios, longer, peak = [], [], 0
    with cluster(1) as nodes:
        for _ in range(rounds):
            seconds = {}
            for place in ("processes", "ray"):
                remove(work / "run")
                address = ("--ray-address", nodes.address) if place == "ray" else ()
                with _watching_memory() as peaks:
                    seconds[place] = process(
                        (*OURS, "cv", "--recipe", "bn20", "--folds", str(FOLDS),
                         "--epochs", str(EPOCHS), "--on", place, "--jobs", "1", *address,
                         "--input", input_, "--run", "run", "--submission", "run.csv"),
                        work,
                    ).seconds  # fmt: skip
                peak = max(peak, *peaks)
            ratios.append(seconds["ray"] / seconds["processes"])
            longer.append((seconds["ray"] - seconds["processes"]) / FOLDS)
            print(f"ray {seconds['ray']:.0f} s, processes {seconds['processes']:.0f} s", flush=True)
    return ratios, longer, peak


@contextlib.contextmanager
def _watching_memory() -> Iterator[list[int]]:
    peaks, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            peaks.append(_bytes_of_node())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _bytes_of_node() -> int:
    """Return the memory of the raylet that trains and of the processes that it started."""
    parents, workers = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (path / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(path.name)] = int(stat[1])
            if b"ray::train_remotely" in (path / "cmdline").read_bytes():
                workers.append(int(path.name))
    raylets = {parents[worker] for worker in workers}
    node = [pid for pid in parents if pid in raylets or parents[pid] in raylets]
    return sum(map(_proportional_set_size, node))


def _proportional_set_size(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0


# ------------------------------------------------------------------------------ simulated nodes


def train_nothing(folder: Path, splits: Splits, number: int, callback: FoldCallback) -> None:
    """Write the files of a fold without training, as an executor's `train_fold`."""
    fold = folder / f"fold-{number}"
    callback.epochs_found(0)
    checkpoint = np.random.default_rng(number).bytes(CHECKPOINT_BYTES)
    for epoch in range(1, SIMULATED_EPOCHS + 1):
        callback.images_trained(len(splits.train))
        (fold / "history.csv").write_text("epoch\n", encoding="ascii")
        (fold / "checkpoint.keras").write_bytes(checkpoint)
        callback.epoch_done(Epoch(epoch, 0.1, 0.9, 0.1, 0.9, 1e-3, 1.0, 1.0))
    (fold / "model.keras").write_bytes(checkpoint[:MODEL_BYTES])
    for name in ("oof.npz", "test.npz", "finished.json"):
        (fold / name).write_bytes(b"{}")


class _NullFoldsCallback:
    def fold_started(self, _: int) -> FoldCallback:
        return NullFoldCallback()


def measure_driver(nodes: int, work: Path) -> tuple[float, float]:
    """Return the driver's wall-clock and processor seconds for a fold with ``nodes`` nodes."""
    images = np.zeros((42_000, 28, 28, 1), np.uint8)
    data = Dataset(images, np.zeros(42_000, np.uint8), np.arange(42_000))
    splits = Splits("kaggle", data, data.take(np.arange(28_000)))
    task = Task(train_nothing, work, splits, CPUS, 1)
    first = list(range(1, nodes + 1))
    folds = list(range(nodes + 1, nodes + 1 + SIMULATED_FOLDS * nodes))
    for number in (*first, *folds):
        (work / f"fold-{number}").mkdir()
    with cluster(nodes) as started:
        executor = OnRay(started.address)
        list(executor.train_folds(task, first, _NullFoldsCallback()))  # every node starts a worker
        began, used = time.perf_counter(), time.process_time()
        done = list(executor.train_folds(task, folds, _NullFoldsCallback()))
        wall, cpu = time.perf_counter() - began, time.process_time() - used
    return wall / len(done), cpu / len(done)


def main() -> None:
    """Measure, compute and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--input", type=lambda text: Path(text).expanduser(), default=Path("input"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=4, help="simulated nodes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "cv").mkdir()
        input_ = competition_csvs(options.input.absolute(), work / "input")
        ratios, longer, peak = compare_with_processes(input_, work / "cv", options.rounds)
        print(
            f"Ray / processes: {statistics.median(ratios):.3f} ({min(ratios):.3f}-"
            f"{max(ratios):.3f}), {statistics.median(longer):.1f} s longer for a fold; "
            f"memory of the node {peak / 1e9:.2f} GB"
        )
        (work / "simulated").mkdir()
        wall, cpu = measure_driver(options.nodes, work / "simulated")
    megabytes = (CHECKPOINT_BYTES * SIMULATED_EPOCHS + MODEL_BYTES) / 1e6
    print(
        f"{options.nodes} simulated nodes: {wall:.2f} s per fold, of which the driver computes "
        f"{cpu:.2f} s; {megabytes:.0f} MB per fold"
    )
    print("\nComputed, not measured: folds of a minute, a fold at a time on each node")
    overhead = max(0.0, statistics.median(longer))
    for folds, nodes in LARGE:
        training = -(-folds // nodes) * (FOLD_SECONDS + overhead)
        print(
            f"{folds:5} folds, {nodes:4} nodes: training {training / 60:5.1f} min, "
            f"driver {folds * cpu / 60:5.1f} min, {folds * megabytes / 1e3:4.0f} GB to the driver, "
            f"in all {max(training, folds * cpu) / 60:5.1f} min"
        )


if __name__ == "__main__":
    main()
