"""The tables of finished runs, and the picture of errors against FLOP."""

import re

import numpy as np
import pytest

import kaggle_digits as kd
from benchmarks import blends, error_curve
from kaggle_digits.errors import InputError
from tests.helpers import write_competition
from tests.untrained import training_takes_no_time


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two runs on the same data, with other folds and networks."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_competition(folder / "data", train=120, test=20)
    with training_takes_no_time():
        return [
            kd.cross_validate(
                name, data, folds=2, epochs=1, run=folder / name, submission=folder / f"{name}.csv"
            )
            for name in ("dense", "one-conv")
        ]


def test_runs_and_their_mean_are_compared(two):
    first, second, mean = blends.compare([run.folder for run in two])
    wrong = [run.oof.probabilities.argmax(axis=1) != run.oof.labels for run in two]
    both = (two[0].oof.probabilities + two[1].oof.probabilities).argmax(axis=1)
    assert [first.errors, second.errors] == [rows.sum() for rows in wrong]
    assert mean.errors == (both != two[0].oof.labels).sum()
    assert (mean.name, mean.images) == ("dense + one-conv", 120)
    assert (first.fewer, first.fewer_error) == (0, 0)
    assert second.fewer == wrong[0].sum() - wrong[1].sum()
    changed = (wrong[0].astype(int) - wrong[1]).var() * 120
    assert second.fewer_error == pytest.approx(np.sqrt(changed))
    assert all(row.calibrated_log_loss <= row.log_loss for row in (first, second, mean))
    # dense: 784·512 + 512·10 multiply-adds, six operations each; half of 120 images in each fold
    assert first.flop == 6 * (784 * 512 + 512 * 10) * 120
    assert mean.flop == first.flop + second.flop


def test_the_table_is_printed(two, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["blends", *(str(run.folder) for run in two)])
    blends.main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("|mean of|errors|")
    assert rows[2].startswith("|dense + one-conv|")


def test_runs_on_other_data_are_refused(two, tmp_path):
    data = write_competition(tmp_path / "data", train=120, test=20, seed=1)
    with training_takes_no_time():
        other = kd.cross_validate(
            "dense", data, folds=2, epochs=1, run=tmp_path / "run", submission=tmp_path / "o.csv"
        )
    with pytest.raises(InputError, match="the runs share no held-out images"):
        list(blends.compare([two[0].folder, other.folder]))


def test_the_picture_has_the_figures_of_the_results():
    text = (error_curve.PICTURE.parents[1] / "results.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for name in ("few-images", "all-images"):
        for point in error_curve.read_points(error_curve.RESULTS / f"{name}.csv"):
            found = [row for row in rows if re.search(rf"\b{point.errors:g}( ±| errors| \|)", row)]
            if " + " not in point.name:  # rows of means may say "mean of both"
                found = [row for row in found if f"`{point.name}`" in row]
            assert found, point


def test_the_committed_picture_is_drawn_from_the_committed_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(error_curve, "PICTURE", tmp_path / "drawn.png")
    error_curve.main()
    assert (tmp_path / "drawn.png").stat().st_size > 10_000
    points = error_curve.read_points(error_curve.RESULTS / "few-images.csv")
    sides = {point.name: point.side for point in points}
    assert sides["deotte15 + deotte15 + deotte15"] == error_curve.THEIRS
    assert sides["record-5-adamw + record-width-adamw"] == error_curve.OURS
    every = error_curve.read_points(error_curve.RESULTS / "all-images.csv")
    assert {point.side for point in every} == set(error_curve.STYLES)
