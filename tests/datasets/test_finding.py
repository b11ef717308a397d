"""Which files count: zips of folders and files, and names that browsers changed."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.datasets import get, load
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.datasets.naming import usual_name
from kaggle_digits.errors import InputError
from tests.helpers import (
    HEADER,
    competition_files,
    csv_text,
    idx_bytes,
    labels,
    mnist_arrays,
    write_competition,
    write_competition_zip,
)

FILES = competition_files(60, 20)
GRID = "label," + ",".join(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))


def zip_of(members: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> Splits:
    return load(write_competition(tmp_path_factory.mktemp("expected")))


def assert_same(splits: Splits, expected: Splits) -> None:
    assert splits.source == expected.source
    assert splits.train.fingerprint == expected.train.fingerprint
    assert splits.test.fingerprint == expected.test.fingerprint


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


def got_from(path: Path, folder: Path, source: str = "auto") -> Splits:
    """Get what is at ``path`` into ``folder``, and return what is then read there."""
    get(source, folder=folder, from_path=path, environment={})
    return load(folder)


# ------------------------------------------------------------------------------------------ zips


@pytest.mark.parametrize(
    "members",
    [
        {f"digit-recognizer/{name}": text for name, text in FILES.items()},
        {f"a/b/{name}": text for name, text in FILES.items()},
        {f"data/{name}": text for name, text in FILES.items()}
        | {"data/": "", "__MACOSX/data/._train.csv": "x", "__MACOSX/._data": "x"},
        {**FILES, "._train.csv": "x", ".DS_Store": "x", "old/train.csv": "x", "old/test.csv": "x"},
        {"train/train.csv": FILES["train.csv"], "test/test.csv": FILES["test.csv"]},
        {"Train.CSV": FILES["train.csv"], "test (1).csv": FILES["test.csv"]},
        {name: zip_of({name.removesuffix(".zip"): FILES[name.removesuffix(".zip")]})
         for name in ("train.csv.zip", "test.csv.zip")},
        {f"x/{name}.gz": gzip.compress(FILES[name].encode()) for name in FILES},
        {"digit-recognizer\\": ""}
        | {f"digit-recognizer\\{name}": text for name, text in FILES.items()},
    ],
    ids=[
        "folder", "folders", "macos", "beside-others", "apart", "renamed", "zips", "gzips",
        "backslashes",
    ],
)  # fmt: skip
def test_zips_of_the_competition(members, tmp_path, expected):
    path = write(tmp_path / "digit-recognizer.zip", zip_of(members))
    assert_same(load(tmp_path), expected)
    assert_same(got_from(path, tmp_path / "input"), expected)
    assert (tmp_path / "input" / "digit-recognizer.zip").read_bytes() == path.read_bytes()


def test_a_zip_without_a_file_or_with_several_says_so(tmp_path):
    path = tmp_path / "digit-recognizer.zip"
    twice = {f"{folder}/{name}": text for name, text in FILES.items() for folder in ("a", "b")}
    for members, problem in (
        ({"x/train.csv": "x"}, f"{path} holds x/train.csv but lacks test.csv. Expected 2 files."),
        ({"__MACOSX/train.csv": "x"}, f"{path} lacks train.csv and test.csv: it holds nothing."),
        (twice, f"{path} holds several data sets: a/train.csv, b/train.csv. Expected one"),
        (
            {"test.csv": "x", "train (1).csv": "x", "train (2).csv": "x"},
            "holds train (1).csv and train (2).csv. Expected one of them: rename the right one",
        ),
        ({"mnist.npz": "x"}, "it holds mnist.npz"),
    ):
        write(path, zip_of(members))
        assert problem in message_of(tmp_path)


def test_a_member_that_occurs_twice_is_not_chosen(tmp_path):
    path = tmp_path / "digit-recognizer.zip"
    path.write_bytes(zip_of(FILES))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("train.csv", "label\n")
    assert "holds train.csv and train.csv. Expected one of them" in message_of(tmp_path)


# ----------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("Train.csv", "train.csv"),
        ("train (1).csv", "train.csv"),
        ("train(12).CSV", "train.csv"),
        ("train copy.csv", "train.csv"),
        ("train copy 2.csv", "train.csv"),
        ("train - Copy (3).csv", "train.csv"),
        ("train.csv (1).zip", "train.csv.zip"),
        ("cifar-10-python.tar (2).gz", "cifar-10-python.tar.gz"),
        ("training.csv", "training.csv"),
        ("train2.csv", "train2.csv"),
        ("traincopy.csv", "traincopy.csv"),
    ],
)
def test_what_a_file_was_called_before(name, usual):
    assert usual_name(name) == usual


@pytest.mark.parametrize(
    "names",
    [
        {"train.csv": "Train.csv", "test.csv": "test (1).csv"},
        {"train.csv": "train.csv", "test.csv": "TEST.csv"},
        {"train.csv": "train copy.csv", "test.csv": "test - Copy (2).csv"},
    ],
)
def test_renamed_files_are_found(names, tmp_path, expected):
    for name, renamed in names.items():
        write(tmp_path / "there" / renamed, FILES[name])
    assert_same(load(tmp_path / "there"), expected)
    assert_same(got_from(tmp_path / "there" / names["train.csv"], tmp_path / "input"), expected)
    assert {path.name for path in (tmp_path / "input").glob("*.csv")} == {"train.csv", "test.csv"}


@pytest.mark.parametrize(
    "name",
    [
        "digit-recognizer (1).zip",
        "digit-recognizer.ZIP",
        "archive.zip",
        "digit-recognizer copy.zip",
    ],
)
def test_renamed_zips_are_found(name, tmp_path, expected):
    write_competition_zip(tmp_path / name)
    write(tmp_path / "photos.zip", zip_of({"a.png": "x"}))
    write(tmp_path / "broken.zip", b"PK\3\4junk")
    assert_same(load(tmp_path), expected)


def test_zips_of_single_files_are_found(tmp_path, expected):
    for name in ("train.csv", "test.csv"):
        write(tmp_path / "there" / f"{name}.zip", zip_of({name: FILES[name]}))
    assert_same(load(tmp_path / "there"), expected)
    assert_same(got_from(tmp_path / "there" / "test.csv.zip", tmp_path / "input"), expected)


def test_a_named_file_counts_before_the_exact_name(tmp_path, expected):
    write_competition(tmp_path / "there", seed=7)
    write(tmp_path / "there" / "train (1).csv", FILES["train.csv"])
    splits = got_from(tmp_path / "there" / "train (1).csv", tmp_path / "input")
    assert splits.train.fingerprint == expected.train.fingerprint
    assert splits.test.fingerprint != expected.test.fingerprint


def test_exact_names_count_before_renamed_ones(tmp_path, expected):
    write_competition_zip(tmp_path / "digit-recognizer.zip")
    write_competition_zip(tmp_path / "digit-recognizer (1).zip", seed=1)
    write_competition_zip(tmp_path / "archive.zip", seed=2)
    for name in ("train", "test"):
        write(tmp_path / f"{name} (1).csv", "x")
    assert_same(load(tmp_path), expected)


def test_where_several_may_be_meant_the_message_names_them(tmp_path):
    write_competition_zip(tmp_path / "a.zip")
    write_competition_zip(tmp_path / "b.zip")
    message = message_of(tmp_path)
    assert f"{tmp_path} holds a.zip, b.zip, and each of them holds data" in message
    assert "rename the right one to digit-recognizer.zip" in message

    write(tmp_path / "files" / "train (1).csv", "x")
    write(tmp_path / "files" / "train (2).csv", "x")
    write(tmp_path / "files" / "test.csv", "x")
    assert "holds train (1).csv and train (2).csv. Expected one" in message_of(tmp_path / "files")


def test_what_is_there_instead_is_named(tmp_path):
    for name in ("notes.txt", "photos.zip", "train.csv.part"):
        write(tmp_path / name, "x")
    message = message_of(tmp_path)
    assert f"{tmp_path} holds no data that kaggle-digits can read." in message
    assert "It holds notes.txt, photos.zip, train.csv.part." in message
    assert f"{tmp_path / 'photos.zip'} is broken: File is not a zip file." in message
    assert f"Put data there with: kaggle-digits data get --input {tmp_path}" in message

    write_competition(tmp_path / "digit-recognizer")
    (tmp_path / "photos.zip").unlink()
    name_it = f"{tmp_path / 'digit-recognizer'} holds data: give that folder instead."
    assert name_it in message_of(tmp_path)
    with pytest.raises(InputError, match="give that folder instead"):
        got_from(tmp_path, tmp_path / "input")
    with pytest.raises(InputError, match=r"Rename it to one of train\.csv, test\.csv, mnist_tr"):
        got_from(write(tmp_path / "digits.csv", "x"), tmp_path / "input")


# ----------------------------------------------------------------------------------------- MNIST

IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def idx_files() -> dict[str, bytes]:
    return {IDX_NAMES[key]: idx_bytes(array) for key, array in mnist_arrays().items()}


def mnist_csv(part: str, header: str | None) -> str:
    arrays = mnist_arrays()
    pixels = arrays[f"x_{part}"].reshape(-1, 784)
    text = csv_text("", np.column_stack([labels(len(pixels)), pixels]))
    return text[1:] if header is None else header + text


def assert_mnist(splits: Splits) -> None:
    assert splits.source == "mnist"
    for part, split in (("train", splits.train), ("test", splits.test)):
        np.testing.assert_array_equal(split.images[..., 0], mnist_arrays()[f"x_{part}"])
        np.testing.assert_array_equal(split.labels, mnist_arrays()[f"y_{part}"])


@pytest.mark.parametrize(
    "members",
    [
        idx_files(),
        {f"{name}.gz": gzip.compress(content) for name, content in idx_files().items()},
        # As Kaggle's own: each file by itself, and once more in a folder of its name.
        {f"{name}/{name}": content for name, content in idx_files().items()}
        | {name.replace("-idx", ".idx"): content for name, content in idx_files().items()},
        {f"{name}/{name}": content for name, content in idx_files().items()},
        {"mnist_train.csv": mnist_csv("train", GRID), "mnist_test.csv": mnist_csv("test", GRID)},
        {
            "x/mnist_train.csv": mnist_csv("train", None),
            "x/mnist_test.csv": mnist_csv("test", None),
        },
    ],
    ids=["idx", "idx-gz", "idx-twice", "idx-folders", "csv", "csv-folder"],
)
def test_zips_of_mnist(members, tmp_path):
    path = write(tmp_path / "archive.zip", zip_of(members))
    assert_mnist(load(tmp_path))
    assert_mnist(got_from(path, tmp_path / "input", "mnist"))
    assert (tmp_path / "input" / "mnist.zip").exists()
    with pytest.raises(InputError, match="mnist with 30 train and 10 test images"):
        got_from(path, tmp_path / "other", "kaggle")


def test_a_zip_of_mnist_that_lacks_a_file_names_it(tmp_path):
    members = idx_files()
    del members["t10k-labels-idx1-ubyte"]
    write(tmp_path / "mnist.zip", zip_of(members))
    message = message_of(tmp_path)
    assert "but lacks t10k-labels-idx1-ubyte. Expected 4 files. Take a good copy with" in message


@pytest.mark.parametrize(
    "header",
    [GRID, None, HEADER, "label," + ",".join(f"pixel{i}" for i in range(1, 785))],
    ids=["grid", "none", "competition", "from-one"],
)
def test_mnist_as_csv(header, tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"mnist_{part}.csv", mnist_csv(part, header))
    assert_mnist(load(tmp_path))
    assert len(list((tmp_path / ".cache").glob("*.npz"))) == 2
    assert_mnist(load(tmp_path))
    (tmp_path / "mnist_test.csv").unlink()
    assert "holds mnist_train.csv but lacks mnist_test.csv" in message_of(tmp_path)


def test_mnists_csvs_under_the_competitions_names(tmp_path):
    for part, header in (("train", None), ("test", GRID)):
        write(tmp_path / "there" / f"{part}.csv", mnist_csv(part, header))
    message = message_of(tmp_path / "there")
    assert "train.csv, line 1: received 785 numbers without a header" in message
    assert "rename them to mnist_train.csv and mnist_test.csv" in message
    write(tmp_path / "there" / "train.csv", mnist_csv("train", GRID))
    assert "received MNIST's header, label, 1x1, … 28x28" in message_of(tmp_path / "there")
    assert_mnist(got_from(tmp_path / "there", tmp_path / "input", "mnist"))


def test_a_wrong_row_of_headless_mnist_is_named(tmp_path):
    write(tmp_path / "mnist_train.csv", mnist_csv("train", None))
    for text, problem in (
        ("x," + mnist_csv("test", None)[2:], "line 1: received a header with 'x' in column 1"),
        (mnist_csv("test", None)[:-100], "line 10: received"),
    ):
        write(tmp_path / "mnist_test.csv", text)
        assert f"{tmp_path / 'mnist_test.csv'}, {problem}" in message_of(tmp_path)
