"""Running the product as a user does: a real process, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "kaggle_digits"]


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without what would change the product's behaviour."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KAGGLE")}
    return kept | {"COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)} | extra


def run(
    *arguments: str | Path, cwd: Path, code: int | None = 0, timeout: float = 240, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run ``kaggle-digits`` with ``arguments`` and return what came of it; expect exit ``code``."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if code is not None:
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def started(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start ``kaggle-digits``; its lines can be read from ``stderr`` as they come."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return the lines of stderr up to the first that holds ``text``."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came; received:\n{''.join(lines)}")
