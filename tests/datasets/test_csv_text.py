"""CSVs as spreadsheets, editors and other systems write them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kaggle_digits.datasets import load
from kaggle_digits.datasets.csv_text import MAX_LINE
from kaggle_digits.errors import InputError
from tests.helpers import HEADER, write_competition

Rewrite = Callable[[str], bytes]


WAYS: dict[str, Rewrite] = {
    "utf-8": lambda text: text.encode(),
    "bom": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: "\ufeff".encode("utf-16-be") + text.encode("utf-16-be"),
    "utf-16-le-unmarked": lambda text: text.encode("utf-16-le"),
    "utf-16-be-unmarked": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "utf-16-crlf": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "cr-bom": lambda text: text.replace("\n", "\r").encode("utf-8-sig"),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "semicolons-bom-crlf": lambda text: (
        text.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig")
    ),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "tabs-utf-16": lambda text: text.replace(",", "\t").encode("utf-16"),
    "bars": lambda text: text.replace(",", "|").encode(),
    "decimal-commas": lambda text: re.sub(
        r"(?<=[;\n])(\d+)(?=[;\n])", r"\1,0", text.replace(",", ";")
    ).encode(),
    "floats": lambda text: re.sub(r"(?<=[,\n])(\d+)(?=[,\n])", r"\1.0", text).encode(),
    "float-labels": lambda text: re.sub(r"(?m)^(\d)(?=,)", r"\1.0", text).encode(),
    "exponents": lambda text: re.sub(
        r"(?<=[,\n])(\d+)(?=[,\n])", lambda number: f"{int(number[0]):.18e}", text
    ).encode(),
    "spaces": lambda text: text.replace(",", ", ").encode(),
    "quotes": lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text).encode(),
    "blank-lines": lambda text: text.replace("\n", "\n\n").encode(),
    "blank-lines-first": lambda text: b"\n\r\n  \n" + text.encode(),
    "bom-blank-lines-first": lambda text: b"\xef\xbb\xbf\n\n" + text.encode(),
    "blank-lines-with-spaces": lambda text: text.replace("\n", "\n   \n").encode(),
    "no-last-line-end": lambda text: text.rstrip("\n").encode(),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_competition(tmp_path / "input", train=12, test=5)


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(folder)
    return str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_images_come_out_whatever_wrote_the_file(way, folder):
    expected = load(folder)
    for name in ("train.csv", "test.csv"):
        text = (folder / name).read_text()
        written = WAYS[way](text)
        assert way in ("utf-8", "float-labels") or written != text.encode()
        (folder / name).write_bytes(written)
    splits = load(folder)
    assert splits.train.fingerprint == expected.train.fingerprint
    assert splits.test.fingerprint == expected.test.fingerprint


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            HEADER.encode("utf-16")[:3000],
            "(text in UTF-16), line 1: received a header with",
        ),
        (HEADER.encode("utf-16")[:3000] + b"\0\xd8", "in UTF-16 that is broken at byte 3,000 of"),
        (b"label;pixel0;pixel1\n", "3 columns separated by semicolons, the first ones 'label, pi"),
        (b"label\tpixel0\n", "a header with 2 columns separated by tabs, the first ones 'label, "),
        (b"label pixel0 pixel1\n", "a header with 1 columns, the first ones 'label pixel0 pixel1'"),
        (b"x" * (MAX_LINE + 1), "received a first line longer than 65,536 bytes"),
        (b"\n" * (MAX_LINE + 9), "received an empty file"),
    ],
)
def test_what_is_not_read_is_named(content, problem, folder):
    (folder / "train.csv").write_bytes(content)
    message = message_of(folder)
    assert problem in message
    assert "train.csv" in message
    assert f"kaggle-digits data get --source kaggle --input {folder}" in message


def test_line_numbers_count_from_the_beginning_of_the_file(folder):
    train = folder / "train.csv"
    rows = train.read_text().split("\n")
    rows[3] = rows[3].replace(",0,", ",999,", 1)
    for way in ("utf-8", "crlf", "cr", "utf-16", "semicolons"):
        train.write_bytes(WAYS[way]("\n".join(["", " ", *rows[:2], "", *rows[2:]])))
        assert "line 7, column pixel" in message_of(folder)


@pytest.mark.parametrize("cell", ["1_0", "٣", "1e", "7,0", "--1"])
def test_what_python_alone_takes_for_a_number_is_none(cell, folder):
    train = folder / "train.csv"
    rows = train.read_text().split("\n")
    rows[1] = f"0,{cell}{rows[1][rows[1].index(',', 2) :]}"
    train.write_text("\n".join(rows))
    assert "line 2" in message_of(folder)
