"""The harness of the benchmarks: what it calls slower, and what it counts."""

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import harness, items, reference
from kaggle_digits.recipes import RECIPES
from tests import product
from tests.helpers import write_competition

BEFORE = harness.Result(
    "read", "?", "ours", "theirs", "s", (1.0,), (2.0,), (0.45, 0.5, 0.6), {}, {"cores": 2}
)


@pytest.mark.parametrize(
    ("ratio", "slower"),
    [
        ((0.45, 0.50, 0.60), False),
        ((0.52, 0.57, 0.60), False),  # 14 %
        ((0.52, 0.58, 0.60), True),  # 16 %
        ((0.48, 0.60, 0.90), False),  # one round was as good as ever
        ((0.10, 0.20, 0.30), False),
    ],
)
def test_what_is_slower_is_named(ratio, slower):
    found = harness.regression(replace(BEFORE, ratio=ratio), BEFORE)
    assert (found is not None) == slower
    if found:
        assert found == "read: ratio 0.580, was 0.500 (1.16 times)"


def test_what_was_never_measured_is_not_slower():
    assert harness.regression(BEFORE, None) is None


def test_both_sides_take_turns():
    clock = itertools.count(1)
    item = harness.Item(
        "turns", "?", "", "", "s", lambda: float(next(clock)), lambda: float(next(clock)), rounds=3
    )
    result = harness.measure(item, {})
    assert result.theirs == (1, 3, 5)
    assert result.ours == (2, 4, 6)
    assert result.ratio == (1.2, 1.3333, 2.0)


def test_quick_and_full_results_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    harness.write_result(BEFORE, quick=True)
    assert harness.read_result("read", quick=True) == BEFORE
    assert harness.read_result("read", quick=False) is None


def test_a_process_that_fails_says_what_it_printed(tmp_path):
    done = harness.process((sys.executable, "-c", "print('here')"), tmp_path)
    assert done.output == "here\n"
    assert 1 < done.peak < 50, "a small process, whatever this one has needed"
    with pytest.raises(RuntimeError, match="nothing to do"):
        harness.process((sys.executable, "-c", "raise SystemExit('nothing to do')"), tmp_path)


def test_made_files_are_of_the_competitions_form(tmp_path):
    items.write_generated(tmp_path / "train.csv", 20, labelled=True)
    items.write_generated(tmp_path / "test.csv", 10, labelled=False)
    from kaggle_digits.datasets import kaggle_csv

    train = kaggle_csv.read_one(tmp_path / "train.csv", "train", None)
    test = kaggle_csv.read_one(tmp_path / "test.csv", "test", None)
    assert train.images.shape == (20, 28, 28, 1)
    assert test.labels is None
    assert 0.1 < np.mean(train.images > 0) < 0.3


def test_an_item_that_there_is_not_is_an_error():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "trainng"],
        cwd=harness.RESULTS.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown item trainng: expected of start_ups reading training" in done.stderr


def test_a_recipe_named_twice_is_trained_twice():
    assert reference.list_networks("a+b+a") == (("a", 0), ("b", 0), ("a", 1))


def test_the_standard_error_is_that_of_the_mean():
    assert reference.with_error([1, 2, 3]) == "2.0 ± 0.6"
    assert reference.with_error([0.5], digits=2) == "0.50 ± nan"


def test_what_the_reference_is_compared_with_exists():
    names = {name for mean in reference.MEANS for name, _ in reference.list_networks(mean)}
    assert names <= set(RECIPES)


@pytest.mark.slow  # trains six networks
def test_recipes_and_their_means_are_compared_over_splits(tmp_path):
    write_competition(tmp_path, train=120, test=10)
    command = [sys.executable, "-m", "benchmarks.reference", "--input", tmp_path, "--images", "60",
               "--splits", "2", "dense", "dense+dense"]  # fmt: skip
    run = partial(
        subprocess.run,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        env=product.environment(),
    )
    done = run(command, check=True)
    lines = done.stdout.splitlines()
    assert sorted(line.rpartition(":")[0] for line in lines[:4]) == [
        f"split {split}, dense {number}" for split in (0, 1) for number in (0, 1)
    ]
    assert lines[4].startswith("errors in 60,")
    assert [line.split()[0] for line in lines[5:-1]] == ["dense", "dense+dense"]
    assert re.fullmatch(
        r"dense\+dense has -?[\d.]+ ± [\d.]+ errors fewer than dense: \[.*\]", lines[-1]
    )
    command[-1] = "nosuch"
    done = run(command, check=False)
    assert done.returncode == 2
    assert "unknown recipe 'nosuch'" in done.stderr


def test_the_sample_is_too_small_to_measure(sample, tmp_path, monkeypatch):
    rows = {}
    monkeypatch.setattr(
        items, "write_generated", lambda path, count, **_: rows.update({path.name: count})
    )
    command.competition_csvs(sample, tmp_path / "generated")
    assert rows == {"train.csv": 42_000, "test.csv": 28_000}
    rows.clear()
    folder = write_competition(tmp_path / "data")
    target = command.competition_csvs(folder, tmp_path / "linked")
    assert (target / "train.csv").read_bytes() == (folder / "train.csv").read_bytes()
    assert not rows
