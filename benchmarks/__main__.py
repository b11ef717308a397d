"""Run the benchmarks: ratios of times measured in turn.

    python -m benchmarks [--quick] [--update] [--input DIR] [ITEM …]

Prints a table. A full run writes ``results/full/*.json``; a quick one compares with
``results/quick`` and exits with status 1 if a ratio became worse by more than 15 %; ``--update``
writes its results. Without the competition's data in DIR it generates files of the same format and
size, because speed does not depend on the digits.
"""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import harness, items, training_items
from kaggle_digits.datasets import markers

Make = Callable[[items.Bench], list[harness.Item]]
QUICK: tuple[Make, ...] = (items.start_ups, items.reading, training_items.training)
FULL: tuple[Make, ...] = (
    *QUICK,
    training_items.prediction,
    training_items.folds,
    training_items.fast,
    training_items.memory,
)


def competition_csvs(folder: Path, target: Path) -> Path:
    """Return a folder with train.csv and test.csv: the competition's, or generated ones.

    `make data` writes the embedded sample if there is nothing else, which is too small.
    """
    target.mkdir()
    marker = markers.read(folder)
    if marker is not None and marker.source == "sample":
        folder = target
    for name, rows in (("train.csv", 42_000), ("test.csv", 28_000)):
        if (folder / name).exists():
            (target / name).symlink_to((folder / name).resolve())
        elif (folder / "digit-recognizer.zip").exists():
            with zipfile.ZipFile(folder / "digit-recognizer.zip") as archive:
                (target / name).write_bytes(archive.read(name))
        else:
            items.write_generated(target / name, rows, labelled=name == "train.csv")
    return target


def row(result: harness.Result) -> str:
    """Return one line of the table."""
    low, median, high = result.ratio
    note = ", ".join(f"{key} {value}" for key, value in result.note.items())
    return f"{result.name:20} {median:7.3f} {low:7.3f} {high:7.3f}  {result.baseline}  {note}"


def main() -> None:
    """Measure the requested items, print the table, compare or write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="ITEM",
        help="of: start_ups reading training prediction folds fast memory",
    )
    parser.add_argument("--quick", action="store_true", help="take two minutes; compare")
    parser.add_argument(
        "--update", action="store_true", help="also write the results of a quick run"
    )
    parser.add_argument("--input", type=lambda text: Path(text).expanduser(), default=Path("input"))
    options = parser.parse_args()
    makes = QUICK if options.quick else FULL
    if unknown := set(options.names) - {make.__name__ for make in makes}:
        known = " ".join(make.__name__ for make in makes)
        parser.error(f"unknown item {' '.join(sorted(unknown))}: expected of {known}")
    with tempfile.TemporaryDirectory() as name:
        machine = harness.machine()
        print(", ".join(f"{key} {value}" for key, value in machine.items()))
        folder = Path(name) / "work"
        folder.mkdir()
        input_ = competition_csvs(options.input, Path(name) / "input")
        bench = items.Bench(folder, input_, options.quick, machine)
        print(f"{'ratio to baseline':20} {'median':>7} {'min':>7} {'max':>7}")
        slower, compared = [], 0
        for make in makes:
            for item in _select(make, bench, options.names):
                result = harness.measure(item, machine)
                print(row(result), flush=True)
                before = harness.read_result(item.name, quick=options.quick)
                compared += before is not None
                slower.append(harness.regression(result, before))
                if options.update or not options.quick:
                    harness.write_result(result, quick=options.quick)
    named = [line for line in slower if line]
    if named:
        print("\nSlower than the committed results by more than 15 %:\n  " + "\n  ".join(named))
        sys.exit(1)
    print(f"\nNone of {compared} items with committed results is slower by more than 15 %.")


def _select(make: Make, bench: items.Bench, names: list[str]) -> list[harness.Item]:
    """Return the requested items of one function."""
    return make(bench) if not names or make.__name__ in names else []


if __name__ == "__main__":
    main()
