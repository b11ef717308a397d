import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.datasets import load
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from tests.helpers import idx_bytes, mnist_arrays

NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def write_npz(folder: Path, **changes: Any) -> Path:
    arrays = {**mnist_arrays(), **changes}
    path = folder / "mnist.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def write_idx(folder: Path) -> None:
    for name, array in mnist_arrays().items():
        (folder / NAMES[name]).write_bytes(idx_bytes(array))


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


def assert_mnist(splits: Splits) -> None:
    expected = mnist_arrays()
    assert splits.source == "mnist"
    for split, kind in ((splits.train, "train"), (splits.test, "test")):
        np.testing.assert_array_equal(split.images[..., 0], expected[f"x_{kind}"])
        assert split.labels is not None
        assert split.labels.dtype == np.uint8
        np.testing.assert_array_equal(split.labels, expected[f"y_{kind}"])
        np.testing.assert_array_equal(split.ids, np.arange(1, len(split) + 1))


def test_npz(tmp_path: Path) -> None:
    write_npz(tmp_path)
    assert_mnist(load(tmp_path))


def test_npz_with_wider_labels(tmp_path: Path) -> None:
    write_npz(tmp_path, y_train=mnist_arrays()["y_train"].astype(np.int64))
    assert_mnist(load(tmp_path))


def test_idx(tmp_path: Path) -> None:
    write_idx(tmp_path)
    assert_mnist(load(tmp_path))


def test_idx_gzipped(tmp_path: Path) -> None:
    for name, array in mnist_arrays().items():
        (tmp_path / f"{NAMES[name]}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    assert_mnist(load(tmp_path))


def test_idx_with_dots(tmp_path: Path) -> None:
    for name, array in mnist_arrays().items():
        (tmp_path / NAMES[name].replace("-idx", ".idx")).write_bytes(idx_bytes(array))
    assert_mnist(load(tmp_path))


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "evil",)

    write_npz(tmp_path, y_test=np.array([Hostile()], dtype=object))
    message = message_of(tmp_path)
    assert f"{tmp_path / 'mnist.npz'} (y_test): received an array of" in message
    assert "dtype object, expected shape (10,) and dtype integer" in message
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"y_test": None}, "lacks y_test: it holds x_train, y_train, x_test"),
        ({"x_train": np.zeros((30, 8, 8), np.uint8)}, "shape (30, 8, 8)"),
        ({"x_train": np.zeros((30, 28, 28), np.float32)}, "dtype float32"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "shape (0, 28, 28)"),
        ({"y_train": np.zeros(29, np.uint8)}, "(y_train): received an array of shape (29,)"),
        ({"y_train": np.zeros(30)}, "dtype float64"),
        ({"y_train": np.full(30, 10)}, "labels from 10 to 10. Expected 0 to 9"),
        ({"y_train": np.full(30, -1)}, "labels from -1 to -1. Expected 0 to 9"),
    ],
)
def test_npz_of_something_else(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    write_npz(tmp_path, **changes)
    assert problem in message_of(tmp_path)


def test_broken_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    assert f"{path} is not an .npz file, or is truncated" in message_of(tmp_path)
    path.write_bytes(whole[:300] + b"junk" + whole[304:])
    assert f"cannot read {path}" in message_of(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert f"{path} is not an .npz file" in message_of(tmp_path)


def test_idx_with_a_missing_file(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / NAMES["y_test"]).unlink()
    assert "but lacks t10k-labels-idx1-ubyte" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "begins with no bytes. Expected 00 00 08 03"),
        (b"\0\0\x08\x01", "begins with 00 00 08 01. Expected 00 00 08 03"),
        (b"\0\0\x08\x03\0\0", "begins with 00 00 08 03"),
        (
            idx_bytes(mnist_arrays()["x_train"])[:-1],
            "received 23519 bytes of values. Expected 23520",
        ),
        (idx_bytes(mnist_arrays()["x_train"]) + b"\0", "received 23521 bytes"),
        (idx_bytes(np.zeros((30, 20, 20), np.uint8)), "images of shape (30, 20, 20)"),
        (idx_bytes(np.zeros((31, 28, 28), np.uint8)), "each of 31 images"),
    ],
)
def test_broken_idx(tmp_path: Path, content: bytes, problem: str) -> None:
    write_idx(tmp_path)
    (tmp_path / NAMES["x_train"]).write_bytes(content)
    message = message_of(tmp_path)
    assert NAMES["x_train"] in message
    assert problem in message


def test_broken_gzipped_idx(tmp_path: Path) -> None:
    write_idx(tmp_path)
    path = tmp_path / NAMES["x_train"]
    (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    assert f"{path}.gz is broken" in message_of(tmp_path)


def test_idx_labels_out_of_range(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / NAMES["y_test"]).write_bytes(idx_bytes(np.full(10, 11, np.uint8)))
    assert "labels from 11 to 11. Expected 0 to 9" in message_of(tmp_path)
