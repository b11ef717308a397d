"""How long `compare` takes for many CSVs, as whole processes, against the interpreter alone.

    python benchmarks/compare.py [--files 50] [--rounds 7]

The CSVs are as many and as long as a competitor's after a season: each differs from the same
labels in 80 rows of 28,000. The commands take turns, so that whatever else the machine does hits
all of them alike. Prints seconds (minimum, median, maximum) and the median's ratio to
``python -c pass``; then how the time inside the process splits, as a ratio to reading one file.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kaggle_digits import comparison, submissions

ROWS = 28_000
DIFFERING = 80
INTERPRETER = "python -c pass"


def write_files(folder: Path, count: int) -> list[Path]:
    """Write the CSVs, every second one with shuffled rows and Windows line ends."""
    random = np.random.default_rng(0)
    ids, labels = np.arange(1, ROWS + 1), random.integers(0, 10, ROWS)
    paths = [folder / f"{number:02}.csv" for number in range(count)]
    for number, path in enumerate(paths):
        order = random.permutation(ROWS) if number % 2 else np.arange(ROWS)
        answers = labels.copy()
        answers[random.choice(ROWS, DIFFERING, replace=False)] = random.integers(0, 10, DIFFERING)
        submissions.write(path, ids[order], answers[order])
        if number % 2:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return paths


def time_processes(folder: Path, paths: list[Path], rounds: int) -> None:
    """Time the commands in turn and print the table."""
    compare = [sys.executable, "-m", "kaggle_digits", "compare"]
    names = [path.name for path in paths]
    commands = {
        INTERPRETER: [sys.executable, "-c", "pass"],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "compare, 2 files": [*compare, *names[:2]],
        f"compare, {len(paths)} files": [*compare, *names],
        f"compare, {len(paths)} files, --vote": [*compare, *names, "--vote", "vote.csv"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, capture_output=True, check=True)
            if turn:  # the first turn fills the caches
                times[name].append(time.perf_counter() - started)
    baseline = statistics.median(times[INTERPRETER])
    print(f"{'command':28} {'min':>7} {'median':>7} {'max':>7} {'ratio':>6}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(
            f"{name:28} {min(seconds):7.3f} {median:7.3f} {max(seconds):7.3f} "
            f"{median / baseline:6.1f}"
        )


def time_stages(paths: list[Path], rounds: int) -> None:
    """Print what reading and comparing cost, in units of reading one file."""
    one, all_, compared = [], [], []
    for _ in range(rounds):
        started = time.perf_counter()
        submissions.read(paths[0])
        read_one = time.perf_counter()
        named = [(path.name, submissions.read(path)) for path in paths]
        read_all = time.perf_counter()
        comparison.compare(named)
        one.append(read_one - started)
        all_.append(read_all - read_one)
        compared.append(time.perf_counter() - read_all)
    unit = statistics.median(one)
    print(f"\nread 1 file of {ROWS:,} rows: {unit:.4f} s")
    print(f"read {len(paths)} files: {statistics.median(all_) / unit:.1f} times that")
    print(f"compare them: {statistics.median(compared) / unit:.1f} times that")


def main() -> None:
    """Write the files, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), options.files)
        time_processes(Path(folder), paths, options.rounds)
        time_stages(paths, options.rounds)


if __name__ == "__main__":
    main()
