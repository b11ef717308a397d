import gzip
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.datasets import kaggle_csv, load, pixel_parsing
from kaggle_digits.errors import InputError
from tests.helpers import (
    HEADER,
    TEST_HEADER,
    images,
    labels,
    write_competition,
    write_competition_zip,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "input", train=12, test=5)


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


def edit(path: Path, change: Callable[[list[list[str]]], None]) -> None:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def set_cell(path: Path, line: int, column: int, text: str) -> None:
    def change(rows: list[list[str]]) -> None:
        rows[line - 1][column] = text

    edit(path, change)


def test_reads_what_was_written(folder: Path) -> None:
    splits = load(folder)
    assert splits.source == "csv"
    assert not splits.is_competition
    assert splits.train.images.shape == (12, 28, 28, 1)
    assert splits.train.images.dtype == np.uint8
    assert splits.train.labels is not None
    assert splits.train.labels.dtype == np.uint8
    assert splits.test.labels is None
    np.testing.assert_array_equal(splits.train.images.reshape(12, -1), images(17)[:12])
    np.testing.assert_array_equal(splits.test.images.reshape(5, -1), images(17)[12:])
    np.testing.assert_array_equal(splits.train.labels, labels(12))
    np.testing.assert_array_equal(splits.train.ids, np.arange(1, 13))
    np.testing.assert_array_equal(splits.test.ids, np.arange(1, 6))
    assert splits.train.images.flags.c_contiguous


def test_many_blocks_keep_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(folder).train.fingerprint
    monkeypatch.setattr(pixel_parsing, "BLOCK_BYTES", 4000)
    (folder / ".cache").rename(folder / "elsewhere")
    assert load(folder).train.fingerprint == expected


def test_the_competitions_test_set_is_known_by_its_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_csv, "COMPETITION_TEST_ROWS", 5)
    assert load(folder).is_competition


def test_gzipped(folder: Path) -> None:
    plain = load(folder)
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    packed = load(folder)
    assert packed.train.fingerprint == plain.train.fingerprint
    assert packed.test.fingerprint == plain.test.fingerprint


def test_inside_the_zip_without_unpacking(folder: Path, tmp_path: Path) -> None:
    write_competition_zip(tmp_path / "zipped" / "digit-recognizer.zip", train=12, test=5)
    packed = load(tmp_path / "zipped")
    assert packed.train.fingerprint == load(folder).train.fingerprint
    assert packed.test.fingerprint == load(folder).test.fingerprint
    names = {path.name for path in (tmp_path / "zipped").iterdir()}
    assert names == {"digit-recognizer.zip", ".cache"}


def test_a_lone_csv_does_not_hide_the_zip(tmp_path: Path) -> None:
    write_competition_zip(tmp_path / "digit-recognizer.zip", test=5)
    (tmp_path / "train.csv").write_text("left over")
    assert len(load(tmp_path).test) == 5


def test_byte_order_mark_windows_lines_and_blank_last_line(folder: Path) -> None:
    expected = load(folder).train.fingerprint
    train = folder / "train.csv"
    train.write_bytes(b"\xef\xbb\xbf" + train.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert load(folder).train.fingerprint == expected


def test_no_newline_at_the_end_and_quoted_header(folder: Path) -> None:
    expected = load(folder).train.fingerprint
    train = folder / "train.csv"
    header, rest = train.read_text().split("\n", 1)
    quoted = ",".join(f'"{name}"' for name in header.split(","))
    train.write_text(f"{quoted}\n{rest.rstrip()}")
    assert load(folder).train.fingerprint == expected


def test_whole_numbers_written_as_floats(folder: Path) -> None:
    expected = load(folder).train.fingerprint
    train = folder / "train.csv"
    header, rest = train.read_text().split("\n", 1)
    floats = re.sub(r"(\d+)", r"\1.0", rest)
    train.write_bytes(f"{header}\n{floats}".replace("\n", "\r\n").encode())
    assert load(folder).train.fingerprint == expected


def test_sample_submission_is_never_read(folder: Path) -> None:
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,7\n2,7\n")
    assert len(load(folder).test) == 5
    (folder / "sample_submission.csv").write_bytes(b"\0\xff")
    assert len(load(folder).test) == 5


@pytest.mark.parametrize(
    ("column", "cell", "received", "expected"),
    [
        (1, "-1", "column pixel0: received '-1'", "from 0 to 255"),
        (5, "256", "column pixel4: received '256'", "from 0 to 255"),
        (784, "3.5", "column pixel783: received '3.5'", "from 0 to 255"),
        (2, "", "column pixel1: received an empty cell", "from 0 to 255"),
        (2, "nan", "column pixel1: received 'nan'", "from 0 to 255"),
        (2, "inf", "column pixel1: received 'inf'", "from 0 to 255"),
        (2, "ink", "column pixel1: received 'ink'", "from 0 to 255"),
        (2, "0x1F", "column pixel1: received '0x1F'", "from 0 to 255"),
        (2, "0X1f", "column pixel1: received '0X1f'", "from 0 to 255"),
        (2, "9" * 5000, f"column pixel1: received '{'9' * 39}", "from 0 to 255"),
        (0, "0x7", "column label: received '0x7'", "from 0 to 9"),
        (784, "", "column pixel783: received an empty cell", "from 0 to 255"),
        (0, "10", "column label: received '10'", "from 0 to 9"),
        (0, "-1", "column label: received '-1'", "from 0 to 9"),
        (0, "2.5", "column label: received '2.5'", "from 0 to 9"),
        (0, "", "column label: received an empty cell", "from 0 to 9"),
        (0, "seven", "column label: received 'seven'", "from 0 to 9"),
    ],
)
def test_a_wrong_cell_is_named(
    folder: Path, column: int, cell: str, received: str, expected: str
) -> None:
    set_cell(folder / "train.csv", 4, column, cell)
    message = message_of(folder)
    assert message.startswith(f"{folder / 'train.csv'}, line 4, {received}")
    assert f"Expected a whole number {expected}" in message
    assert "kaggle-digits data get" in message


def test_a_wrong_cell_of_the_test_file(folder: Path) -> None:
    set_cell(folder / "test.csv", 6, 0, "300")
    assert "test.csv, line 6, column pixel0: received '300'" in message_of(folder)


def test_bytes_that_are_no_text_inside_a_row(folder: Path) -> None:
    test = folder / "test.csv"
    test.write_bytes(test.read_bytes().rstrip() + b"\xff\n")
    assert "line 6, column pixel783: received " in message_of(folder)


def test_cut_short_in_the_last_row(folder: Path) -> None:
    train = folder / "train.csv"
    train.write_text(train.read_text()[:-900])
    message = message_of(folder)
    assert re.search(r"train\.csv, line 13: received \d+ columns. Expected 785\.", message)
    assert "it is truncated" in message


@pytest.mark.parametrize("cells", [783, 786])
def test_a_row_of_another_length(folder: Path, cells: int) -> None:
    def change(rows: list[list[str]]) -> None:
        rows[2] = ["0"] * cells

    edit(folder / "train.csv", change)
    message = message_of(folder)
    assert f"train.csv, line 3: received {cells} columns. Expected 785." in message
    assert "truncated" not in message


def test_line_numbers_count_blank_lines(folder: Path) -> None:
    train = folder / "train.csv"
    set_cell(train, 4, 1, "256")
    lines = train.read_text().split("\n")
    train.write_text("\n".join([*lines[:2], "", *lines[2:]]))
    assert "line 5, column pixel0" in message_of(folder)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (HEADER.replace("label", "digit"), "a header with 'digit' in column 1 instead of 'label'"),
        (
            HEADER.replace("pixel7,", "pixel_7,"),
            "a header with 'pixel_7' in column 9 instead of 'pixel7'",
        ),
        (
            HEADER.replace("pixel1,pixel2,", "pixel2,pixel1,"),
            "a header with the right columns in another order",
        ),
        (HEADER.removesuffix(",pixel783"), "a header with 784 columns"),
        (HEADER + ",pixel784", "a header with 786 columns"),
        ("," + HEADER, "the column '' before the expected ones, such as pandas' index"),
        (
            "Unnamed: 0," + HEADER,
            "the column 'Unnamed: 0' before the expected ones, such as pandas' index",
        ),
        (
            TEST_HEADER,
            "a header without a label column: a test file under the name of a train file",
        ),
        ("hello", "a header with 1 columns, the first ones 'hello'"),
    ],
)
def test_a_wrong_header(folder: Path, header: str, problem: str) -> None:
    train = folder / "train.csv"
    train.write_text(header + "\n" + train.read_text().split("\n", 1)[1])
    message = message_of(folder)
    assert f"train.csv, line 1: received {problem}" in message
    assert "Expected 785 columns, separated by commas: label, pixel0, … pixel783." in message


def test_a_train_file_as_test_file(folder: Path) -> None:
    (folder / "test.csv").write_bytes((folder / "train.csv").read_bytes())
    assert "a train file under the name of a test file" in message_of(folder)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"<!DOCTYPE html>\n<html><body>Sign in", "a web page"),
        (b"BZh91AY&SY", "a file packed with bzip2; unpack it first"),
        (b"\xfd7zXZ\0", "a file packed with xz"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary data"),
        (b"\xff\xfel\0a", "text in UTF-16 that is broken at byte 4 of 5: truncated data"),
        (b"label,\xff,\n1,2\n", "binary data"),
    ],
)
def test_something_else_than_a_csv(folder: Path, content: bytes, received: str) -> None:
    (folder / "train.csv").write_bytes(content)
    message = message_of(folder)
    assert f"{folder / 'train.csv'}: received {received}" in message
    assert "Expected a CSV file" in message


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_no_rows(folder: Path, end: str) -> None:
    (folder / "train.csv").write_text(HEADER + end)
    assert "train.csv: received a header and no rows" in message_of(folder)


@pytest.mark.parametrize(("gone", "left"), [("train.csv", "test.csv"), ("test.csv", "train.csv")])
def test_a_missing_file(folder: Path, gone: str, left: str) -> None:
    (folder / gone).unlink()
    assert f"{folder} holds {left} but lacks {gone}" in message_of(folder)


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = message_of(tmp_path / "empty")
    assert f"{tmp_path / 'empty'} holds no data that kaggle-digits can read" in message
    assert "kaggle-digits data get" in message
    assert f"{tmp_path / 'none'} does not exist." in message_of(tmp_path / "none")
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file'} is not a folder." in message_of(tmp_path / "file")


@pytest.mark.parametrize("keep", [3, 50, -20, -4])
def test_a_broken_gzip(folder: Path, keep: int) -> None:
    (folder / "train.csv").unlink()
    (folder / "train.csv.gz").write_bytes(gzip.compress(HEADER.encode(), mtime=0)[:keep])
    message = message_of(folder)
    assert f"{folder / 'train.csv.gz'} is broken" in message
    assert "Expected a complete gzip file" in message


def test_a_broken_zip(tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "digit-recognizer.zip")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[5000:5010] = b"0123456789"
    for content in (b"junk", whole[: len(whole) // 2], bytes(damaged)):
        path.write_bytes(content)
        message = message_of(tmp_path)
        assert f"{path} is broken" in message
        assert "Expected a complete zip file" in message


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "digit-recognizer.zip", "w") as archive:
        archive.writestr("train.csv", "x")
        archive.writestr("cats.jpg", "x")
    assert "holds train.csv but lacks test.csv" in message_of(tmp_path)
    with zipfile.ZipFile(tmp_path / "digit-recognizer.zip", "w") as archive:
        archive.writestr("cats.jpg", "x")
    assert "lacks train.csv and test.csv: it holds cats.jpg" in message_of(tmp_path)


def test_a_wrong_cell_inside_the_zip_names_the_member(tmp_path: Path) -> None:
    folder = write_competition(tmp_path / "plain")
    set_cell(folder / "test.csv", 3, 9, "999")
    with zipfile.ZipFile(tmp_path / "digit-recognizer.zip", "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.write(folder / name, name)
    assert "digit-recognizer.zip (test.csv), line 3, column pixel9" in message_of(tmp_path)


def test_a_hostile_member_is_never_touched(tmp_path: Path) -> None:
    path = write_competition_zip(tmp_path / "a" / "b" / "digit-recognizer.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../evil", "x")
        archive.writestr("/evil", "x")
    assert len(load(path.parent).train) == 60
    assert not list(tmp_path.rglob("evil"))


def test_a_second_reading_comes_from_the_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    assert len(list((folder / ".cache").iterdir())) == 2
    monkeypatch.setattr(kaggle_csv, "parse", None)
    second = load(folder)
    assert second.train.fingerprint == first.train.fingerprint
    assert second.test.fingerprint == first.test.fingerprint
    assert second.test.labels is None


def test_a_changed_file_is_read_again_and_the_old_cache_goes(folder: Path) -> None:
    load(folder)
    train = folder / "train.csv"
    before = train.stat()
    text = train.read_text()
    train.write_text(text[: text.index("\n") + 1] + "9" + text[text.index("\n") + 2 :])
    assert train.stat().st_size == before.st_size
    os.utime(train, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = load(folder).train
    assert changed.labels is not None
    assert changed.labels[0] == 9
    assert len(list((folder / ".cache").iterdir())) == 2


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_broken_cache_is_written_anew(folder: Path, keep: int) -> None:
    expected = load(folder).train.fingerprint
    caches = sorted((folder / ".cache").iterdir())
    sizes = [path.stat().st_size for path in caches]
    for path in caches:
        path.write_bytes(path.read_bytes()[:keep])
    assert load(folder).train.fingerprint == expected
    assert [path.stat().st_size for path in caches] == sizes


def test_without_a_writable_folder_there_is_no_cache(folder: Path) -> None:
    (folder / ".cache").write_text("a file where the folder should be: not even root gets past it")
    assert len(load(folder).train) == 12


def test_importing_is_cheap() -> None:
    code = (
        "import sys, kaggle_digits.datasets, kaggle_digits.datasets.dataset; "
        "print(sorted({'pandas', 'pyarrow', 'sklearn', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_reading_leaves_pyarrows_own_allocator_alone(folder: Path) -> None:
    # In pyarrow 25.0.0 it crashes when the thread that imported pyarrow has ended, as ours does.
    code = f"""
from pathlib import Path
import kaggle_digits.datasets
kaggle_digits.datasets.load(Path({str(folder)!r}))
import pyarrow
print(pyarrow.default_memory_pool().max_memory(), pyarrow.system_memory_pool().max_memory() > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0", "True"]
