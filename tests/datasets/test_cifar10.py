import io
import os
import pickle
import re
import struct
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import runs
from kaggle_digits.datasets import cifar10, get, load, reading, unpickling
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


# --------------------------------------------------------------------------------- hostile pickles


def call(name: str, argument: str, protocol: int = 2) -> bytes:
    """Return a pickle that calls ``name`` (module and function) with one text."""
    text = argument.encode()
    head = b"" if protocol == 0 else b"\x80\x02"
    return head + f"c{name.replace(' ', chr(10))}\n".encode() + b"U" + bytes([len(text)]) + text


def array_pickle(shape: bytes, typed: bytes = b"u1", content: bytes = b"x" * 6144) -> bytes:
    """Return a batch whose array says ``shape`` (instructions) and has a type of its own."""
    whole = python2_pickle({b"data": np.frombuffer(b"x" * 6144, np.uint8).reshape(2, 3072)})
    whole = whole.replace(b"K\x02M\x00\x0c\x86", shape)
    whole = whole.replace(b"U\x02u1", b"U" + bytes([len(typed)]) + typed)
    before = b"T" + struct.pack("<i", 6144) + b"x" * 6144
    return whole.replace(before, b"T" + struct.pack("<i", len(content)) + content)


def nested_key() -> bytes:
    """Return a dictionary whose key takes 2^200 steps to hash."""
    doubling = b"".join(
        b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(200)
    )
    return b"\x80\x02]()q\x00" + doubling + b"e}h\xc8K\x01s."


EVIL = "evil"
SHELL = f"touch {EVIL}"
PYTHON = f"open('{EVIL}', 'w')"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
HOSTILE = {
    "system": (call("os system", SHELL) + b"\x85R.", "the name 'os system'"),
    "posix": (call("posix system", SHELL) + b"\x85R.", "the name 'posix system'"),
    "eval": (call("builtins eval", PYTHON) + b"\x85R.", "the name 'builtins eval'"),
    "python2": (call("__builtin__ eval", PYTHON) + b"\x85R.", "the name '__builtin__ eval'"),
    "dotted": (call("numpy ndarray.__class__", "x") + b"\x85R.", "the name 'numpy ndarray.__c"),
    "codecs": (call("_codecs encode", "x") + b"\x85R.", "the name '_codecs encode'"),
    "numpy": (call("numpy load", EVIL) + b"\x85R.", "the name 'numpy load'"),
    "in a value": (
        b"\x80\x02}(U\x04data" + call("os system", SHELL)[2:] + b"\x85Ru.",
        "the name 'os system'",
    ),
    "in an argument": (
        b"\x80\x02" + RECONSTRUCT + call("os system", SHELL)[2:] + b"\x85RK\0\x85U\x01b\x87R.",
        "the name 'os system'",
    ),
    "instance": (f"(S'{SHELL}'\nios\nsystem\n.".encode(), "the instruction STRING"),
    "instance 2": (b"\x80\x02(U\x01xios\nsystem\n.", "the instruction INST"),
    "object": (call("os system", SHELL) + b"o.", "the name"),
    "new object": (b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.", "the instruction NEWOBJ"),
    "extension": (b"\x80\x02\x82\x01.", "the instruction EXT1"),
    "persistent": (b"\x80\x02U\x01xQ.", "the instruction BINPERSID"),
    "from the stack": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "the instruction SHORT_BINUNI"),
    "objects": (array_pickle(b"K\x02M\x00\x0c\x86", b"O8"), "whose dtype is not uint8"),
    "floats": (array_pickle(b"K\x02M\x00\x0c\x86", b"f8"), "whose dtype is not uint8"),
    "another class": (
        b"\x80\x02" + RECONSTRUCT + b"cnumpy\ndtype\nK\0\x85U\x01b\x87R.",
        "whose dtype is not uint8",
    ),
    "array called": (b"\x80\x02cnumpy\nndarray\n)R.", "whose dtype is not uint8"),
    "text called": (b"\x80\x02U\x01x)R.", "it calls something"),
    "state of a function": (
        b"\x80\x02" + RECONSTRUCT + b"}U\x01xK\x01sb.",
        "it sets the state",
    ),
    "state of a number": (b"\x80\x02K\x01}b.", "it sets the state"),
    "state of an array": (
        b"\x80\x02" + RECONSTRUCT + b"cnumpy\nndarray\nK\0\x85U\x01b\x87R}b.",
        "do not fit together",
    ),
    "huge shape": (array_pickle(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"), "do not fit together"),
    "huge number": (
        array_pickle(b"K\x02\x8a\xfa" + b"\xff" * 249 + b"\x7f\x86"),
        "do not fit together",
    ),
    "negative shape": (
        array_pickle(b"J\xfe\xff\xff\xffJ\x00\xf4\xff\xff\x86"),
        "do not fit together",
    ),
    "empty array": (array_pickle(b"K\0M\x00\x0c\x86", content=b""), "do not fit together"),
    "three dimensions": (array_pickle(b"K\x02K\x60K\x20\x87"), "do not fit together"),
    "short content": (array_pickle(b"K\x02M\x00\x0c\x86", content=b"x"), "do not fit together"),
    "shape in bytes": (array_pickle(b"U\x01xU\x01y\x86"), "do not fit together"),
    "huge memo": (b"\x80\x02}r\xff\xff\xff\xff.", "received no array as data"),
    "unknown memo": (b"\x80\x02h\x07.", "do not fit together"),
    "deep key": (nested_key(), "keys that are not byte strings"),
    "text as key": (b"\x80\x02}X\x04\0\0\0dataK\x01s.", "keys that are not byte strings"),
    "key alone": (b"\x80\x02}(U\x04datau.", "it sets entries"),
    "list for a dictionary": (b"\x80\x02](U\x04dataK\x01u.", "it sets entries"),
    "append to a number": (b"\x80\x02K\x01K\x02a.", "it appends values"),
    "nothing on the stack": (b"\x80\x02.", "do not fit together"),
    "no mark": (b"\x80\x02t.", "do not fit together"),
    "many": (b"\x80\x02" + b"}" * 1_000_001, "more than 1,000,000 instructions"),
    "a list": (b"\x80\x02].", "it does not hold a dictionary"),
    "an array": (
        b"\x80\x02" + RECONSTRUCT + b"cnumpy\nndarray\nK\0\x85U\x01b\x87R.",
        "it does not hold a dictionary",
    ),
    "long text": (b"\x80\x02T\xff\xff\xff\x7fx", "truncated or not a pickle"),
    "negative text": (b"\x80\x02T\xff\xff\xff\xffx", "truncated or not a pickle"),
    "nothing": (b"", "truncated or not a pickle"),
    "web page": (b"<!DOCTYPE html><title>404</title>", "truncated or not a pickle"),
    "noise": (bytes(range(256)), "is not one of CIFAR-10's files"),
}


@pytest.mark.parametrize(("content", "problem"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", ["batches.meta", BATCH])
def test_nothing_in_a_hostile_file_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, problem: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_batch(tmp_path / "input", content, name)
    message = message_of(tmp_path / "input")
    assert message.startswith(str(path))
    if "as data" not in problem or name == BATCH:
        assert problem in message
    assert "with: kaggle-digits data get --from PATH" in message
    assert not list(tmp_path.rglob(EVIL))


def test_what_python_3_writes_to_run_a_command(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / EVIL}",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        write_batch(tmp_path, pickle.dumps({b"data": Hostile()}, protocol))
        assert "Nothing in it was run" in message_of(tmp_path)
    assert not (tmp_path / EVIL).exists()


def test_cut_short_anywhere() -> None:
    content = python2_pickle({b"labels": [1, 2], b"data": np.zeros((2, 3), np.uint8)})
    assert unpickling.read_pickle(content)[b"labels"] == [1, 2]
    for end in range(len(content)):
        with pytest.raises(unpickling.UnpicklingError):
            unpickling.read_pickle(content[:end])


def test_other_bytes_anywhere() -> None:
    """Whatever a flipped byte makes of the file, it is read as data or refused with our words."""
    content = python2_pickle({b"labels": [1, 2], b"data": np.zeros((2, 3), np.uint8)})
    refused = 0
    for at in range(len(content)):
        for value in range(0, 256, 5):
            try:
                unpickling.read_pickle(content[:at] + bytes([value]) + content[at + 1 :])
            except unpickling.UnpicklingError:
                refused += 1
    assert refused > len(content) * 10


def test_a_file_that_is_too_large_is_not_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "MAX_BYTES", 1 << 20)
    path = write_batch(tmp_path, b"")
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    assert f"{path}: received more than 1 MiB" in message_of(tmp_path)


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


# ------------------------------------------------------------------------------ hostile archives


def archive_of(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    """Write an archive with all of CIFAR-10's files but ``BATCH``, then ``members``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in cifar10_files().items():
            if name != BATCH:
                archive.addfile(member_of(f"{FOLDER}/{name}", size=len(data)), io.BytesIO(data))
        for member in members:
            archive.addfile(member, io.BytesIO(content))
    return path


def member_of(name: str, **attributes: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
@pytest.mark.parametrize("target", ["/etc/passwd", f"{FOLDER}/data_batch_1"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    link = member_of(f"{FOLDER}/{BATCH}", type=kind, linkname=target)
    archive_of(tmp_path / "cifar-10-python.tar.gz", link)
    assert f"received {BATCH} as a link or a device" in message_of(tmp_path)


def test_other_members_are_not_looked_at(tmp_path: Path) -> None:
    content = cifar10_files()[BATCH]
    names = (f"../{EVIL}", f"/{FOLDER}/{EVIL}", f"{FOLDER}/../{EVIL}", f"{FOLDER}/{BATCH}")
    path = tmp_path / "input" / "cifar-10-python.tar.gz"
    archive_of(path, *(member_of(name, size=len(content)) for name in names), content=content)
    assert_cifar10(load(path.parent))
    obtained = get("cifar10", folder=tmp_path / "other", from_path=path, environment={})
    assert_cifar10(obtained.splits)
    assert not list(tmp_path.rglob(EVIL))


def test_the_right_name_in_another_folder_is_not_it(tmp_path: Path) -> None:
    content = cifar10_files()[BATCH]
    for name in (BATCH, f"../{FOLDER}/{BATCH}", f"/{FOLDER}/{BATCH}", f"x/{FOLDER}/{BATCH}"):
        member = member_of(name, size=len(content))
        path = archive_of(tmp_path / "cifar-10-python.tar.gz", member, content=content)
        assert f"{path} lacks {BATCH} in a folder {FOLDER}" in message_of(tmp_path)


def test_what_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_cifar10_archive(tmp_path / "input" / "cifar-10-python.tar.gz")
    monkeypatch.setattr(cifar10, "MAX_BYTES", 50_000)
    assert "(data_batch_1): received more than 0 MiB" in message_of(path.parent)
    monkeypatch.setattr(reading, "MAX_BYTES", 2_000_000)
    archive_of(path, member_of("zeros", size=100 << 20), content=bytes(100 << 20))
    message = message_of(path.parent)
    assert path.stat().st_size < 2_000_000
    assert f"{path} unpacks to more than 2,000,000 bytes" in message


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def other_byte(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 255]) + content[5001:]


@pytest.mark.parametrize(
    "damage", [cut, other_byte, lambda _: b"", lambda _: b"<html>", lambda _: b"\x1f\x8b"]
)
def test_broken_archives(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_cifar10_archive(tmp_path / "input" / "cifar-10-python.tar.gz")
    path.write_bytes(damage(path.read_bytes()))
    message = message_of(path.parent)
    assert message.startswith(f"{path} is broken: ")
    assert "Expected a complete .tar.gz file" in message


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
