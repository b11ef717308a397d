"""How soon the command line answers, as whole processes, against the interpreter alone.

    python benchmarks/startup.py

Prints seconds (minimum, median, maximum) of runs made in turn, and the median's ratio to
``python -c pass``.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
ROWS = 28_000


def main() -> None:
    """Time every command in turn and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        csvs = [Path(folder) / name for name in ("a.csv", "b.csv")]
        rows = "".join(f"{i},{i % 10}\n" for i in range(1, ROWS + 1))
        for csv in csvs:
            csv.write_text("ImageId,Label\n" + rows)
        ours = [sys.executable, "-m", "kaggle_digits"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import typer": [sys.executable, "-c", "import typer"],
            "--help": [*ours, "--help"],
            "cv --help": [*ours, "cv", "--help"],
            "cv --folds x (usage error)": [*ours, "cv", "--folds", "x"],
            "cv --recipe nosuch": [*ours, "cv", "--recipe", "nosuch"],
            "runs": [*ours, "runs"],
            f"compare, 2 files of {ROWS:,}": [*ours, "compare", *map(str, csvs)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(RUNS + 1):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, capture_output=True, check=False)
                if turn:  # the first turn fills the caches
                    times[name].append(time.perf_counter() - started)
    baseline = statistics.median(times["python -c pass"])
    print(f"{'command':28} {'min':>7} {'median':>7} {'max':>7} {'ratio':>6}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(
            f"{name:28} {min(seconds):7.3f} {median:7.3f} {max(seconds):7.3f} "
            f"{median / baseline:6.1f}"
        )


if __name__ == "__main__":
    main()
