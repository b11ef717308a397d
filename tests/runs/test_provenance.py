"""What a CSV was made of, and what follows where that is more than train.csv."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits.datasets import load
from kaggle_digits.runs import Run
from kaggle_digits.runs.provenance import (
    Provenance,
    find_provenance,
    note,
    trace_prediction,
    trace_vote,
)
from kaggle_digits.safe_reading import sha256_of
from tests import product
from tests.helpers import ROWS, write_competition, write_split


def write_run(folder, *, leaked=0, label=7, rows=3, test_fingerprint=None):
    """Write a finished run whose CSV gives ``label`` to all of ``rows`` images."""
    folder.mkdir(parents=True)
    csv = "ImageId,Label\n" + "".join(f"{i},{label}\n" for i in range(1, rows + 1))
    (folder / "submission.csv").write_text(csv)
    settings: dict[str, Any] = {"recipe": f"of-{folder.name}", "source": "kaggle"}
    settings |= {"test_fingerprint": test_fingerprint, "folds": 1, "seeds": 1}
    settings |= {"training": {"epochs": 1}}
    description: dict[str, Any] = {"state": "finished", "started": folder.name}
    description["settings"] = settings
    description["test_images_in_train"] = leaked
    (folder / "run.json").write_text(json.dumps(description))
    probabilities = np.full((rows, 10), 0.01, np.float32)
    probabilities[:, label] = 0.91
    ids = np.arange(1, rows + 1)
    np.savez(folder / "test.npz", ids=ids, probabilities=probabilities)
    return folder


def test_origin_is_the_run_with_the_same_bytes(tmp_path):
    write_run(tmp_path / "one", label=1)
    write_run(tmp_path / "two", label=2)
    (tmp_path / "two" / "metrics.json").write_text(json.dumps({"oof": {"accuracy": 0.5}}))
    origin = find_provenance(sha256_of(tmp_path / "two" / "submission.csv"), tmp_path, tmp_path)
    assert origin is not None
    assert (origin.run, origin.recipe) == (str(tmp_path / "two"), "of-two")
    assert origin.oof_accuracy == 0.5
    assert origin.test_images_in_train == 0
    assert find_provenance("0", tmp_path, tmp_path) is None


def test_of_a_run_of_an_earlier_version_the_count_is_unknown(tmp_path):
    path = write_run(tmp_path / "run") / "run.json"
    description = json.loads(path.read_text())
    del description["test_images_in_train"]
    description["settings"]["external"] = True  # what such versions noted, and judged nothing by
    path.write_text(json.dumps(description))
    assert Run(tmp_path / "run").test_images_in_train is None
    origin = find_provenance(sha256_of(tmp_path / "run" / "submission.csv"), tmp_path, tmp_path)
    assert origin is not None
    assert origin.test_images_in_train is None


def test_a_blend_is_known_by_its_bytes_and_has_the_leaks_of_its_members(tmp_path):
    for name, leaked in (("a", 0), ("b", 2)):
        write_run(tmp_path / "runs" / name, leaked=leaked)
    blend = ("ensemble", "runs/a", "runs/b", "--submission", "blend.csv")
    text = product.call(*blend, cwd=tmp_path).stdout
    assert "Trained on 2 of the test images: runs/b" in text
    notes = tmp_path / "submissions" / "blends.jsonl"
    notes.write_text("not a note\n" + notes.read_text())
    product.call(*blend, cwd=tmp_path)  # the same again: no second note
    assert len(notes.read_text().splitlines()) == 2
    for name in ("a", "b"):  # the same bytes, in a folder of its own
        (tmp_path / "runs" / name / "submission.csv").unlink()
    sha256 = sha256_of(tmp_path / "blend.csv")
    origin = find_provenance(sha256, tmp_path / "runs", tmp_path / "submissions")
    assert origin is not None
    assert origin.run == "runs/a + runs/b"
    assert origin.test_images_in_train == 2


def test_a_blend_noted_by_an_earlier_version_is_still_known(tmp_path):
    line = {"sha256": "abc", "run": "a + b", "recipe": "r + s", "oof_accuracy": 0.5}
    line |= {"source": "kaggle", "test_fingerprint": "f", "external": True}
    (tmp_path / "blends.jsonl").write_text(json.dumps(line) + "\n")
    origin = find_provenance("abc", tmp_path / "runs", tmp_path)
    assert origin is not None
    assert (origin.run, origin.test_images_in_train) == ("a + b", None)


def test_notes_that_are_not_utf_8_stay_as_they_are(tmp_path):
    for name in "ab":
        write_run(tmp_path / "runs" / name)
    notes = tmp_path / "submissions" / "blends.jsonl"
    notes.parent.mkdir()
    notes.write_bytes(b"\xff\n")
    product.call("ensemble", "runs/a", "runs/b", "--submission", "blend.csv", cwd=tmp_path)
    assert notes.read_bytes().startswith(b"\xff\n{")


def test_without_a_folder_for_notes_a_csv_is_written_without_one(tmp_path):
    for name in "ab":
        write_run(tmp_path / "runs" / name)
    (tmp_path / "submissions").touch()  # as on a disk that may only be read
    product.call("ensemble", "runs/a", "runs/b", "--submission", "blend.csv", cwd=tmp_path)
    assert (tmp_path / "blend.csv").exists()


def test_the_csv_in_a_run_is_not_replaced(tmp_path):
    for name in "ab":
        write_run(tmp_path / "runs" / name)
    before = (tmp_path / "runs" / "a" / "submission.csv").read_bytes()
    target = "runs/a/submission.csv"
    done = product.call(
        "ensemble", "runs/a", "runs/b", "--submission", target, cwd=tmp_path, code=2
    )
    assert f"{target} belongs to the run in runs/a. Expected another name" in product.message(done)
    assert (tmp_path / "runs" / "a" / "submission.csv").read_bytes() == before


def test_a_run_elsewhere_is_noted_so_that_its_leaks_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_split(tmp_path / "data", seed=0)
    for folder in ("elsewhere/run", "runs/run"):
        run = kd.open_run(write_run(tmp_path / folder, leaked=7, rows=ROWS))
        run.write_submission("mine.csv")
        assert (tmp_path / "submissions" / "blends.jsonl").exists(), "not needed for runs/"
        done = product.call(
            "submit", "mine.csv", "--input", data, "--dry-run", cwd=tmp_path, code=2
        )
        assert "7 of 28,000 test images are identical to training images" in done.stderr


def test_a_run_with_leaks_is_pushed_only_if_that_is_declared(tmp_path):
    data = write_split(tmp_path / "data", seed=0)
    write_run(tmp_path / "runs" / "mine", leaked=7, rows=ROWS)
    command = ("submit", "runs/mine/submission.csv", "--input", data, "--dry-run")
    done = product.call(*command, cwd=tmp_path, code=2)
    assert "7 of 28,000 test images are identical to training images" in done.stderr
    declared = product.call(*command, "--declared-external", cwd=tmp_path).stdout
    assert declared.strip().endswith("--declared-external")
    assert "7 of 28,000" in product.call(*command, "--if-possible", cwd=tmp_path).stdout


def test_leaks_in_the_input_folder_count_for_a_run_kept_elsewhere(tmp_path):
    data = write_split(tmp_path / "data", seed=0, leaked=3)
    csv = write_run(tmp_path / "elsewhere" / "run", rows=ROWS) / "submission.csv"
    command = ("submit", csv, "--input", data, "--dry-run")
    done = product.call(*command, cwd=tmp_path, code=2)
    assert "3 of 28,000 test images" in done.stderr
    assert "remove them from train.csv" in done.stderr.lower()
    declared = product.call(*command, "--declared-external", cwd=tmp_path).stdout
    assert declared.strip().endswith("--declared-external")


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_competition_is_recognised_by_its_form_whatever_the_split(seed, tmp_path):
    data = write_split(tmp_path / "data", seed=seed)
    splits = load(data)
    assert splits.is_competition
    write_run(tmp_path / "runs" / "mine", rows=ROWS, test_fingerprint=splits.test.fingerprint)
    command = ("submit", "runs/mine/submission.csv", "--input", data, "--dry-run")
    assert "To submit it:" in product.call(*command, cwd=tmp_path).stdout


def test_the_mark_shows_wherever_runs_are_listed(tmp_path):
    write_run(tmp_path / "runs" / "mine", leaked=2)
    write_run(tmp_path / "runs" / "other", label=3)
    assert "kaggle, 2 leaked" in product.call("runs", cwd=tmp_path).stdout
    compared = product.call("compare", "runs/mine", "runs/other", cwd=tmp_path).stdout
    assert "[1] runs/mine (2 test images in training)\n[2] runs/other\n" in compared
    entry: dict[str, Any] = {
        "time": "t",
        "file": "x.csv",
        "sha256": "0",
        "message": "m",
        "run": None,
    }
    entry |= {"recipe": None, "oof_accuracy": None, "reference": 1, "status": "COMPLETE"}
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "ledger.jsonl").write_text(
        json.dumps(entry | {"public_score": 0.5, "test_images_in_train": 1234}) + "\n"
    )
    board = product.call("leaderboard", cwd=tmp_path).stdout
    assert "x.csv (1,234 test images in training)" in board


def test_training_records_the_leaks_and_predict_counts_them_for_other_images(tmp_path):
    data = write_competition(tmp_path / "data")
    lines = (data / "train.csv").read_text().splitlines()
    test = (data / "test.csv").read_text().splitlines()
    for row in (1, 2):
        test[row] = lines[row].partition(",")[2]
    (data / "test.csv").write_text("\n".join(test) + "\n")
    train = ("train", "--recipe", "dense", "--epochs", "1", "--run", "run")
    text = product.call(*train, "--input", data, cwd=tmp_path).stdout
    assert "2 of the test images occur in the training images" in text
    run = Run(tmp_path / "run")
    assert run.test_images_in_train == 2

    splits = load(data)
    other = replace(splits, test=splits.train)
    assert trace_prediction(run, other).test_images_in_train == len(splits.train)
    assert trace_prediction(run, other).test_fingerprint == splits.train.fingerprint
    (tmp_path / "run" / "train-hashes.npz").unlink()  # a run of an earlier version has none
    assert trace_prediction(run, other).test_images_in_train is None


def test_a_vote_has_the_leaks_of_its_files(tmp_path):
    for name, leaked, labels in (("a", 0, (1, 1, 1)), ("b", 2, (2, 2, 1)), ("c", 0, (1, 2, 2))):
        csv = write_run(tmp_path / "runs" / name, leaked=leaked) / "submission.csv"
        rows = (f"{id_},{label}\n" for id_, label in enumerate(labels, start=1))
        csv.write_text("ImageId,Label\n" + "".join(rows))
    runs = ("runs/a", "runs/b", "runs/c")
    product.call("compare", *runs, "--vote", "vote.csv", cwd=tmp_path)
    voted = find_provenance(
        sha256_of(tmp_path / "vote.csv"), tmp_path / "nothing", tmp_path / "submissions"
    )
    assert voted is not None
    assert voted.test_images_in_train == 2
    assert voted.run == " + ".join(runs)


@pytest.mark.parametrize(
    ("counts", "most"),
    [([0, 0], 0), ([None, 0], None), ([None, 3, 5], 5), ([0, 2], 2)],
)
def test_a_blend_whose_members_are_unknown_is_unknown_unless_one_has_leaks(counts, most):
    origins = [None if n is None else Provenance("r", "r", None, None, None, n) for n in counts]
    voted = trace_vote([(Path("x.csv"), origin) for origin in origins])
    assert voted is not None
    assert voted.test_images_in_train == most


def test_a_vote_has_the_test_images_of_the_file_whose_images_are_known():
    old = Provenance("old", "r", None, "kaggle", None, 0)
    new = Provenance("new", "r", None, "rehearsal", "f" * 64, 0)
    for origins in ([old, new], [new, old]):
        voted = trace_vote([(Path("x.csv"), origin) for origin in origins])
        assert voted is not None
        assert (voted.source, voted.test_fingerprint) == ("rehearsal", "f" * 64)


def test_a_vote_with_the_bytes_of_a_file_keeps_its_provenance(tmp_path):
    for name in "abc":
        write_run(tmp_path / "runs" / name, label=ord(name) % 10)
    product.call("ensemble", "runs/a", "runs/b", "--submission", "blend.csv", cwd=tmp_path)
    notes = (tmp_path / "submissions" / "blends.jsonl").read_text()
    product.call("compare", "blend.csv", "runs/c", "--vote", "vote.csv", cwd=tmp_path)  # a tie
    assert (tmp_path / "vote.csv").read_bytes() == (tmp_path / "blend.csv").read_bytes()
    assert (tmp_path / "submissions" / "blends.jsonl").read_text() == notes


def test_a_vote_on_different_test_images_is_refused(tmp_path):
    for name, fingerprint in (("a", "1" * 64), ("b", "2" * 64)):
        write_run(tmp_path / "runs" / name, label=ord(name) % 10, test_fingerprint=fingerprint)
    done = product.call("compare", "runs/a", "runs/b", "--vote", "v.csv", cwd=tmp_path, code=2)
    assert "runs/a and runs/b are for different ones. Omit one of them" in done.stderr
    assert not (tmp_path / "v.csv").exists()


def test_the_last_note_about_the_same_bytes_counts(tmp_path):
    csv = tmp_path / "blend.csv"
    csv.write_text("ImageId,Label\n1,7\n")
    for leaked in (0, 100):
        note(csv, Provenance("a", "c", None, "csv", None, leaked), tmp_path)
    origin = find_provenance(sha256_of(csv), tmp_path, tmp_path)
    assert origin is not None
    assert origin.test_images_in_train == 100


def test_a_note_that_is_damaged_is_passed_over(tmp_path):
    csv = tmp_path / "blend.csv"
    csv.write_text("ImageId,Label\n1,7\n")
    note(csv, Provenance("a + b", "c + d", None, "csv", None, 0), tmp_path)
    path = tmp_path / "blends.jsonl"
    whole = path.read_text()
    path.write_text("[" * 100_000 + "\n" + whole.replace('"a + b"', "7") + "{}\n[]\n\0\n" + whole)
    origin = find_provenance(sha256_of(csv), tmp_path, tmp_path)
    assert origin is not None
    assert origin.run == "a + b"
