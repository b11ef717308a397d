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
    with pytest.raises(OutsideError, match=r"no space to write .*a\.txt: No space left.*unchanged"):
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
        with pytest.raises(InputError, match=r"cannot write .*file/a\.csv.*a writable folder"):
            write(tmp_path / "file" / "a.csv")


def test_a_link_to_nothing_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "runs").symlink_to("nowhere")
    for write in (files.require_writable, lambda path: files.write_text(path, "x")):
        with pytest.raises(InputError, match=r"a parent folder is a file or a link to nothing"):
            write(tmp_path / "runs" / "new" / "a.csv")


def test_a_path_with_a_null_character_is_refused():
    with pytest.raises(InputError, match=r"received the path 'a\\x00b'\. Expected a path without"):
        files.expand_home("a\0b")


def test_a_folder_in_the_way_of_the_file(tmp_path):
    with pytest.raises(InputError, match=r"it is a folder\. Expected the name of a file"):
        files.require_writable(tmp_path)


def test_a_read_only_folder(tmp_path):
    error = files.error_from(PermissionError(errno.EACCES, "Permission denied"), tmp_path / "a.csv")
    assert isinstance(error, InputError)
    assert "a.csv: Permission denied. Expected a writable folder" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    for write in (files.require_writable, lambda path: files.write_text(path, "x")):
        with pytest.raises(InputError, match="Permission denied"):
            write(tmp_path / "a.csv")


def test_a_failing_disk_is_told_as_such(tmp_path):
    error = files.error_from(OSError(errno.EIO, "Input/output error"), tmp_path / "a.csv")
    assert isinstance(error, OutsideError)
    assert "a.csv: Input/output error. The disk or the network drive" in str(error)


# -------------------------------------------------------------------------- temporary folders


def test_what_is_written_meanwhile_has_the_same_name_where_nobody_else_can_be(tmp_path):
    names = set()
    for _ in range(5):
        with files.replacing(tmp_path / "model.keras") as temporary:
            temporary.write_text("x")
            names.add(temporary.parent)
            assert temporary.name == "model.keras"
            assert temporary.parent.parent == tmp_path
            assert temporary.parent.stat().st_mode & 0o777 == 0o700
            assert files.WORKSPACE.fullmatch(temporary.parent.name)
    assert len(names) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_the_result_has_the_rights_that_any_file_gets(tmp_path):
    (tmp_path / "plain").write_text("x")
    files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_links_are_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("old")
    (tmp_path / "a.txt").symlink_to(tmp_path / "precious")
    (tmp_path / f".a.{os.getpid()}.tmp.txt").symlink_to(tmp_path / "precious")
    files.write_text(tmp_path / "a.txt", "new")
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "precious").read_text() == "old"


@pytest.mark.parametrize("together", [False, True])
def test_content_and_names_are_on_the_disk_before_and_after_the_rename(
    together, tmp_path, monkeypatch
):
    """A power cut cannot be tested here, but the order of what must be flushed can."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(("flushed", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append(("renamed", target.name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    folder = tmp_path / "new"
    if together:
        with files.replacing_together(folder / "a", folder / "b") as paths:
            for path in paths:
                path.write_text("x")
        names = [("flushed", "a"), ("flushed", "b"), ("flushed", tmp_path.name)]
        assert sorted(done[:3]) == sorted(names)
        assert done[3:] == [
            ("renamed", "b"), ("flushed", "new"), ("renamed", "a"), ("flushed", "new")
        ]  # fmt: skip
    else:
        files.write_text(folder / "a", "x")
        assert done == [
            ("flushed", tmp_path.name), ("flushed", "a"), ("renamed", "a"), ("flushed", "new")
        ]  # fmt: skip


def test_a_folder_that_cannot_be_flushed_is_no_fault(tmp_path, monkeypatch):
    def refuse(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 — a descriptor
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_is_a_file(kind, tmp_path):
    (tmp_path / "precious").write_text("old")
    lock = tmp_path / ".lock"
    lock.symlink_to(tmp_path / "precious") if kind == "link" else os.mkfifo(lock)
    with (
        pytest.raises(InputError, match=r"cannot write .*\.lock: it is a (link|named pipe)"),
        files.lock(lock, busy="busy", seconds=0),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "old"
