"""How long `bn20` trains against `bn20-seed`, the source document to the letter.

    python benchmarks/recipes.py --input DIR [--limit 12000] [--rounds 3]

Both are trained in turn, as whole processes, for two epochs; the second one counts (building the
graph belongs to the first). Validation and the checkpoint are included. The ratio of whole
trainings is that of an epoch times that of the recipes' numbers of epochs.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from kaggle_digits.recipes import find

BASELINE, OURS = "bn20-seed", "bn20"


def seconds_an_epoch(recipe: str, arguments: argparse.Namespace, folder: Path) -> float:
    """Train two epochs of ``recipe`` and return how long the second one took."""
    command = [sys.executable, "-m", "kaggle_digits", "train", "--recipe", recipe, "--epochs", "2"]
    command += ["--input", str(arguments.input), "--limit", str(arguments.limit)]
    command += ["--run", str(folder / "run"), "--submission", str(folder / "out.csv")]
    subprocess.run(command, check=True, capture_output=True)
    with (folder / "run" / "fold-1" / "history.csv").open() as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])


def main() -> None:
    """Train in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, default=Path("input"))
    parser.add_argument("--limit", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    for turn in range(arguments.rounds):
        times = {}
        for recipe in (BASELINE, OURS):
            with tempfile.TemporaryDirectory() as folder:
                times[recipe] = seconds_an_epoch(recipe, arguments, Path(folder))
        ratios.append(times[OURS] / times[BASELINE])
        print(
            f"round {turn + 1}: an epoch of {BASELINE} {times[BASELINE]:.1f} s, of {OURS} "
            f"{times[OURS]:.1f} s, ratio {ratios[-1]:.3f}",
            flush=True,
        )
    epochs = find(OURS).training.epochs / find(BASELINE).training.epochs
    low, median, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"an epoch:       {low:.3f} {median:.3f} {high:.3f} (min, median, max)")
    print(f"whole training: {low * epochs:.3f} {median * epochs:.3f} {high * epochs:.3f}")


if __name__ == "__main__":
    main()
