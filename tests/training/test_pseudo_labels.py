"""Pseudo-labels: test images are trained on with the class that finished runs predict."""

import json
import shutil
import signal
from dataclasses import asdict

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import files
from kaggle_digits.runs import Run
from kaggle_digits.training import fit, pseudo_labels, splitting
from kaggle_digits.training.pseudo_labels import UNLABELLED as NO
from kaggle_digits.training.pseudo_labels import make_pseudo_labels
from tests import product
from tests.helpers import write_competition
from tests.untrained import training_takes_no_time

CV = ("cv", "--recipe", "dense", "--epochs", "1")
ONE = ("train", "--recipe", "dense", "--epochs", "1")
TRAIN, TEST, CLASSES = 90, 20, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with small data and two runs on it, in which nothing was trained."""
    folder = tmp_path_factory.mktemp("pseudo")
    write_competition(folder / "input", train=TRAIN, test=TEST)
    with training_takes_no_time():
        for name, seeds in (("a", "1"), ("b", "1"), ("twice", "2")):
            product.call(*CV, "--folds", "3", "--seeds", seeds, "--run", name, cwd=folder)
        product.call(*ONE, "--run", "one", cwd=folder)
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
    folds = splitting.assign_folds(splits.train.labels, 3, 1, 0)
    return [splitting.split_rows(folds, 3, number)[1] for number in (1, 2, 3)]


def test_each_fold_gets_the_labels_of_the_same_fold(copied):
    splits, copy = copied
    # Of 30 held-out images, 24 are right at 0.8: the probabilities are right as they are.
    teacher = copy("t", right=0.8, oof=0.8, test=([0.96], [0.94, 0.96], [0.96, 0.96, 0.94]))
    made = make_pseudo_labels([teacher], splits, held_out(splits))
    assert made.dtype == np.int16
    assert made.shape == (3, TEST)
    assert made[:, :3].tolist() == [
        [1, NO, NO],
        [NO, 2, NO],
        [3, 3, NO],
    ]
    assert (made[:, 3:] == NO).all()


@pytest.mark.parametrize(("test", "label"), [(0.80, NO), (0.83, 1)])
def test_a_teacher_with_low_probabilities_is_calibrated(test, label, copied):
    """28 of 30 right at odds of √14: the temperature is 1/2, and 0.83 means odds of 24."""
    splits, copy = copied
    odds = np.sqrt(28 / 2)
    teacher = copy("t", right=28 / 30, oof=odds / (1 + odds), test=([test, 0.99], [0.99], [0.99]))
    assert make_pseudo_labels([teacher], splits, held_out(splits))[0, 0] == label


def test_a_teacher_without_errors_is_not_calibrated(copied):
    splits, copy = copied
    teacher = copy("t", right=1, oof=0.6, test=([0.94, 0.96], [0.96], [0.96]))
    made = make_pseudo_labels([teacher], splits, held_out(splits))
    assert made[0, :3].tolist() == [NO, 1, NO]


def test_several_teachers_are_averaged(copied):
    splits, copy = copied
    first = copy("one", right=0.8, oof=0.8, test=([0.99, 0.99], [0.99], [0.99]))
    second = copy("two", right=0.8, oof=0.8, test=([0.90, 0.92], [0.99], [0.99]))
    made = make_pseudo_labels([first, second], splits, held_out(splits))
    assert made[0, :2].tolist() == [NO, 1]  # 0.945 and 0.955


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
        labelled = np.flatnonzero(labels != NO)
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


def test_a_notebook_names_one_run_or_several(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pseudo_labels, "MIN_PROBABILITY", 0.0)  # the answers here are random
    options = {"folds": 3, "epochs": 1, "submission": tmp_path / "s.csv"}
    with training_takes_no_time():
        one = kd.cross_validate(
            "dense", folder / "input", pseudo_labels=folder / "a", run=tmp_path / "1", **options
        )
        none = kd.cross_validate(
            "dense", folder / "input", pseudo_labels=None, run=tmp_path / "0", **options
        )
        two = kd.cross_validate(
            "dense", folder / "input", pseudo_labels=[str(folder / "a"), str(folder / "b")],
            run=tmp_path / "2", **options,
        )  # fmt: skip
    assert (one.folder / "pseudo-labels.npy").exists()
    assert (two.folder / "pseudo-labels.npy").exists()
    assert not (none.folder / "pseudo-labels.npy").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pseudo-labels", "nowhere"], "nowhere is not a run: no such folder"),
        (
            ["--pseudo-labels", "a", "--seed", "1"],
            "a holds out other images in fold 1 than this run",
        ),
        (["--pseudo-labels", "twice"], "twice was made by `cv` and has 6 models. Expected 3"),
        (["--pseudo-labels", "one"], "one was made by `train` and has 1 models. Expected 3"),
        (["--pseudo-labels", "a", "--limit", "60"], "a was made with other training images."),
        (["--pseudo-labels", "a", "--exclude", "ids.csv"], "a excludes 0 training images, this"),
        (["--pseudo-labels", "a", "--pseudo-labels", "./a"], "names a more than once."),
        (["--pseudo-labels", "a"], "none of the 20 test images a calibrated probability of 0.95"),
        (["--pseudo-labels", "learner"], "learner was itself trained with pseudo-labels"),
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
        shutil.copytree(folder / "a", folder / "learner")
        settings = asdict(Run(folder / "a").settings) | {"pseudo_labels_sha256": "0" * 64}
        Run(folder / "learner").update(settings=settings)
        (folder / "ids.csv").write_text("id\n1\n")
    done = product.call(*CV, "--folds", "3", *options, "--run", "bad", cwd=folder, code=2)
    assert message in " ".join(done.stderr.split())
    assert not (folder / "bad").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--validation-split", "0", "--run", "bad"], "--pseudo-labels needs held-out images"),
        (["--validation-split", "0.3", "--run", "bad"], "one holds out other images in fold 1"),
        (["--run", "one"], "--run and --pseudo-labels both name one. Expected a new run"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(options, message, folder):
    done = product.call(*ONE, *options, "--pseudo-labels", "one", cwd=folder, code=2)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"PK"), "is not an .npz file, or is truncated"),
        (
            lambda path: files.write_npz(path, probabilities=np.full((TEST, CLASSES), np.nan)),
            "--pseudo-labels: probabilities in",
        ),
    ],
)
def test_a_damaged_teacher_is_named(damage, message, folder, tmp_path):
    shutil.copytree(folder / "a", tmp_path / "a")
    damage(tmp_path / "a" / "fold-2" / "test.npz")
    done = product.call(
        *CV, "--folds", "3", "--pseudo-labels", tmp_path / "a", "--run", "bad", cwd=folder, code=2
    )
    assert message in done.stderr
    assert "a/fold-2/test.npz" in done.stderr


def test_labels_that_were_changed_in_the_run_are_noticed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pseudo_labels, "MIN_PROBABILITY", 0.0)
    with training_takes_no_time():
        run = kd.cross_validate(
            "dense", folder / "input", folds=3, epochs=1, pseudo_labels=folder / "a",
            run=tmp_path / "r", submission=tmp_path / "r.csv",
        )  # fmt: skip
    path = run.folder / "pseudo-labels.npy"
    labels = np.load(path)
    assert (pseudo_labels.read_pseudo_labels(Run(run.folder), TEST) == labels).all()
    labels[0, 0] = 3 if labels[0, 0] != 3 else 4
    np.save(path, labels)
    with pytest.raises(kd.InputError, match=r"it has other labels than run\.json was written for"):
        pseudo_labels.read_pseudo_labels(Run(run.folder), TEST)


@pytest.mark.slow
def test_a_killed_student_ends_with_the_same_bytes(sample, tmp_path):
    dense = ("cv", "--recipe", "dense", "--folds", "3", "--epochs", "12", "--limit", "240")
    product.run(*dense, "--run", "teacher", "--input", sample, cwd=tmp_path)
    student = (*dense, "--pseudo-labels", "teacher", "--input", sample, "--on", "here")
    product.run(*student, "--run", "whole", cwd=tmp_path)
    killed = product.started(*student, "--run", "killed", cwd=tmp_path)
    product.read_until(killed, "fold 2/3  epoch 1/12")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "test.npz").exists()
    product.run(*student, "--run", "killed", cwd=tmp_path)
    for name in ("test.npz", "oof.npz", "pseudo-labels.npy", "submission.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
