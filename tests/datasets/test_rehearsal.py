import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.datasets import get, get_rehearsal, load
from kaggle_digits.datasets.cache import FOLDER as CACHE
from kaggle_digits.datasets.markers import NAME as MARKER
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.submissions import read
from tests import product
from tests.helpers import mnist_arrays, write_cifar10, write_competition, write_competition_zip

FILES = {"train.csv", "test.csv", "sample_submission.csv", "answers.csv"}
TRAIN, TEST = 70, 30  # in mnist.npz; together they are split 60 to 40


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    path = tmp_path / "there" / "mnist.npz"
    path.parent.mkdir()
    np.savez(path, **mnist_arrays(TRAIN, TEST))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "input"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != CACHE}


def rehearse(mnist: Path, folder: Path, seed: int = 0) -> dict[str, bytes]:
    get_rehearsal("mnist", folder=folder, from_path=mnist, seed=seed)
    return contents(folder)


def test_the_files_hold_every_image_once(mnist: Path, folder: Path) -> None:
    rehearse(mnist, folder)
    splits = load(folder)
    assert (len(splits.train), len(splits.test)) == (60, 40)
    assert splits.test.labels is None
    assert splits.train.labels is not None
    answers = read(folder / "answers.csv")
    assert answers.ids.tolist() == splits.test.ids.tolist() == list(range(1, 41))

    arrays = mnist_arrays(TRAIN, TEST)
    known = {
        image.tobytes(): int(label)
        for kind in ("train", "test")
        for image, label in zip(arrays[f"x_{kind}"], arrays[f"y_{kind}"], strict=True)
    }
    written = np.concatenate([splits.train.images, splits.test.images])
    labels = [*splits.train.labels.tolist(), *answers.labels.tolist()]
    assert {image.tobytes() for image in written} == set(known)
    assert [known[image.tobytes()] for image in written] == labels
    sample = read(folder / "sample_submission.csv")
    assert sample.ids.tolist() == answers.ids.tolist()
    assert not sample.labels.any()


def test_the_format_is_the_competitions(mnist: Path, folder: Path, tmp_path: Path) -> None:
    written = rehearse(mnist, folder)
    splits = load(folder)
    assert splits.train.labels is not None
    pixels = splits.train.images.reshape(60, -1)
    header = "label," + ",".join(f"pixel{i}" for i in range(784))
    rows = np.column_stack([splits.train.labels, pixels]).tolist()
    expected = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    assert written["train.csv"].decode() == expected
    competition = contents(write_competition(tmp_path / "competition"))
    for name, content in competition.items():
        assert written[name].split(b"\n")[0] == content.split(b"\n")[0]


def test_the_same_seed_gives_the_same_bytes(mnist: Path, tmp_path: Path) -> None:
    first, again, other = (rehearse(mnist, tmp_path / f"{i}", i % 2) for i in (0, 2, 1))
    assert set(first) == FILES | {MARKER}
    assert first == again
    for name in FILES - {"sample_submission.csv"}:
        assert first[name] != other[name]


def test_it_is_marked_as_no_competition_data(mnist: Path, folder: Path, tmp_path: Path) -> None:
    rehearse(mnist, folder)
    splits = load(folder)
    assert splits.source == "rehearsal"
    assert not splits.is_competition
    assert get("auto", folder=folder, environment={}).kept
    copied = get("auto", folder=tmp_path / "copy", from_path=folder, environment={})
    assert copied.splits.source == "rehearsal"
    with pytest.raises(InputError, match="no credentials for Kaggle"):
        get("kaggle", folder=folder, environment={})


def test_as_large_as_the_competitions_it_is_none(
    mnist: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaggle_digits.datasets.kaggle_csv.COMPETITION_TEST_ROWS", 40)
    rehearse(mnist, folder)
    assert load(folder).source == "rehearsal"


def test_again_is_kept_and_other_data_replaces_all_of_it(
    mnist: Path, folder: Path, tmp_path: Path
) -> None:
    before = rehearse(mnist, folder)
    assert get_rehearsal("mnist", folder=folder, from_path=mnist, seed=0).kept
    assert contents(folder) == before
    obtained = get_rehearsal("auto", folder=folder, from_path=mnist, seed=1)
    assert not obtained.kept
    assert not obtained.moved_aside
    assert contents(folder) != before
    path = write_competition_zip(tmp_path / "new.zip")
    assert not get("auto", folder=folder, from_path=path, environment={}).moved_aside
    assert set(contents(folder)) == {"digit-recognizer.zip", MARKER}


def test_files_of_yours_are_moved_aside(mnist: Path, folder: Path) -> None:
    write_competition(folder)
    (folder / "answers.csv").write_text("mine")
    mine = contents(folder)
    obtained = get_rehearsal("mnist", folder=folder, from_path=mnist, seed=0)
    assert {path.name for path in obtained.moved_aside} == {f"{name}.replaced" for name in FILES}
    now = contents(folder)
    for name, content in mine.items():
        assert now[f"{name}.replaced"] == content
    assert load(folder).source == "rehearsal"


def test_a_full_disk_changes_nothing(
    mnist: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(write_competition(folder))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(OutsideError, match="no space to write"):
        get_rehearsal("mnist", folder=folder, from_path=mnist, seed=0)
    assert contents(folder) == before


def test_what_cannot_be_rehearsed(mnist: Path, folder: Path, tmp_path: Path) -> None:
    cifar, competition = write_cifar10(tmp_path / "cifar"), write_competition(tmp_path / "digits")
    for path, source, problem in (
        (
            cifar,
            "cifar10",
            r"images of shape \(32, 32, 3\) with the classes airplane, automobile, bird, …",
        ),
        (competition, "auto", "holds csv data, whose test images have no labels"),
        (mnist, "cifar10", "holds data of another source, mnist"),
        (tmp_path / "nosuch", "auto", "no such file or folder"),
    ):
        with pytest.raises(InputError, match=problem):
            get_rehearsal(source, folder=folder, from_path=path, seed=0)
    assert not folder.exists()
    before = contents(mnist.parent)
    with pytest.raises(InputError, match=r"Choose another folder .* --input rehearsal"):
        get_rehearsal("auto", folder=mnist.parent, from_path=mnist, seed=0)
    assert contents(mnist.parent) == before


def test_the_command_line(mnist: Path, tmp_path: Path) -> None:
    arguments = ("data", "get", "--source", "mnist", "--from", mnist, "--as")
    got = product.call(*arguments, "kaggle", "--seed", "3", cwd=tmp_path).stdout
    assert f"input: rehearsal data, 60 train and 40 test images ({mnist})" in got
    assert "`submit` rejects CSVs made from it" in got
    assert "evaluate CSV --labels input/answers.csv" in got
    assert contents(tmp_path / "input") == rehearse(mnist, tmp_path / "other", seed=3)

    for command, code in (("--if-possible", 0), ("--dry-run", 2)):
        submit = ("submit", "input/answers.csv", command)
        done = product.call(*submit, cwd=tmp_path, code=code)
        text = done.stdout + done.stderr
        assert "is not for the competition: input holds a rehearsal" in text
        assert "evaluate input/answers.csv --labels input/answers.csv" in text

    refused = {
        ("--as", "csv"): "received --as csv. Expected --as kaggle",
        ("--seed", "1"): "received --seed without --as",
        ("--as", "kaggle"): "received no --from",
        ("--as", "kaggle", "--force", "--from", mnist): "received --force",
    }
    for options, problem in refused.items():
        done = product.call("data", "get", *options, cwd=tmp_path, code=2)
        assert problem in done.stderr


def test_a_csv_made_from_a_rehearsal_is_not_pushed_with_other_data(
    tmp_path: Path,
) -> None:
    """Its rows and ids are the competition's, so the run that made it must tell."""
    row = ",".join("0" * 784)
    write_competition(tmp_path / "input")
    header = ",".join(f"pixel{i}" for i in range(784))
    (tmp_path / "input" / "test.csv").write_text(f"{header}\n" + f"{row}\n" * 28_000)
    run = tmp_path / "runs" / "rehearsed"
    run.mkdir(parents=True)
    csv = "ImageId,Label\n" + "".join(f"{i},7\n" for i in range(1, 28_001))
    (run / "submission.csv").write_text(csv)
    (tmp_path / "mine.csv").write_text(csv)
    settings: dict[str, Any] = {"recipe": "bn20", "source": "rehearsal", "folds": 1, "seeds": 1}
    settings |= {"training": {"epochs": 1}, "test_fingerprint": "another"}
    description = {"state": "finished", "started": "2026-01-01", "settings": settings}
    (run / "run.json").write_text(json.dumps(description))
    submit = ("submit", "mine.csv", "--dry-run")
    done = product.call(*submit, cwd=tmp_path, code=2)
    assert "the run runs/rehearsed made it from rehearsal data" in done.stderr

    settings["test_fingerprint"] = load(tmp_path / "input").test.fingerprint
    (run / "run.json").write_text(json.dumps(description))
    assert "To submit it:" in product.call(*submit, cwd=tmp_path).stdout
