"""Training images whose label a run contradicts: listed, looked at, and left out of a training."""

import csv
import json

import numpy as np
import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import find_suspects, suspects, write_suspects
from kaggle_digits.training import fit, run_images, splitting
from kaggle_digits.training.pseudo_labels import label_none
from tests import product, untrained
from tests.helpers import write_competition

CV = ("cv", "--recipe", "dense", "--epochs", "1", "--folds", "3")


def test_only_contradicted_labels_are_listed_the_least_probable_first(tmp_path):
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.95, 0.05]])
    found = find_suspects(probabilities, np.array([0, 1, 1, 1]), np.array([11, 12, 13, 14]))
    assert [image.id for image in found] == [14, 12]
    write_suspects(tmp_path / "s.csv", found, ("zero", "one"))
    assert (tmp_path / "s.csv").read_text() == (
        "id,label,predicted,p_label,p_predicted\n14,one,zero,0.0500,0.9500\n12,one,zero,0.4000,0.6000\n"
    )
    assert suspects.read_ids(tmp_path / "s.csv") == (12, 14)


def test_without_errors_there_are_no_suspects():
    assert find_suspects(np.eye(3), np.arange(3), np.arange(3)) == ()


def test_a_list_made_by_hand_is_read(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xef\xbb\xbfwhy, ID\r\n\r\nodd,7\r\nodd, 3\r\nodd,7\r\n")
    assert suspects.read_ids(path) == (3, 7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column named id; its first line is empty"),
        (("label," + ",".join(f"pixel{i}" for i in range(784))).encode(), "pixel3. Expected"),
        (b"ImageId,Label\n1,2\n", "its first line is ImageId, Label. Expected"),
        (b"id\n1\nx\n", "line 3: the id is 'x'. Expected a whole number"),
        (b"id\n-1\n", "line 2: the id is '-1'"),
        (b"a,id\n1\n", "line 2: the id is ''"),
        (b"id\n" + b"1" * 30, "Expected a whole number"),
        (b"\xff\xfe\x00", "is not a CSV"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_what_is_no_list_is_refused(content, message, tmp_path):
    path = tmp_path / "s.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        suspects.read_ids(path)


def test_an_excluded_image_is_held_out_and_not_trained_on():
    folds = np.array([[1, 2, 3, 1, 2, 3]], np.int16)
    marked = splitting.exclude(folds, np.array([0, 1]), 3)
    trained = [splitting.select_trained(marked, fold)[0] for fold in (1, 2, 3)]
    assert [np.flatnonzero(rows).tolist() for rows in trained] == [[2, 4, 5], [2, 3, 5], [3, 4]]
    assert (np.abs(marked) == folds).all()
    assert run_images.count_images(marked, 3, label_none(3, 1)) == (3, 3, 2)


def test_an_excluded_image_that_no_fold_holds_out_is_not_trained_on():
    """The single split of `train`: 1 for held-out images, 0 for the others."""
    marked = splitting.exclude(np.array([[0, 0, 1, 1]], np.int16), np.array([1, 3]), 1)
    assert np.flatnonzero(splitting.select_trained(marked, 1)).tolist() == [0]
    assert np.flatnonzero(np.abs(marked[0]) == 1).tolist() == [2, 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with small data and a run on it, which no training took place in."""
    folder = tmp_path_factory.mktemp("suspects")
    write_competition(folder / "input", train=90, test=20)
    with untrained.training_takes_no_time():
        product.call(*CV, "--run", "run", "--submission", "a.csv", cwd=folder)
    return folder


def test_a_run_lists_its_suspects_and_another_one_does_without_them(folder, monkeypatch):
    listed = product.call("evaluate", "run", "--suspects", "s.csv", cwd=folder).stdout
    rows = list(csv.DictReader((folder / "s.csv").read_text().splitlines()))
    with np.load(folder / "run" / "oof.npz") as oof:
        predicted = oof["probabilities"].argmax(axis=1)
        wrong = oof["ids"][predicted != oof["labels"]]
    assert sorted(int(row["id"]) for row in rows) == sorted(wrong.tolist())
    assert f"s.csv ({len(wrong)} images with another label than predicted)" in listed
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")

    chosen = sorted(int(row["id"]) for row in rows)[:5]
    (folder / "chosen.csv").write_text("id\n" + "".join(f"{id_}\n" for id_ in chosen))
    seen = []
    original = fit.train_model

    def train_model(recipe, training, train, held_out, **options):
        seen.append((set(train.ids.tolist()), set(held_out.ids.tolist())))
        return original(recipe, training, train, held_out, **options)

    monkeypatch.setattr(fit, "train_model", train_model)
    with untrained.training_takes_no_time():
        product.call(*CV, "--exclude", "chosen.csv", "--run", "without", cwd=folder)
    assert len(seen) == 3
    assert all(not set(chosen) & trained for trained, _ in seen)
    assert set().union(*(held_out for _, held_out in seen)) == set(range(1, 91))
    settings = json.loads((folder / "without" / "run.json").read_text())["settings"]
    assert settings["excluded_images"] == 5
    refused = product.call(*CV, "--run", "without", cwd=folder, code=2).stderr
    assert "excluded_images: the run has 5, this command has 0" in refused


def test_only_a_list_of_suspects_is_replaced(folder):
    for name in ("input/train.csv", "run/submission.csv"):
        before = (folder / name).read_bytes()
        done = product.call("evaluate", "run", "--suspects", name, cwd=folder, code=2)
        assert "exists and is not a list of suspects: it does not begin with id," in done.stderr
        assert (folder / name).read_bytes() == before
    (folder / "drawn.png").write_text("mine")
    done = product.call("evaluate", "run", "--suspects", "drawn.csv", cwd=folder, code=2)
    assert "drawn.png exists and is not a PNG picture" in done.stderr


def test_a_run_without_held_out_images_has_no_suspects(folder):
    with untrained.training_takes_no_time():
        product.call(
            "train", "--recipe", "dense", "--epochs", "1", "--validation-split", "0",
            "--run", "whole", cwd=folder,
        )  # fmt: skip
    done = product.call("evaluate", "whole", "--suspects", "w.csv", "--plots", cwd=folder, code=2)
    assert "has no held-out images" in done.stderr
    assert not (folder / "w.csv").exists()


def test_a_run_without_some_images_has_a_name_of_its_own(folder):
    (folder / "two.csv").write_text("id\n1\n2\n")
    with untrained.training_takes_no_time():
        said = product.call(*CV, "--exclude", "two.csv", cwd=folder).stdout
    assert "runs/dense-3-fold-e1-without2-" in said


def test_with_a_limit_only_the_chosen_images_count_as_excluded(folder):
    (folder / "all.csv").write_text("id\n" + "".join(f"{id_}\n" for id_ in range(1, 11)))
    with untrained.training_takes_no_time():
        product.call(*CV, "--limit", "60", "--exclude", "all.csv", "--run", "limited", cwd=folder)
    settings = json.loads((folder / "limited" / "run.json").read_text())["settings"]
    left_out = int((np.load(folder / "limited" / "folds.npy") < 0).sum())
    assert 0 < settings["excluded_images"] == left_out < 10


def test_the_picture_is_left_out_with_the_reason_where_the_data_is_missing(folder):
    said = product.call(
        "evaluate", "run", "--suspects", "other.csv", "--input", "nowhere", cwd=folder
    ).stdout
    assert (folder / "other.csv").exists()
    assert "omitted   the picture: " in said
    assert not (folder / "other.png").exists()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([91], "there is no training image with the id 91. Expected ids from 1 to 90."),
        (range(1, 91, 10), "leaves a model without training images of class 0"),
    ],
)
def test_what_cannot_be_excluded_is_said(ids, message, folder):
    (folder / "bad.csv").write_text("id\n" + "".join(f"{id_}\n" for id_ in ids))
    done = product.call(*CV, "--exclude", "bad.csv", "--run", "bad", cwd=folder, code=2)
    assert message in " ".join(done.stderr.split())
    assert not (folder / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suspects", "s.csv", "--show", "1"], "--suspects lists images, --show draws"),
        (["run", "--suspects", "s.txt"], "Expected a name that ends in .csv"),
        (["a.csv", "--suspects", "s.csv"], "need the probabilities of a run"),
        (["run", "--suspects", "input/train.csv/s.csv"], "Not a directory|File exists|folder"),
    ],
)
def test_suspects_that_cannot_be_listed_are_refused(arguments, message, folder):
    done = product.call("evaluate", *arguments, cwd=folder, code=None)
    assert done.returncode in {1, 2}
    assert any(part in " ".join(done.stderr.split()) for part in message.split("|"))
