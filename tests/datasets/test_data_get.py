import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.datasets import DownloadResult, get, kaggle_csv, load
from kaggle_digits.datasets.cache import FOLDER as CACHE
from kaggle_digits.datasets.markers import NAME as MARKER
from kaggle_digits.errors import InputError
from tests.helpers import mnist_arrays, write_competition, write_competition_zip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "input"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {CACHE}


def get_from(path: Path, folder: Path, source: str = "auto") -> DownloadResult:
    return get(source, folder=folder, from_path=path, environment={})


def write_mnist(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **mnist_arrays())
    return path


def test_auto_takes_the_sample_and_says_so(folder: Path) -> None:
    obtained = get("auto", folder=folder, environment={})
    assert obtained.is_sample
    assert not obtained.kept
    assert names(folder) == {"train.csv", "test.csv", "sample_submission.csv", MARKER}
    again = get("auto", folder=folder, environment={})
    assert again.is_sample
    assert again.kept
    assert get("sample", folder=folder).kept


def test_auto_keeps_what_is_there(folder: Path) -> None:
    write_competition(folder, test=7)
    obtained = get("auto", folder=folder, environment={"KAGGLE_DIGITS_DATA": "elsewhere"})
    assert obtained.kept
    assert not obtained.is_sample
    assert len(obtained.splits.test) == 7


def test_auto_takes_what_the_environment_names(folder: Path, tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "there" / "digit-recognizer.zip")
    obtained = get("auto", folder=folder, environment={"KAGGLE_DIGITS_DATA": str(path)})
    assert obtained.taken_from == path
    assert names(folder) == {"digit-recognizer.zip", MARKER}


def test_auto_complains_about_broken_data_rather_than_replace_it(folder: Path) -> None:
    write_competition(folder)
    (folder / "test.csv").unlink()
    with pytest.raises(InputError, match=r"lacks test\.csv"):
        get("auto", folder=folder, environment={})


def test_from_a_zip_of_any_name(folder: Path, tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "my download (1).zip")
    get_from(path, folder)
    assert (folder / "digit-recognizer.zip").read_bytes() == path.read_bytes()
    assert get_from(path, folder).kept


def test_from_the_competitions_zip(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_csv, "COMPETITION_TEST_ROWS", 20)
    path = write_competition_zip(tmp_path / "digit-recognizer.zip")
    assert get_from(path, folder, "kaggle").splits.is_competition
    assert json.loads((folder / MARKER).read_text())["source"] == "kaggle"
    assert get("kaggle", folder=folder, environment={}).kept


def test_from_a_folder_or_one_of_its_files(folder: Path, tmp_path: Path) -> None:
    there = write_competition(tmp_path / "there")
    get_from(there, folder)
    assert names(folder) == {"train.csv", "test.csv", MARKER}
    get_from(there / "train.csv", tmp_path / "other")
    assert load(tmp_path / "other").train.fingerprint == load(folder).train.fingerprint
    assert names(there) == {"train.csv", "test.csv", "sample_submission.csv"}
    assert not (there / CACHE).exists()  # nothing is written beside the original


def test_from_mnist(folder: Path, tmp_path: Path) -> None:
    path = write_mnist(tmp_path / "there" / "digits.npz")
    assert get_from(path, folder, "mnist").splits.source == "mnist"
    assert get_from(path.parent / "digits.npz", folder).kept
    assert load(folder).source == "mnist"


def test_from_a_folder_with_a_sample_stays_a_sample(folder: Path, tmp_path: Path) -> None:
    get("sample", folder=tmp_path / "sample")
    assert get_from(tmp_path / "sample", folder).is_sample
    assert load(folder).source == "sample"


@pytest.mark.parametrize("kind", ["zip", "folder", "mnist"])
def test_the_sample_gives_way(folder: Path, tmp_path: Path, kind: str) -> None:
    get("sample", folder=folder)
    paths = {
        "zip": write_competition_zip(tmp_path / "a.zip"),
        "folder": write_competition(tmp_path / "there"),
        "mnist": write_mnist(tmp_path / "mnist.npz"),
    }
    obtained = get_from(paths[kind], folder)
    assert not obtained.is_sample
    assert not obtained.moved_aside
    assert load(folder).train.fingerprint == obtained.splits.train.fingerprint
    files = {
        "zip": {"digit-recognizer.zip"},
        "folder": {"train.csv", "test.csv"},
        "mnist": {"mnist.npz"},
    }
    assert names(folder) == files[kind] | {MARKER}


def test_what_get_put_there_gives_way(folder: Path, tmp_path: Path) -> None:
    get_from(write_competition(tmp_path / "there"), folder)
    get_from(write_competition_zip(tmp_path / "new.zip", test=9), folder)
    assert names(folder) == {"digit-recognizer.zip", MARKER}
    get_from(write_competition(tmp_path / "newer", test=8), folder)
    assert names(folder) == {"train.csv", "test.csv", MARKER}
    assert len(load(folder).test) == 8


def test_files_of_yours_are_moved_aside_not_lost(folder: Path, tmp_path: Path) -> None:
    write_competition(folder, train=30)
    mine = (folder / "train.csv").read_bytes()
    obtained = get_from(write_competition_zip(tmp_path / "new.zip", test=9), folder)
    assert {path.name for path in obtained.moved_aside} == {
        "train.csv.replaced",
        "test.csv.replaced",
    }
    assert (folder / "train.csv.replaced").read_bytes() == mine
    assert len(load(folder).test) == 9
    write_competition(folder, train=31)
    obtained = get_from(write_competition(tmp_path / "newer", test=8), folder)
    assert (folder / "train.csv.replaced").read_bytes() == mine
    assert (folder / "train.csv.replaced-1").exists()
    assert len(load(folder).test) == 8


def test_the_sample_never_replaces_other_data(folder: Path) -> None:
    write_competition(folder)
    before = (folder / "train.csv").read_bytes()
    with pytest.raises(InputError, match=r"Choose another folder with --input DIR"):
        get("sample", folder=folder)
    assert (folder / "train.csv").read_bytes() == before


@pytest.mark.parametrize("source", ["auto", "sample"])
def test_a_sample_submission_of_yours_is_moved_aside(folder: Path, source: str) -> None:
    folder.mkdir()
    (folder / "sample_submission.csv").write_text("mine")
    obtained = get(source, folder=folder, environment={})
    assert obtained.moved_aside == (folder / "sample_submission.csv.replaced",)
    assert obtained.moved_aside[0].read_text() == "mine"
    for name in ("train.csv", "test.csv"):
        (folder / name).unlink()
    assert get("sample", folder=folder).moved_aside == ()  # this one is the sample's


def test_files_put_over_the_sample_are_not_the_sample(folder: Path) -> None:
    get("sample", folder=folder)
    write_competition(folder)
    assert load(folder).source == "csv"


def test_a_zip_put_beside_the_sample_counts(folder: Path) -> None:
    get("sample", folder=folder)
    write_competition_zip(folder / "digit-recognizer.zip", test=9)
    obtained = get("auto", folder=folder, environment={})
    assert obtained.kept
    assert len(obtained.splits.test) == 9


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": 1, "test_sha256": 2, "files": 3}'])
def test_a_broken_note_means_nothing(folder: Path, text: str) -> None:
    get("sample", folder=folder)
    (folder / MARKER).write_text(text)
    assert load(folder).source == "csv"


def test_broken_data_replaces_nothing(folder: Path, tmp_path: Path) -> None:
    get("sample", folder=folder)
    before = names(folder)
    path = write_competition_zip(tmp_path / "new.zip")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="is broken"):
        get_from(path, folder)
    assert names(folder) == before
    assert load(folder).source == "sample"


def test_a_failure_while_copying_replaces_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get("sample", folder=folder)
    before = names(folder)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(Exception, match="no space to write"):
        get_from(write_competition(tmp_path / "there"), folder)
    assert names(folder) == before
    assert load(folder).source == "sample"


def test_hostile_members_stay_in_the_zip(folder: Path, tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "new.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../evil", "x")
    get_from(path, folder)
    assert not list(tmp_path.rglob("evil"))


def test_the_folder_itself_as_origin_is_kept(folder: Path) -> None:
    write_competition(folder)
    assert get_from(folder, folder).kept


def test_kaggle_without_a_path_says_what_to_do(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        get("kaggle", folder=folder, environment={})
    message = str(caught.value)
    assert "no credentials for Kaggle" in message
    assert "https://www.kaggle.com/competitions/digit-recognizer/rules" in message
    assert f"kaggle-digits data get --from PATH/digit-recognizer.zip --input {folder}" in message
    with pytest.raises(InputError, match=r"or a folder or zip with MNIST's IDX files"):
        get("mnist", folder=folder, environment={})


def test_wrong_requests(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="received 'cats', expected one of auto, kaggle"):
        get("cats", folder=folder)
    with pytest.raises(InputError, match="no such file or folder"):
        get_from(tmp_path / "none", folder)
    with pytest.raises(InputError, match="takes no files"):
        get_from(tmp_path, folder, "sample")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match="received a folder without data that kaggle-digits can read"
    ):
        get_from(tmp_path / "empty", folder)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        InputError, match="received a file without data that kaggle-digits can read"
    ):
        get_from(tmp_path / "notes.txt", folder)
    there = write_competition(tmp_path / "there")
    with pytest.raises(InputError, match="csv with 60 train and 20 test images"):
        get_from(there, folder, "kaggle")
