"""Commands that the campaigns kill, starve and start twice."""

import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests import product

CV = ("cv", "--recipe", "dense", "--folds", "2", "--epochs", "2", "--run", "run")
TIMES = r".*(run|finished|metrics)\.json|.*(history\.csv|model\.keras)|ledger\.jsonl"


@dataclass
class Command:
    """A command to be killed.

    Attributes:
        arguments: as it is typed.
        prepare: makes the folder that it runs in what it is before.
        differs: names of files whose bytes hold times.
        environment: of the process.

    """

    arguments: tuple[str, ...]
    prepare: Callable[[Path], object]
    differs: str = r"$^"
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, folder: Path, number: int) -> "subprocess.Popen[str]":
        """Start it; it ends at its file operation ``number``, if that is not 0."""
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.killed",
                str(number),
                str(folder) + ".n",
                *self.arguments,
            ],
            cwd=folder,
            env=product.environment(**self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, folder: Path) -> float:
        """Run it to its end, and return the seconds that took."""
        started = time.monotonic()
        process = self.start(folder, 0)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert "Traceback" not in output
        return time.monotonic() - started

    def left(self, folder: Path) -> dict[str, str]:
        """Return the SHA-256 of each file in ``folder``, but of those that hold times."""
        found = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_file() and not path.name.endswith(".lock"):
                same = not re.fullmatch(self.differs, name)
                content = path.read_bytes() if same else b""
                found[name] = hashlib.sha256(content).hexdigest()
            elif path.is_dir() and path.name.startswith("."):
                found[name] = "a hidden folder"
        return found


def cross_validation(data: Path, *more: str) -> Command:
    arguments = (*CV, "--input", str(data), "--submission", "out.csv", *more)
    return Command(arguments, lambda _: None, TIMES)


def hidden(folder: Path) -> list[Path]:
    locks = (".lock", ".ledger.jsonl.lock", ".blends.jsonl.lock")
    return [path for path in folder.rglob(".*") if path.name not in locks]
