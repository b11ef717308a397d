import math
from dataclasses import astuple

import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.training.history import Epoch, read_history, write_history

EPOCHS = [Epoch(number, 0.5, 0.9, math.nan, 0.8, 1e-3, 12.5, 1600.0) for number in (1, 2)]


def test_what_was_written_is_read(tmp_path):
    write_history(tmp_path / "history.csv", EPOCHS)
    read = read_history(tmp_path / "history.csv")
    assert [str(astuple(epoch)) for epoch in read] == [str(astuple(epoch)) for epoch in EPOCHS]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"loss", b"lots", "its columns are not epoch, loss, accuracy"),
        (b"\n2,", b"\n3,", "epoch 2 is missing or has other columns"),
        (b"12.5", b"12.5,1", "epoch 1 is missing or has other columns"),
        (b"12.5", b"twelve", "'twelve' is not a number"),
        (b"12.5", b"\xff", "'utf-8' codec can't decode"),
        (b"12.5", b"1" * 200_000, "field larger than field limit"),
        (b"12.5", b'"', "unexpected end of data"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(old, new, problem, tmp_path):
    path = tmp_path / "fold-1" / "history.csv"
    write_history(path, EPOCHS)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert problem in str(caught.value)
    assert f"remove {path.parent} and run the same command again" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        read_history(tmp_path / "history.csv")
