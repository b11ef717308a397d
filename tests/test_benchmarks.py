"""The harness of the benchmarks: what it calls slower, and what it counts."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import harness, items

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
    result = harness.measured(item, {})
    assert result.theirs == (1, 3, 5)
    assert result.ours == (2, 4, 6)
    assert result.ratio == (1.2, 1.3333, 2.0)


def test_quick_and_full_results_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    harness.keep(BEFORE, quick=True)
    assert harness.kept("read", quick=True) == BEFORE
    assert harness.kept("read", quick=False) is None


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

    train, test = kaggle_csv.read_files((tmp_path / "train.csv", tmp_path / "test.csv"), None)
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
