"""Whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError


def test_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"a": 2})
    assert path.read_text() == '{\n  "a": 2\n}\n'
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


def test_a_failing_block_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def write_half(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        write_half(temporary)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_full_disk_keeps_the_old_file_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutsideError, match=r"no room to write .*a\.txt: No space left.*unchanged"):
        files.write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Can't synchronously write data (errno = 28, 'No space left on device')",  # h5py
        "Not enough free space to write 33600000 bytes",  # NumPy, before
        "33600000 requested and 4096 written",  # and while it writes
    ],
)
def test_full_disk_as_libraries_report_it(text, tmp_path):
    assert isinstance(files.error_from(OSError(text), tmp_path), OutsideError)


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    for write in (files.require_writable, lambda path: files.write_text(path, "x")):
        with pytest.raises(InputError, match=r"cannot write .*file/a\.csv.*Expected a folder"):
            write(tmp_path / "file" / "a.csv")


def test_a_folder_in_the_way_of_the_file(tmp_path):
    with pytest.raises(InputError, match=r"it is a folder\. Expected the name of a file"):
        files.require_writable(tmp_path)


def test_a_read_only_folder(tmp_path):
    error = files.error_from(PermissionError(errno.EACCES, "Permission denied"), tmp_path / "a.csv")
    assert isinstance(error, InputError)
    assert "a.csv: Permission denied. Expected a folder that you may write to" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    for write in (files.require_writable, lambda path: files.write_text(path, "x")):
        with pytest.raises(InputError, match="Permission denied"):
            write(tmp_path / "a.csv")
