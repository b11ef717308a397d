"""Two processes write to one place at the same time."""

import subprocess
import sys

import pytest

from tests import product
from tests.campaigns.commands import cross_validation, hidden


def test_two_writers_of_one_file(tmp_path):
    """Each may come first; what is there is whole at every moment."""
    path = tmp_path / "a.txt"
    code = (
        "import sys\nfrom pathlib import Path\nfrom kaggle_digits import files\n"
        "for _ in range(200):\n"
        "    files.write_text(Path(sys.argv[1]), sys.argv[2] * 50_000)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, path, text], env=product.environment())
        for text in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_text())
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {"a" * 50_000, "b" * 50_000}
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_two_downloads_into_one_folder(archive, tmp_path):
    command = ("data", "get", "--from", archive)
    started = [product.started(*command, cwd=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in started]
    codes = {process.returncode for process in started}
    assert codes in ({0}, {0, 2}), said
    assert "Traceback" not in str(said)
    product.run(*command, cwd=tmp_path)
    assert (tmp_path / "input" / "digit-recognizer.zip").read_bytes() == archive.read_bytes()
    assert [path.name for path in hidden(tmp_path)] == [".cache"]


@pytest.mark.slow
def test_two_exports_to_one_place(data, tmp_path):
    cross_validation(data).finish(tmp_path)
    command = ("export", "run", "--input", data, "--output", "m.keras")
    started = [product.started(*command, cwd=tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    product.run(*command, cwd=tmp_path)
    assert [path for path in hidden(tmp_path) if path.name != ".lock"] == []
