"""Pseudo-labels: test images that finished runs are sure of are trained on, fold by fold."""

import json
import shutil
import signal

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import files
from kaggle_digits.runs import Run
from kaggle_digits.training import cross_validation, fit
from kaggle_digits.training.pseudo_labels import UNSURE, make_pseudo_labels
from tests import product
from tests.helpers import write_competition
from tests.untrained import training_takes_no_time

CV = ("cv", "--recipe", "dense", "--epochs", "1")
TRAIN, TEST, CLASSES = 90, 20, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with small data and two runs on it, in which nothing was trained."""
    folder = tmp_path_factory.mktemp("pseudo")
    write_competition(folder / "input", train=TRAIN, test=TEST)
    with training_takes_no_time():
        for name, seeds in (("a", "1"), ("b", "1"), ("twice", "2")):
            product.call(*CV, "--folds", "3", "--seeds", seeds, "--run", name, cwd=folder)
    return folder


def spread(classes, probability):
    """Return rows that give each of ``classes`` its probability, and the next class the rest."""
    classes = np.asarray(classes)
    rows = np.full((len(classes), CLASSES), 1e-7, np.float32)
    rows[np.arange(len(classes)), classes] = probability
    rows[np.arange(len(classes)), (classes + 1) % CLASSES] = 1 - np.asarray(probability)
    return rows / rows.sum(axis=1, keepdims=True)


def teach(folder, splits, *, right, oof, test):
    """Let every fold of a copied run give these answers.

    Args:
        folder: the run.
        splits: its images.
        right: share of the held-out images whose class is right.
        oof: probability of the predicted class of held-out images.
        test: for each fold, the probability of class ``fold`` for the first test images; the others
            get 0.5.

    """
    for number, probabilities in enumerate(test, start=1):
        with np.load(folder / f"fold-{number}" / "oof.npz") as kept:
            rows = kept["rows"]
        classes = splits.train.labels[rows].astype(int)
        classes[round(right * len(rows)) :] += CLASSES - 1  # then the next class is the right one
        files.write_npz(
            folder / f"fold-{number}" / "oof.npz",
            rows=rows,
            probabilities=spread(classes % CLASSES, np.full(len(rows), oof)),
        )
        sure = np.full(TEST, 0.5)
        sure[: len(probabilities)] = probabilities
        files.write_npz(
            folder / f"fold-{number}" / "test.npz",
            probabilities=spread(np.full(TEST, number), sure),
        )


@pytest.fixture
def copied(folder, tmp_path):
    """Return a function that copies a run and lets it teach."""
    splits = kd.load(folder / "input")

    def copy(name, **answers):
        shutil.copytree(folder / "a", tmp_path / name)
        teach(tmp_path / name, splits, **answers)
        return Run(tmp_path / name)

    return splits, copy


def held_out(splits):
    folds = cross_validation.assign_folds(splits.train.labels, 3, 1, 0)
    return [cross_validation.split_rows(folds, 3, number)[1] for number in (1, 2, 3)]


def test_each_fold_learns_what_the_same_fold_is_sure_of(copied):
    splits, copy = copied
    # Of 30 held-out images, 24 are right at 0.8: the teacher is as sure as it should be.
    teacher = copy("t", right=0.8, oof=0.8, test=([0.96], [0.94, 0.96], [0.96, 0.96, 0.94]))
    made = make_pseudo_labels([teacher], splits, held_out(splits))
    assert made.dtype == np.int16
    assert made.shape == (3, TEST)
    assert made[:, :3].tolist() == [[1, UNSURE, UNSURE], [UNSURE, 2, UNSURE], [3, 3, UNSURE]]
    assert (made[:, 3:] == UNSURE).all()


@pytest.mark.parametrize(("test", "label"), [(0.80, UNSURE), (0.83, 1)])
def test_a_teacher_that_is_too_unsure_is_calibrated(test, label, copied):
    """28 of 30 right at odds of √14: the temperature is 1/2, and 0.83 means odds of 24."""
    splits, copy = copied
    odds = np.sqrt(28 / 2)
    teacher = copy("t", right=28 / 30, oof=odds / (1 + odds), test=([test], [], []))
    assert make_pseudo_labels([teacher], splits, held_out(splits))[0, 0] == label


def test_several_teachers_are_averaged(copied):
    splits, copy = copied
    first = copy("one", right=0.8, oof=0.8, test=([0.99, 0.99], [], []))
    second = copy("two", right=0.8, oof=0.8, test=([0.90, 0.92], [], []))
    made = make_pseudo_labels([first, second], splits, held_out(splits))
    assert made[0, :2].tolist() == [UNSURE, 1]  # 0.945 and 0.955


def test_a_model_is_trained_on_the_labelled_test_images_too(folder, copied, monkeypatch):
    splits, copy = copied
    sure = ([0.96], [0.96] * 2, [0.96] * 3)
    teachers = [copy(name, right=0.8, oof=0.8, test=sure) for name in ("one", "two")]
    expected = make_pseudo_labels(teachers, splits, held_out(splits))
    seen = []
    original = fit.train_model

    def train_model(recipe, training, train, held_out, **options):
        seen.append((train, held_out))
        return original(recipe, training, train, held_out, **options)

    monkeypatch.setattr(fit, "train_model", train_model)
    options = [text for run in teachers for text in ("--pseudo-labels", run.folder)]
    command = (*CV, "--folds", "3", *options)
    with training_takes_no_time():
        done = product.call(*command, "--run", "student", cwd=folder)
    assert len(seen) == 3
    for (train, judged), rows, labels in zip(seen, held_out(splits), expected, strict=True):
        labelled = np.flatnonzero(labels != UNSURE)
        own = len(train) - len(labelled)
        assert own == TRAIN - len(rows)
        assert not set(train.ids[:own].tolist()) & set(splits.train.ids[rows].tolist())
        assert (train.images[own:] == splits.test.images[labelled]).all()
        assert train.labels[own:].tolist() == labels[labelled].tolist()
        assert judged.ids.tolist() == splits.train.ids[rows].tolist()
    assert "each model is also trained on 1 to 3 of the 20 test images" in done.stderr
    assert (np.load(folder / "student" / "pseudo-labels.npy") == expected).all()
    settings = json.loads((folder / "student" / "run.json").read_text())["settings"]
    assert settings["pseudo_labelled_images"] == 1

    refused = product.call(*CV, "--folds", "3", "--run", "student", cwd=folder, code=2).stderr
    assert "pseudo_labelled_images: the run has 1, this command has 0" in refused
    with training_takes_no_time():
        named = product.call(*command, cwd=folder).stdout
    assert f"runs/dense-3-fold-e1-pseudo-{settings['pseudo_labels_sha256'][:6]}-" in named


def test_a_notebook_names_one_run_or_several(folder, tmp_path):
    options = {"folds": 3, "epochs": 1, "submission": tmp_path / "s.csv"}
    with training_takes_no_time():
        one = kd.cross_validate(
            "dense", folder / "input", pseudo_labels=folder / "a", run=tmp_path / "1", **options
        )
        two = kd.cross_validate(
            "dense", folder / "input", pseudo_labels=[str(folder / "a"), str(folder / "b")],
            run=tmp_path / "2", **options,
        )  # fmt: skip
    assert (one.folder / "pseudo-labels.npy").exists()
    assert (two.folder / "pseudo-labels.npy").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pseudo-labels", "nowhere"], "nowhere is not a run: it has no readable run.json"),
        (
            ["--pseudo-labels", "a", "--seed", "1"],
            "a holds out other images in fold 1 than this run",
        ),
        (["--pseudo-labels", "twice"], "twice has 6 models. Expected 3, as many as this run has."),
        (["--pseudo-labels", "a", "--limit", "60"], "a was made with other training images."),
        (["--pseudo-labels", "a", "--input", "other"], "a was made with other test images."),
        (["--pseudo-labels", "half"], "half is not finished. Resume it with the command"),
    ],
)
def test_runs_that_cannot_teach_are_refused_in_words(options, message, folder):
    if not (folder / "other").exists():
        shutil.copytree(folder / "input", folder / "other")
        rows = (folder / "input" / "test.csv").read_text().splitlines()
        (folder / "other" / "test.csv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
        shutil.copytree(folder / "a", folder / "half")
        Run(folder / "half").update(state="running")
    done = product.call(*CV, "--folds", "3", *options, "--run", "bad", cwd=folder, code=2)
    assert message in " ".join(done.stderr.split())
    assert not (folder / "bad").exists()


def test_a_run_without_held_out_images_has_no_pseudo_labels(folder):
    train = ("train", "--recipe", "dense", "--epochs", "1", "--validation-split", "0")
    done = product.call(*train, "--run", "bad", "--pseudo-labels", "a", cwd=folder, code=2)
    assert "--pseudo-labels needs held-out images" in done.stderr


def test_a_damaged_teacher_is_named(folder, tmp_path):
    shutil.copytree(folder / "a", tmp_path / "a")
    (tmp_path / "a" / "fold-2" / "test.npz").write_bytes(b"PK")
    done = product.call(
        *CV, "--folds", "3", "--pseudo-labels", tmp_path / "a", "--run", "bad", cwd=folder, code=2
    )
    assert "fold-2/test.npz is not an .npz file, or is truncated" in done.stderr


@pytest.mark.slow
def test_a_killed_student_ends_with_the_same_bytes(tmp_path):
    data = write_competition(tmp_path / "input", train=240, test=60)
    dense = ("cv", "--recipe", "dense", "--folds", "3", "--epochs", "12", "--batch-size", "4")
    product.run(*dense, "--run", "teacher", "--input", data, cwd=tmp_path)
    student = (*dense, "--pseudo-labels", "teacher", "--input", data, "--on", "here")
    product.run(*student, "--run", "whole", cwd=tmp_path)
    killed = product.started(*student, "--run", "killed", cwd=tmp_path)
    product.read_until(killed, "fold 2/3  epoch 1/12")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "test.npz").exists()
    product.run(*student, "--run", "killed", cwd=tmp_path)
    for name in ("test.npz", "oof.npz", "pseudo-labels.npy", "submission.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
