"""Predictions of several runs are paired by the ids of the images."""

import json
from typing import Any

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import files, runs, submissions
from kaggle_digits.runs import predictions
from tests import product
from tests.report.made_runs import make_data, make_run


def test_held_out_images_in_another_order_are_paired_by_their_ids(tmp_path):
    data = make_data(tmp_path / "input")
    first, second = (make_run(tmp_path / name, data, seed) for seed, name in enumerate("ab"))
    held_out = second.arrays("oof")
    order = np.random.default_rng(0).permutation(len(held_out["ids"]))[:-3]
    files.write_npz(
        second.folder / "oof.npz", **{name: values[order] for name, values in held_out.items()}
    )
    found = predictions.read_out_of_fold([first, runs.Run(second.folder)])
    assert found is not None
    missing = np.setdiff1d(held_out["ids"], held_out["ids"][order])
    kept = ~np.isin(held_out["ids"], missing)
    assert np.array_equal(found.ids, held_out["ids"][kept])
    assert np.array_equal(found.labels, held_out["labels"][kept])
    assert np.array_equal(found.probabilities[0], first.arrays("oof")["probabilities"][kept])
    assert np.array_equal(found.probabilities[1], held_out["probabilities"][kept])


def test_a_csv_from_python_breaks_ties_as_the_run_does(tmp_path):
    run = make_run(tmp_path / "run", make_data(tmp_path / "input"), seed=0)
    test = run.arrays("test")
    close = np.full(test["probabilities"].shape, 0.05)
    close[:, 1], close[:, 2] = 0.3, 0.3 + 1e-9  # equal as float32
    files.write_npz(run.folder / "test.npz", ids=test["ids"], probabilities=close)
    csv = kd.open_run(run.folder).write_submission(tmp_path / "a.csv")
    assert (submissions.read(csv).labels == 2).all()


def test_only_a_submission_is_replaced(tmp_path):
    data = make_data(tmp_path / "input")
    runs_ = [make_run(tmp_path / name, data, seed) for seed, name in enumerate("ab")]
    path = tmp_path / "LICENSE"
    path.write_text("mine")
    for found in (kd.open_run(runs_[0].folder), kd.ensemble([run.folder for run in runs_])):
        with pytest.raises(kd.InputError, match="LICENSE exists and is not a submission"):
            found.write_submission(path)
    assert path.read_text() == "mine"
    path.write_text('"ImageId","Label"\n1,2\n')  # as R writes it
    assert submissions.read(found.write_submission(path)).ids[0] == 1
    blend: Any = found
    with pytest.raises(kd.InputError, match=r"compare received Blend\. Expected CSVs "):
        kd.compare([blend, runs_[0].folder])
    with pytest.raises(kd.InputError, match=r"ensemble received Blend\. Expected finished runs"):
        kd.ensemble([blend, runs_[0].folder])
    with pytest.raises(kd.InputError, match=r"submit received Blend\. Expected the path of a CSV"):
        kd.submit(blend)
    with pytest.raises(kd.InputError, match=r"it is a file\. Expected a folder"):
        kd.ensemble([runs_[0].submission])


def test_predictions_that_are_missing_are_named(tmp_path):
    data = make_data(tmp_path / "input")
    first, second = (make_run(tmp_path / name, data, seed) for seed, name in enumerate("ab"))
    (second.folder / "oof.npz").unlink()
    with pytest.raises(kd.InputError, match=r"oof\.npz is missing\. Repeat the command that made"):
        predictions.read_out_of_fold([first, second])
    done = product.call("compare", first.folder, second.folder, cwd=tmp_path)
    assert "oof.npz is missing" in done.stderr
    assert "agreement over 20 images" in done.stdout
    (first.folder / "test.npz").unlink()
    with pytest.raises(kd.InputError, match=r"test\.npz is missing\. Repeat the command that made"):
        predictions.read_test([first])


def test_held_out_images_with_other_pixels_are_not_paired(tmp_path):
    data = make_data(tmp_path / "input")
    both = [make_run(tmp_path / name, data, seed) for seed, name in enumerate("ab")]
    for run in both:
        held_out = run.arrays("oof")
        rows = np.arange(len(held_out["ids"]))
        files.write_npz(run.folder / "oof.npz", **held_out, rows=rows)
        files.write_npz(run.folder / "train-hashes.npz", hashes=rows.astype(np.uint64))
    assert predictions.read_out_of_fold(both) is not None
    files.write_npz(both[1].folder / "train-hashes.npz", hashes=rows.astype(np.uint64)[::-1])
    assert predictions.read_out_of_fold(both) is None
    files.write_npz(both[1].folder / "train-hashes.npz", hashes=rows.astype(np.uint64)[:2])
    with pytest.raises(kd.InputError, match=r"train-hashes\.npz .*it lacks held-out images"):
        predictions.read_out_of_fold(both)


def test_scores_of_other_versions(tmp_path):
    run = make_run(tmp_path / "run", make_data(tmp_path / "input"), seed=0)
    path = run.folder / "metrics.json"
    metrics = json.loads(path.read_text())
    expected = kd.open_run(run.folder).scores
    metrics["oof"]["brier"] = 0.5  # of a later version
    path.write_text(json.dumps(metrics))
    assert kd.open_run(run.folder).scores == expected
    del metrics["oof"]["standard_error"]
    path.write_text(json.dumps(metrics))
    with pytest.raises(kd.InputError, match=r"metrics\.json .*standard_error is missing"):
        _ = kd.open_run(run.folder).scores
