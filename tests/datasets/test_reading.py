"""Packed files: told by their first bytes, and never more of them in memory than the limit."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kaggle_digits.datasets import load, reading
from kaggle_digits.errors import InputError
from tests.helpers import HEADER, competition_files, write_competition

FILES = competition_files(60, 20)
MB = 1_000_000
LIMIT = 20 * MB
ROW = ("7" + ",0" * 784 + "\n").encode()
BLOCK = ROW * (MB // len(ROW))
HEAD = f"{HEADER}\n".encode()


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


# ------------------------------------------------------------------------------ the first bytes


@pytest.mark.parametrize(
    "pack",
    [
        lambda name, content: gzip.compress(content),  # noqa: ARG005
        zipped,
        lambda name, content: zipped("whatever.txt", content),  # noqa: ARG005
        lambda name, content: gzip.compress(zipped(name, content)),
        lambda name, content: zipped(f"{name}.gz", gzip.compress(content)),
        lambda name, content: zipped(f"{name}.zip", zipped(f"x/{name}", content)),
        lambda name, content: content,  # noqa: ARG005
    ],
    ids=["gzip", "zip", "zip-other-name", "zip-in-gzip", "gzip-in-zip", "zip-in-zip", "text"],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".zip"])
def test_a_file_is_what_its_first_bytes_say(pack, suffix, tmp_path):
    expected = load(write_competition(tmp_path / "plain"))
    (tmp_path / "input").mkdir()
    for name in ("train.csv", "test.csv"):
        content = pack(name, FILES[name].encode())
        (tmp_path / "input" / f"{name}{suffix}").write_bytes(content)
    splits = load(tmp_path / "input")
    assert splits.train.fingerprint == expected.train.fingerprint
    assert splits.test.fingerprint == expected.test.fingerprint


def test_packed_files_that_are_not_read(tmp_path):
    folder = write_competition(tmp_path)
    train = FILES["train.csv"].encode()
    both = io.BytesIO()
    with zipfile.ZipFile(both, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    for content, problem in (
        (
            gzip.compress(gzip.compress(gzip.compress(gzip.compress(train)))),
            "compressed more than 3",
        ),
        (both.getvalue(), "train.csv is a zip that holds a.csv, b.csv. Expected one file, train.c"),
        (zipped("__MACOSX/._train.csv", b"x"), "train.csv is a zip that holds nothing"),
        (b"PK\3\4 and so on", "train.csv is broken: "),
        (zipped("train.csv", train)[:-100], "train.csv is broken: "),
    ):
        (folder / "train.csv").write_bytes(content)
        assert problem in message_of(folder)


def test_a_zip_with_a_password(tmp_path):
    folder = write_competition(tmp_path)
    content = bytearray(zipped("train.csv", FILES["train.csv"].encode()))
    content[6] |= 1  # the flag that a member is encrypted
    content[content.index(b"PK\1\2") + 8] |= 1
    (folder / "train.csv").write_bytes(content)
    assert "is encrypted, password required for extraction" in message_of(folder)


# -------------------------------------------------------------------------------------- the limit


def gzip_of(*blocks: bytes, repeated: bytes = b"", times: int = 0) -> bytes:
    stream = io.BytesIO()
    with gzip.open(stream, "wb", compresslevel=1) as file:
        for block in blocks:
            file.write(block)
        for _ in range(times):
            file.write(repeated)
    return stream.getvalue()


def lying_zip() -> bytes:
    """Return a zip whose member has more than it says."""
    content = bytearray(zipped("train.csv", HEAD + BLOCK * 60))
    size = struct.pack("<I", 1000)
    content[22:26] = size
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = size
    return bytes(content)


def zip_of_many(count: int) -> bytes:
    """Return a zip whose directory names one member ``count`` times."""
    one = zipped("a", b"")
    directory, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    sizes = (count & 0xFFFF, count & 0xFFFF, (end - directory) * count, directory)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *sizes, 0)
    return one[:directory] + one[directory:end] * count + last


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "rows": (lambda: gzip_of(HEAD, repeated=BLOCK, times=80), "unpacks to more than"),
    "header": (lambda: gzip_of(repeated=b"a," * MB, times=9), "line longer than"),
    "wide-header": (lambda: gzip_of(b"a," * 30_000), "a header with 30001 columns"),
    "line": (lambda: gzip_of(HEAD, repeated=b"0," * MB, times=9), "line 2: received 32769 columns"),
    "blank-lines": (lambda: gzip_of(HEAD, repeated=b"\n" * MB, times=19), "a header and no rows"),
    "utf-16": (lambda: gzip_of(b"\xff\xfe", repeated=b"a\0" * MB, times=9), "line longer than"),
    "zip": (lambda: zipped("train.csv", HEAD + BLOCK * 80), "unpacks to more than"),
    "lying-zip": (lying_zip, "is broken: Bad CRC-32"),
    "zip-in-zip": (
        lambda: zipped("train.csv.zip", zipped("train.csv", HEAD + BLOCK * 80)),
        "unpacks to more than",
    ),
    "gzip-in-gzip": (
        lambda: gzip.compress(gzip_of(HEAD, repeated=BLOCK, times=80)),
        "unpacks to more than",
    ),
    "many-members": (lambda: gzip.compress(zip_of_many(300_000)), "holds 300,000 files"),
}  # fmt: skip


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", LIMIT)


def peak_and_message(folder: Path) -> tuple[int, str]:
    """Return how much memory reading a folder took at most, and how it was refused."""
    load(write_competition(folder.parent / "good"))  # what is imported on the way does not count
    tracemalloc.start()
    try:
        message = message_of(folder)
        return tracemalloc.get_traced_memory()[1], message
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_a_bomb_takes_no_more_memory_than_the_limit_allows(kind, name, tmp_path):
    make, problem = BOMBS[kind]
    folder = write_competition(tmp_path / "input")
    (folder / "train.csv").unlink()
    (folder / name).write_bytes(make())
    peak, message = peak_and_message(folder)
    assert problem in message
    assert str(folder / name) in message
    if problem == "unpacks to more than":
        assert (
            "20,000,000 bytes. Expected at most 20,000,000: ten times the competition's" in message
        )
    assert peak < 2.5 * LIMIT


@pytest.mark.usefixtures("limit")
def test_bombs_in_other_formats(tmp_path):
    zeros = gzip_of(repeated=bytes(MB), times=80)
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name in names:
        (tmp_path / "idx").mkdir(exist_ok=True)
        (tmp_path / "idx" / f"{name}-ubyte.gz").write_bytes(zeros)
    (tmp_path / "tar").mkdir()
    with tarfile.open(tmp_path / "tar" / "cifar-10-python.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.size = 80 * MB
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    for kind in ("idx", "tar"):
        peak, message = peak_and_message(tmp_path / kind)
        assert "unpacks to more than 20,000,000 bytes" in message
        assert peak < 2.5 * LIMIT


@pytest.mark.usefixtures("limit")
def test_a_zip_of_the_competition_with_a_bomb_in_it(tmp_path):
    path = tmp_path / "input" / "digit-recognizer.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", FILES["train.csv"])
        archive.writestr("test.csv", HEAD + BLOCK * 80)
    peak, message = peak_and_message(path.parent)
    assert f"{path} (test.csv) unpacks to more than 20,000,000 bytes" in message
    assert peak < 2.5 * LIMIT


@pytest.mark.usefixtures("limit")
def test_a_file_on_the_disk_that_is_too_large_is_not_read(tmp_path):
    folder = write_competition(tmp_path)
    with (folder / "train.csv").open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    assert f"{folder / 'train.csv'} has 1,099,511,627,776 bytes. Expected at" in message_of(folder)


def test_the_limit_has_room_for_ten_times_the_competitions_rows():
    assert reading.MAX_BYTES > 10 * 77 * MB
