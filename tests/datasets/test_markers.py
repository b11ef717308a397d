"""What `data get` notes beside the data, and what of such a note is believed."""

import json
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits import safe_reading
from kaggle_digits.datasets import get, get_rehearsal, load, markers
from kaggle_digits.errors import InputError
from tests.datasets.test_placing import get_from
from tests.helpers import mnist_arrays, write_competition, write_competition_zip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "input"


@pytest.mark.parametrize(
    "source", ["x/../../outside", "../outside", "kaggle", "", 7, None, ["sample"], {"a": 1}]
)
def test_a_note_names_no_source_but_those_that_stand_in(source, folder, tmp_path):
    there = write_competition(tmp_path / "there")
    hashes = {name: safe_reading.sha256_of(there / name) for name in ("train.csv", "test.csv")}
    for note in (
        {"source": source, "files": hashes, "complete": True},
        {"source": source, "test_sha256": hashes["test.csv"], "files": list(hashes)},
    ):
        (there / markers.NAME).write_text(json.dumps(note))
        assert load(there).source == "csv"
        assert get_from(there, folder).source == "csv"
        assert load(folder).source == "csv"
        assert json.loads((folder / markers.NAME).read_text())["source"] == "csv"


def test_a_note_names_no_files_outside(folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    get("sample", folder=folder)
    note = json.loads((folder / markers.NAME).read_text())
    note["files"]["../mine.txt"] = safe_reading.sha256_of(tmp_path / "mine.txt")
    note["files"]["../../etc/passwd"] = "0"
    (folder / markers.NAME).write_text(json.dumps(note))
    get_from(write_competition_zip(tmp_path / "new.zip"), folder)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert "../mine.txt" not in (folder / markers.NAME).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"source": "sample", "files": {"test.csv": [1]}, "complete": true}',
        '{"source": "sample", "files": [["test.csv"]], "test_sha256": "0"}',
        '{"source": "sample", "files": 7}',
        '{"source": "sample", "files": {}}',
        '"text"',
        "\0\xff",
        " " * (2 << 20) + "{}",
    ],
)
def test_a_note_that_is_none_says_nothing(text, folder, tmp_path):
    get("sample", folder=folder)
    (folder / markers.NAME).write_text(text, encoding="latin-1")
    assert load(folder).source == "csv"
    get_from(write_competition_zip(tmp_path / "new.zip", test=9), folder)
    assert len(load(folder).test) == 9


def test_notes_of_earlier_versions_are_understood(folder, tmp_path):
    get("sample", folder=folder)
    note = json.loads((folder / markers.NAME).read_text())
    hashes = note["files"]
    old = {"source": "sample", "test_sha256": hashes["test.csv"], "files": list(hashes)}
    (folder / markers.NAME).write_text(json.dumps(old))
    assert load(folder).source == "sample"
    assert get("sample", folder=folder).kept
    obtained = get("auto", folder=folder, from_path=write_competition_zip(tmp_path / "a.zip"))
    assert obtained.moved_aside == ()
    assert {path.name for path in folder.iterdir()} == {
        "digit-recognizer.zip",
        markers.NAME,
        ".cache",
    }


def test_the_competition_is_known_by_its_rows_whatever_a_note_says(folder, tmp_path):
    mnist = tmp_path / "mnist.npz"
    np.savez(mnist, **mnist_arrays(70, 30))
    get_rehearsal("mnist", folder=folder, from_path=mnist, seed=0)
    note = json.loads((folder / markers.NAME).read_text())
    (folder / markers.NAME).write_text(json.dumps(note | {"source": "kaggle"}))
    assert not load(folder).is_competition
    with pytest.raises(InputError, match="no credentials for Kaggle"):
        get("kaggle", folder=folder, environment={})
