"""Only a cache of exactly this input is used; any other is read and written again."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.datasets import kaggle_csv, load
from kaggle_digits.datasets.dataset import Splits
from tests.helpers import write_competition

Arrays = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "input", train=12, test=5)


def kept(folder: Path, role: str) -> Path:
    (path,) = (folder / ".cache").glob(f"{role}-*.npz")
    return path


def arrays_of(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return dict(arrays)


def assert_healed(folder: Path, expected: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the right images, and then from the cache."""
    for _ in range(2):
        splits = load(folder)
        assert splits.train.fingerprint == expected.train.fingerprint
        assert splits.test.fingerprint == expected.test.fingerprint
        monkeypatch.setattr(kaggle_csv, "parse", None)


def changed(**values: Any) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, **values}


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: array for key, array in arrays.items() if key != name}


def dark(arrays: Arrays) -> Arrays:
    return {**arrays, "images": 255 - arrays["images"]}


FAULTS: dict[str, Callable[[Arrays], Arrays]] = {
    "no-images": without("images"),
    "no-labels": without("labels"),
    "no-checksum": without("checksum"),
    "other-names": changed(more=np.zeros(3, np.uint8)),
    "flat": lambda arrays: {**arrays, "images": arrays["images"].reshape(12, 784)},
    "colours": changed(images=np.zeros((12, 32, 32, 3), np.uint8)),
    "no-rows": lambda arrays: {**arrays, "images": arrays["images"][:0]},
    "fewer-rows": lambda arrays: (
        {name: arrays[name][:9] for name in ("images", "labels")} | {"checksum": arrays["checksum"]}
    ),
    "fewer-labels": lambda arrays: {**arrays, "labels": arrays["labels"][:5]},
    "wide-labels": lambda arrays: {**arrays, "labels": arrays["labels"].astype(np.int64)},
    "a-number": changed(images=np.uint8(7)),
    "other-pixels": dark,
    "other-labels": lambda arrays: {**arrays, "labels": arrays["labels"][::-1]},
    "checksum-of-another-kind": changed(checksum=np.zeros((2, 2), np.float32)),
    "objects": changed(images=np.array([{}], object)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_other_arrays_under_the_right_name(fault, folder, monkeypatch):
    expected = load(folder)
    path = kept(folder, "train")
    np.savez(path, **FAULTS[fault](arrays_of(path)))
    assert_healed(folder, expected, monkeypatch)


def test_the_cache_of_another_input_under_the_right_name(folder, tmp_path, monkeypatch):
    expected = load(folder)
    other = write_competition(tmp_path / "other", train=12, test=5, seed=1)
    load(other)
    for role in ("train", "test"):
        kept(folder, role).write_bytes(kept(other, role).read_bytes())
    assert_healed(folder, expected, monkeypatch)


def test_train_and_test_exchanged(folder, monkeypatch):
    expected = load(folder)
    train, test = kept(folder, "train"), kept(folder, "test")
    content = train.read_bytes()
    train.write_bytes(test.read_bytes())
    test.write_bytes(content)
    assert_healed(folder, expected, monkeypatch)


@pytest.mark.parametrize("at", [0, 30, 100, 2000, -30, -3])
def test_a_flipped_byte(at, folder, monkeypatch):
    expected = load(folder)
    path = kept(folder, "train")
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)
    assert_healed(folder, expected, monkeypatch)


def test_something_else_under_the_right_name(folder, monkeypatch):
    expected = load(folder)
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000000,), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = kept(folder, "train")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("images", "labels", "checksum"):
            archive.writestr(f"{name}.npy", array)
    assert_healed(folder, expected, monkeypatch)
    monkeypatch.undo()
    path.unlink()
    path.mkdir()
    assert load(folder).train.fingerprint == expected.train.fingerprint


def test_caches_of_earlier_versions_go(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "train-1-0123.npz").touch()
    load(folder)
    assert [path.name[:8] for path in sorted((folder / ".cache").iterdir())] == [
        "test-2-" + kept(folder, "test").name[7],
        "train-2-",
    ]


def test_a_cache_that_cannot_be_read_or_written(folder):
    expected = load(folder)
    path = kept(folder, "train")
    path.unlink()
    path.symlink_to(folder / "nowhere")
    assert load(folder).train.fingerprint == expected.train.fingerprint
    os.truncate(kept(folder, "test"), 0)
    assert load(folder).test.fingerprint == expected.test.fingerprint
