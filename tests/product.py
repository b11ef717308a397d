"""Running the product as a user does: a real process, in a folder of its own."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

from kaggle_digits import cli
from kaggle_digits.training.executors import choosing, in_process
from tests import warm_client

COMMAND = [sys.executable, "-m", "kaggle_digits"]
# A small network starts quickly, and an epoch is long enough to be interrupted.
DENSE = (
    "cv", "--recipe", "dense", "--folds", "3", "--epochs", "6", "--batch-size", "4",
    "--run", "run", "--submission", "out.csv",
)  # fmt: skip
HOME = tempfile.TemporaryDirectory(prefix="home-")
NOWHERE = "http://127.0.0.1:9"  # a closed port

# Whoever runs the tests may have credentials: none is found, and Kaggle cannot be reached.
APART = {
    "HOME": HOME.name,
    "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
    **{
        name: NOWHERE
        for scheme in ("http_proxy", "https_proxy", "all_proxy")
        for name in (scheme, scheme.upper())
    },
    "no_proxy": "",
    "NO_PROXY": "",
}


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without what would change the product's behaviour."""
    mine = {"COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)}
    foreign = ("KAGGLE", "XDG_CONFIG")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return kept | APART | mine | extra


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


def call(
    *arguments: str | Path, cwd: Path, code: int | None = 0, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Do what `run` does without a process of its own, where nothing depends on it.

    Keras and what Kaggle's client needs are imported once for all such calls. Threads, signals,
    streams and what is read when a process starts need `run`.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    before = Path.cwd()
    words = [str(argument) for argument in arguments]
    os.chdir(cwd)
    try:
        with (
            mock.patch.dict(os.environ, environment(**extra), clear=True),
            # Else runs of recipes with other threads, or on many cores, would start processes.
            mock.patch(f"{in_process.__name__}.can_compute_with", return_value=True),
            mock.patch(f"{choosing.__name__}.count_jobs", return_value=1),
            warm_client.starting(),
            mock.patch.object(sys, "argv", ["kaggle-digits", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            ended = cli.run_command([])
    finally:
        os.chdir(before)
    done = subprocess.CompletedProcess(words, ended, _read(out), _read(err))
    if code is not None:
        assert ended == code, f"exit {ended}\n{done.stdout}\n{done.stderr}"
    return done


def _read(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def started(*arguments: str | Path, cwd: Path, **extra: str) -> subprocess.Popen[str]:
    """Start ``kaggle-digits``; its lines can be read from ``stderr`` as they come."""
    # A shell makes its background jobs deaf to Ctrl-C, and what they start inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a signal to its group does not reach the tests
        )
    finally:
        signal.signal(signal.SIGINT, before)


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Return the lines of stderr up to the first that holds ``text``."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came; received:\n{''.join(lines)}")


def message(done: subprocess.CompletedProcess[str]) -> str:
    """Return stderr on one line, without the frame that usage errors have."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())


def workers_of(parent: int) -> list[int]:
    """Return the processes that train for ``parent``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command and fields[0] != "Z":
            found.append(int(path.name))
    return found
