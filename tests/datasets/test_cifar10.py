import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import runs
from kaggle_digits.datasets import get, load, unpickling
from kaggle_digits.datasets.cache import FOLDER as CACHE
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.datasets.markers import NAME as MARKER
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find
from tests import product, untrained
from tests.helpers import (
    CIFAR10_NAMES,
    cifar10_arrays,
    cifar10_files,
    mnist_arrays,
    python2_pickle,
    write_cifar10,
    write_cifar10_archive,
)

SIZES = (20, 20, 20, 20, 20, 10)
FOLDER = "cifar-10-batches-py"
BATCH = "data_batch_3"


def files_in(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and CACHE not in path.parts)
    return {path.relative_to(folder).as_posix() for path in paths}


def placed() -> set[str]:
    return {f"{FOLDER}/{name}" for name in cifar10_files()}


def assert_cifar10(splits: Splits, sizes: tuple[int, ...] = SIZES) -> None:
    *train, test = cifar10_arrays(sizes)
    assert splits.source == "cifar10"
    assert not splits.is_competition
    for split, batches in ((splits.train, train), (splits.test, [test])):
        rows = np.concatenate([data for data, _ in batches])
        assert split.images.shape == (len(rows), 32, 32, 3)
        assert split.images.dtype == np.uint8
        for channel in range(3):
            plane = rows[:, 1024 * channel : 1024 * (channel + 1)].reshape(-1, 32, 32)
            np.testing.assert_array_equal(split.images[..., channel], plane)
        assert split.labels is not None
        assert split.labels.dtype == np.uint8
        assert split.labels.tolist() == [label for _, labels in batches for label in labels]
        np.testing.assert_array_equal(split.ids, np.arange(1, len(rows) + 1))
        assert split.class_names == CIFAR10_NAMES


def write_batch(folder: Path, content: bytes, name: str = BATCH) -> Path:
    write_cifar10(folder)
    path = folder / FOLDER / name
    path.write_bytes(content)
    return path


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


# ------------------------------------------------------------------------------------- the files


def test_these_files_are_what_python_itself_reads() -> None:
    content = cifar10_files()[BATCH]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's old module names
        theirs = pickle.loads(content, encoding="bytes")  # noqa: S301 - of our own making
    ours = unpickling.read_pickle(content)
    np.testing.assert_array_equal(ours.pop(b"data"), theirs.pop(b"data"))
    assert ours == theirs
    assert content.startswith(b"\x80\x02}q\x01(U\x0bbatch_labelq\x02")  # as the original does


def test_folder(tmp_path: Path) -> None:
    assert_cifar10(load(write_cifar10(tmp_path)))


def test_the_folder_of_batches_itself(tmp_path: Path) -> None:
    assert_cifar10(load(write_cifar10(tmp_path) / FOLDER))


def test_batches_of_any_size(tmp_path: Path) -> None:
    sizes = (1, 300, 12, 7, 1, 260)
    assert_cifar10(load(write_cifar10(tmp_path, sizes)), sizes)


def test_columns_first_in_memory(tmp_path: Path) -> None:
    data, labels = cifar10_arrays(SIZES)[2]
    content = python2_pickle({b"labels": labels, b"data": data})
    as_fortran = python2_pickle({b"labels": labels, b"data": data.T.reshape(data.shape)})
    at = as_fortran.index(b"b\x89T") + 1
    write_batch(tmp_path, content)
    plain = load(tmp_path).train.fingerprint
    write_batch(tmp_path, as_fortran[:at] + b"\x88" + as_fortran[at + 1 :])
    assert load(tmp_path).train.fingerprint == plain


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"])
def test_archive(tmp_path: Path, name: str, prefix: str) -> None:
    write_cifar10_archive(tmp_path / "input" / name, prefix)
    assert_cifar10(load(tmp_path / "input"))


# ------------------------------------------------------------------------------- what is in them


def batch(**changes: Any) -> bytes:
    data, labels = cifar10_arrays(SIZES)[2]
    values = {"labels": labels, "data": data, **changes}
    return python2_pickle({name.encode(): value for name, value in values.items()})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (batch(data=[1, 2]), "received no array as data. Expected uint8 of shape (n, 3072)"),
        (batch(data=np.zeros((20, 784), np.uint8)), "received shape (20, 784) as data"),
        (batch(labels=[1] * 19), "received 19 labels for 20 images"),
        (batch(labels=b"1" * 20), "received no list of labels for 20 images"),
        (batch(labels=[1] * 19 + [10]), "received the label 10. Expected a whole number from 0"),
        (batch(labels=[1] * 19 + [-1]), "received the label -1. Expected"),
        (batch(labels=[1] * 19 + [b"7"]), "received the label bytes. Expected"),
        (batch(labels=[[]] * 20), "received the label list. Expected"),
        (python2_pickle({b"fine_labels": [1], b"data": b""}), "received no array as data"),
    ],
)
def test_batches_of_something_else(tmp_path: Path, content: bytes, problem: str) -> None:
    path = write_batch(tmp_path, content)
    assert f"{path}: {problem}" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([b"cat"] * 10, "received 10 names as label_names, 1 of them distinct"),
        ([b"%d" % i for i in range(9)], "received 9 names as label_names"),
        ([b"%d" % i for i in range(100)], "received 100 names"),
        ([*(b"%d" % i for i in range(9)), b"\x1b[2J"], "9 of them distinct and printable"),
        ([*(b"%d" % i for i in range(9)), b"\xff"], "9 of them distinct"),
        ([*(b"%d" % i for i in range(9)), b" "], "9 of them distinct"),
        ([*(b"%d" % i for i in range(9)), b"x" * 41], "9 of them distinct"),
        ([*(b"%d" % i for i in range(9)), 9], "9 of them distinct"),
        (b"cat", "received no list as label_names"),
    ],
)
def test_class_names(tmp_path: Path, names: Any, problem: str) -> None:
    path = write_batch(tmp_path, python2_pickle({b"label_names": names}), "batches.meta")
    message = message_of(tmp_path)
    assert f"{path}: " in message
    assert problem in message
    assert "\x1b" not in message


def test_a_missing_batch(tmp_path: Path) -> None:
    write_batch(tmp_path, b"").unlink()
    message = message_of(tmp_path)
    assert f"but lacks {FOLDER}/{BATCH}. Expected 7 files. Take a good copy" in message


# ------------------------------------------------------------------------------------ getting it


@pytest.mark.parametrize("where", [".", FOLDER, f"{FOLDER}/test_batch"])
def test_get_from_a_folder(tmp_path: Path, where: str) -> None:
    there, folder = write_cifar10(tmp_path / "there"), tmp_path / "input"
    for kept in (False, True):
        obtained = get("cifar10", folder=folder, from_path=there / where, environment={})
        assert obtained.kept is kept
        assert_cifar10(obtained.splits)
    assert files_in(folder) == placed() | {MARKER}
    assert load(folder).source == "cifar10"
    assert get("cifar10", folder=folder, environment={}).kept


def test_get_from_an_archive_of_any_name(tmp_path: Path) -> None:
    path, folder = write_cifar10_archive(tmp_path / "my cifar (1).tgz"), tmp_path / "input"
    assert_cifar10(get("auto", folder=folder, from_path=path, environment={}).splits)
    assert files_in(folder) == {"cifar-10-python.tar.gz", MARKER}


def test_the_folder_itself_as_origin_is_kept(tmp_path: Path) -> None:
    for folder in (write_cifar10(tmp_path), tmp_path / FOLDER):
        before = files_in(folder)
        assert get("auto", folder=folder, from_path=folder, environment={}).kept
        assert files_in(folder) == before


def test_it_gives_way_and_yours_is_moved_aside(tmp_path: Path) -> None:
    folder, mnist = tmp_path / "input", tmp_path / "mnist.npz"
    np.savez(mnist, **mnist_arrays())
    get("auto", folder=folder, from_path=write_cifar10(tmp_path / "there"), environment={})
    get("mnist", folder=folder, from_path=mnist, environment={})
    assert files_in(folder) == {"mnist.npz", MARKER}
    assert not (folder / FOLDER).exists()

    mine = tmp_path / "mine"
    write_cifar10(mine)
    (mine / FOLDER / "readme.html").touch()
    obtained = get("mnist", folder=mine, from_path=mnist, environment={})
    assert len(obtained.moved_aside) == 7
    moved = {f"{name}.replaced" for name in placed()}
    assert files_in(mine) == {"mnist.npz", MARKER, f"{FOLDER}/readme.html"} | moved


def test_without_a_path_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--from PATH .*\(cifar-10-python\.tar\.gz, or a folder"):
        get("cifar10", folder=tmp_path, environment={})


# ------------------------------------------------------------------------------ the command line


def test_the_command_line(tmp_path: Path) -> None:
    archive = write_cifar10_archive(tmp_path / "cifar-10-python.tar.gz")
    arguments = ("data", "get", "--source", "cifar10", "--from")
    got = product.call(*arguments, archive, cwd=tmp_path).stdout
    assert "cifar10 data, 100 train and 10 test images" in got
    checked = product.call("data", "check", cwd=tmp_path).stdout.splitlines()
    assert checked[2].strip() == "airplane:10 automobile:10 bird:10 cat:10 deer:10"
    assert checked[3].strip() == "dog:10 frog:10 horse:10 ship:10 truck:10"

    wrong = product.call(*arguments, tmp_path / "nosuch", cwd=tmp_path, code=2).stderr
    assert "no such file or folder. Expected train.csv and test.csv" in wrong


def test_recipes_for_digits_refuse_these_images(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "input")
    refusal = "takes images of (28, 28, 1); the data has (32, 32, 3). Choose a recipe"
    for command in ("train", "cv"):
        done = product.call(command, "--recipe", "bn20", cwd=tmp_path, code=2)
        assert f"Error: recipe 'bn20' {refusal}" in done.stderr
    assert not (tmp_path / "runs").exists()

    settings = runs.Settings(
        command="train",
        recipe="bn20",
        training=find("bn20").training,
        folds=1,
        seeds=1,
        seed=0,
        validation_split=0.0,
        limit=None,
        source="mnist",
        train_fingerprint="",
        test_fingerprint="",
        backend="tensorflow",
    )
    names = tuple("0123456789")
    with runs.open_for_training(tmp_path / "run", settings, class_names=names, command="") as run:
        run.update(state="finished")
    done = product.call("predict", "run", cwd=tmp_path, code=2)
    assert refusal in done.stderr


def test_training_evaluating_and_predicting_name_the_classes(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "input")
    with untrained.training_takes_no_time():
        trained = product.call(
            "train", "--recipe", "cifar-simple", "--epochs", "1", "--run", "run", cwd=tmp_path
        ).stdout
        assert "errors in 20 images" in trained  # of 100, held out
        assert "errors in 10 images" in trained  # the test batch, whose labels are known
        evaluated = product.call("evaluate", "run", cwd=tmp_path).stdout
        for name in load(tmp_path / "input").train.class_names:
            assert re.search(rf"^{name} ", evaluated, re.MULTILINE)
        shown = product.call(
            "evaluate", "run", "--show", "1", "--split", "test", cwd=tmp_path
        ).stdout
        assert re.search(r"^ *airplane  0\.\d{4}", shown, re.MULTILINE)
        product.call("predict", "run", "--submission", "a.csv", cwd=tmp_path)
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "run/submission.csv").read_bytes()


@pytest.mark.slow  # the test above is the same without training
def test_training_on_these_images_and_predicting_with_the_saved_model(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "input")
    train = ("train", "--recipe", "cifar-simple", "--epochs", "1", "--run", "run")
    product.call(*train, cwd=tmp_path)
    product.call("predict", "run", "--submission", "a.csv", cwd=tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "run/submission.csv").read_bytes()
