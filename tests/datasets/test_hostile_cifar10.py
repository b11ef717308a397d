"""CIFAR-10 from others: pickles that would run code, archives that would escape."""

import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.datasets import cifar10, get, load, reading, unpickling
from tests.datasets.test_cifar10 import (
    BATCH,
    FOLDER,
    assert_cifar10,
    message_of,
    write_batch,
)
from tests.helpers import (
    cifar10_files,
    python2_pickle,
    write_cifar10_archive,
)

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
