"""`make test-oldest` tests what pyproject.toml admits, where there is a Python for it."""

import re
import subprocess
from pathlib import Path

from tests import oldest

ROOT = Path(__file__).parent.parent


def test_every_dependency_has_a_lower_bound_that_is_tested():
    lines = oldest.find_lower_bounds(ROOT / "pyproject.toml")
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", line) for line in lines), lines
    names = {line.partition("==")[0] for line in lines}
    assert {"keras", "kaggle", "numpy", "tensorflow", "onnx", "pytest"} <= names
    assert len(names) == len(lines)


def test_where_there_is_no_such_python_it_says_so():
    command = ["make", "test-oldest", "PYTHON312=/no/python"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        "Skipped: /no/python is not installed. Choose another: make PYTHON312=PATH" in done.stdout
    )
