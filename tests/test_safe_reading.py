import os
from pathlib import Path

import pytest

from kaggle_digits import safe_reading


def test_a_regular_file_is_read_and_nothing_else(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert safe_reading.read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    os.mkfifo(tmp_path / "pipe")
    for name, what in {"link": "a link", "pipe": "a named pipe", ".": "a folder"}.items():
        with pytest.raises(OSError, match=f"it is {what}; expected a regular file"):
            safe_reading.open_regular(tmp_path / name)
    with pytest.raises(OSError, match="it is a device"):
        safe_reading.open_regular(Path("/dev/zero"))
    with pytest.raises(OSError, match="it has 8 bytes; expected at most 7"):
        safe_reading.read_bytes(tmp_path / "a.json", 7)
    with pytest.raises(FileNotFoundError):
        safe_reading.read_bytes(tmp_path / "b.json")
    assert safe_reading.sha256_of(tmp_path / "link") == safe_reading.sha256_of(tmp_path / "a.json")


def test_a_file_that_becomes_a_pipe_meanwhile_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("x")
    status = path.lstat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "lstat", lambda _: status)
    with pytest.raises(OSError, match="it is a named pipe"):
        safe_reading.open_regular(path)
