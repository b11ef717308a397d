"""What is said before training: files cut short, data of another size, classes that are missing."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits.cli import app
from kaggle_digits.datasets import get_rehearsal, kaggle_csv, load
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.training import splitting
from tests.helpers import (
    HEADER,
    csv_text,
    images,
    labels,
    mnist_arrays,
    write_competition,
    write_competition_zip,
)


@pytest.fixture(autouse=True)
def competition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A competition of 60 and 20 images."""
    monkeypatch.setattr(kaggle_csv, "COMPETITION_TRAIN_ROWS", 60)
    monkeypatch.setattr(kaggle_csv, "COMPETITION_TEST_ROWS", 20)


@pytest.mark.parametrize(
    ("train", "test", "source", "note"),
    [
        (60, 20, "kaggle", None),
        (
            40,
            20,
            "kaggle",
            "train.csv has 40 of 60 rows; the download may be incomplete. Download it again",
        ),
        (80, 20, "kaggle", "train.csv has 80 rows; the competition's has 60."),
        (
            60,
            15,
            "csv",
            "test.csv has 15 of 20 rows; the download may be incomplete. Download it again",
        ),
        (60, 30, "csv", "test.csv has 30 rows; the competition's has 20."),
        (40, 10, "csv", None),
    ],
)
def test_rows(train, test, source, note, tmp_path):
    write_competition(tmp_path / "csv", train, test)
    write_competition_zip(tmp_path / "zip" / "archive.zip", train, test)
    for kind in ("csv", "zip"):
        splits = load(tmp_path / kind)
        assert splits.source == source
        if note is None:
            assert splits.notes == ()
        else:
            (said,) = splits.notes
            assert said.startswith(note)
            if "incomplete" in note:
                again = "data get --source kaggle --force --input"
                assert said.endswith(f" with: kaggle-digits {again} {tmp_path / kind}")


def test_a_rehearsal_and_mnist_need_no_note(tmp_path):
    (tmp_path / "mnist").mkdir()
    np.savez(tmp_path / "mnist" / "mnist.npz", **mnist_arrays(30, 20))
    assert load(tmp_path / "mnist").notes == ()
    path = tmp_path / "mnist" / "mnist.npz"
    get_rehearsal("mnist", folder=tmp_path / "input", from_path=path, seed=0)
    splits = load(tmp_path / "input")
    assert (len(splits.test), splits.source, splits.notes) == (20, "rehearsal", ())


def run(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return result.stdout, f"{result.stderr}{result.exception}"
    return result.stdout, result.stderr


def test_the_commands_say_it(tmp_path):
    folder = write_competition(tmp_path, train=40)
    stdout, stderr = run("data", "get", "--input", folder)
    assert "kaggle data, 40 train and 20 test images" in stdout
    assert "Note: train.csv has 40 of 60 rows; the download may be incomplete." in stderr
    stdout, _ = run("data", "check", "--input", folder)
    assert "note                 train.csv has 40 of 60 rows" in stdout
    stdout, _ = run("data", "check", "--json", "--input", folder)
    assert '"train.csv has 40 of 60 rows' in stdout
    # The recipe takes other images, which is said before anything is trained, but after the note.
    for command in ("train", "cv"):
        _, stderr = run(command, "--recipe", "cifar-simple", "--input", folder)
        assert "Note: train.csv has 40 of 60 rows" in stderr


# --------------------------------------------------------------------------------------- classes


def write_classes(folder: Path, classes: list[int], count: int = 60) -> Path:
    write_competition(folder, count)
    digits = np.resize(np.array(classes, np.uint8), count)
    text = csv_text(HEADER, np.column_stack([digits, images(count)]))
    (folder / "train.csv").write_text(text)
    return folder


@pytest.mark.parametrize("command", ["train", "cv", "record"])
@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ([7], "lack 9 of 10 classes: 0, 1, 2, 3, 4, 5, 6, 8, 9. Received 7 (60 images). Expected"),
        (
            [0, 1, 2, 3, 4, 5, 6, 8, 9],
            "lack 1 of 10 classes: 7. Received 0 (7 images), 1 (7 images",
        ),
    ],
)
def test_missing_classes_are_refused_before_anything_is_trained(
    command, classes, problem, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "input", classes)
    _, stderr = run(command)
    assert f"the training images {problem}" in stderr
    assert "Expected images of every class. Download it again with: kaggle-digits" in stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "submissions").exists()


def test_data_check_reports_missing_classes(tmp_path):
    folder = write_classes(tmp_path, [0, 1, 2, 3, 4, 5, 6])
    stdout, _ = run("data", "check", "--input", folder)
    assert "missing in train     7, 8, 9\n" in stdout
    stdout, _ = run("data", "check", "--input", write_competition(tmp_path / "whole"))
    assert "missing in train" not in stdout


def test_few_images_of_every_class_are_enough():
    pixels = images(10).reshape(-1, 28, 28, 1)
    train = Dataset(pixels, labels(10), np.arange(1, 11))
    splitting.require_all_classes(train)
    with pytest.raises(InputError, match="lack 1 of 10 classes: 9"):
        splitting.require_all_classes(train.take(np.arange(9)))
