"""What a CSV was made of, and what follows where that is more than train.csv."""

import json

import numpy as np
import pytest

from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.files import sha256_of
from kaggle_digits.origins import is_external, of_prediction, origin_of
from kaggle_digits.runs import Run
from tests import product
from tests.helpers import write_competition

ROWS = 28_000


def write_run(folder, *, external, label=7, rows=3, test_fingerprint=None):
    """Write a finished run whose CSV gives ``label`` to all of ``rows`` images."""
    folder.mkdir(parents=True)
    csv = "ImageId,Label\n" + "".join(f"{i},{label}\n" for i in range(1, rows + 1))
    (folder / "submission.csv").write_text(csv)
    settings = {"recipe": f"of-{folder.name}", "source": "kaggle", "external": external}
    settings |= {"test_fingerprint": test_fingerprint, "folds": 1, "seeds": 1}
    settings |= {"training": {"epochs": 1}}
    description = {"state": "finished", "started": folder.name, "settings": settings}
    (folder / "run.json").write_text(json.dumps(description))
    probabilities = np.full((rows, 10), 0.01, np.float32)
    probabilities[:, label] = 0.91
    ids = np.arange(1, rows + 1)
    np.savez(folder / "test.npz", ids=ids, probabilities=probabilities)
    return folder


def test_origin_is_the_run_with_the_same_bytes(tmp_path):
    write_run(tmp_path / "one", external=False, label=1)
    write_run(tmp_path / "two", external=False, label=2)
    (tmp_path / "two" / "metrics.json").write_text(json.dumps({"oof": {"accuracy": 0.5}}))
    origin = origin_of(sha256_of(tmp_path / "two" / "submission.csv"), tmp_path, tmp_path)
    assert origin is not None
    assert (origin.run, origin.recipe) == (str(tmp_path / "two"), "of-two")
    assert origin.oof_accuracy == 0.5
    assert not origin.external
    assert origin_of("0", tmp_path, tmp_path) is None


def test_a_run_of_an_earlier_version_is_not_external(tmp_path):
    path = write_run(tmp_path / "run", external=False) / "run.json"
    description = json.loads(path.read_text())
    del description["settings"]["external"]
    path.write_text(json.dumps(description))
    assert not is_external(Run(tmp_path / "run"))


def test_a_blend_is_known_by_its_bytes_and_external_if_a_member_is(tmp_path):
    for name, external in (("a", False), ("b", True)):
        write_run(tmp_path / "runs" / name, external=external)
    blend = ("ensemble", "runs/a", "runs/b", "--submission", "blend.csv")
    text = product.run(*blend, cwd=tmp_path).stdout
    assert "Not trained on train.csv alone: runs/b" in text
    notes = tmp_path / "submissions" / "blends.jsonl"
    notes.write_text("not a note\n" + notes.read_text())
    product.run(*blend, cwd=tmp_path)  # the same again: no second note
    assert len(notes.read_text().splitlines()) == 2
    for name in ("a", "b"):  # the same bytes, in a folder of its own
        (tmp_path / "runs" / name / "submission.csv").unlink()
    sha256 = sha256_of(tmp_path / "blend.csv")
    origin = origin_of(sha256, tmp_path / "runs", tmp_path / "submissions")
    assert origin is not None
    assert origin.run == "runs/a + runs/b"
    assert origin.external


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_competition(tmp_path_factory.mktemp("data"))
    row = ",".join("0" * 784)
    header = ",".join(f"pixel{i}" for i in range(784))
    (folder / "test.csv").write_text(f"{header}\n" + f"{row}\n" * ROWS)
    return folder


def test_an_external_run_is_pushed_only_if_that_is_declared(data, tmp_path):
    write_run(tmp_path / "runs" / "mine", external=True, rows=ROWS)
    csv = "runs/mine/submission.csv"
    command = ("submit", csv, "--input", data, "--dry-run")
    done = product.run(*command, cwd=tmp_path, code=2)
    assert f"{csv} rests on other images than the competition's train.csv" in done.stderr
    assert "runs/mine was trained on them" in done.stderr
    declared = product.run(*command, "--declared-external", cwd=tmp_path).stdout
    assert declared.strip().endswith("--declared-external")
    assert "rests on other" in product.run(*command, "--if-possible", cwd=tmp_path).stdout


def test_the_mark_shows_wherever_runs_are_listed(tmp_path):
    write_run(tmp_path / "runs" / "mine", external=True)
    write_run(tmp_path / "runs" / "other", external=False, label=3)
    assert "kaggle, external" in product.run("runs", cwd=tmp_path).stdout
    compared = product.run("compare", "runs/mine", "runs/other", cwd=tmp_path).stdout
    assert "[1] runs/mine (external images)\n[2] runs/other\n" in compared


def test_what_is_trained_on_other_images_is_marked(data, tmp_path):
    train = ("train", "--recipe", "dense", "--epochs", "1", "--run", "run")
    text = product.run(*train, "--input", data, cwd=tmp_path).stdout
    assert "marked as external" in text
    assert is_external(Run(tmp_path / "run"))


@pytest.mark.parametrize(("source", "external"), [("kaggle", False), ("mnist", True)])
def test_what_was_trained_on_other_digits_is_external_for_the_competitions(
    source, external, tmp_path
):
    path = write_run(tmp_path / "run", external=False) / "run.json"
    description = json.loads(path.read_text())
    description["settings"]["source"] = source
    path.write_text(json.dumps(description))
    images = Dataset(np.zeros((3, 28, 28, 1), np.uint8), None, np.arange(3))
    origin = of_prediction(Run(tmp_path / "run"), Splits("kaggle", images, images))
    assert origin.external == external
    assert origin.test_fingerprint == images.fingerprint
    elsewhere = of_prediction(Run(tmp_path / "run"), Splits("sample", images, images))
    assert not elsewhere.external


def test_a_vote_is_as_external_as_its_files(tmp_path):
    for name, external in (("a", False), ("b", True)):
        write_run(tmp_path / "runs" / name, external=external, label=ord(name) % 10)
    product.run("compare", "runs/a", "runs/b", "--vote", "vote.csv", cwd=tmp_path)
    voted = origin_of(
        sha256_of(tmp_path / "vote.csv"), tmp_path / "nothing", tmp_path / "submissions"
    )
    assert voted is not None
    assert voted.external
    assert voted.run == "runs/a + runs/b"
