"""The process around a command: odd streams, signals, memory, and what it leaves behind."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits import cli, runs
from kaggle_digits.cli import process
from kaggle_digits.errors import InputError, OutsideError, out_of_memory
from tests import product
from tests.helpers import write_competition

TRAIN = ("train", "--recipe", "dense", "--epochs", "1")
CV = ("cv", "--recipe", "dense", "--epochs", "300", "--folds", "2", "--run", "run")
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=60, test=20)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A folder with the finished run ``run``."""
    folder = tmp_path_factory.mktemp("trained")
    product.call(*TRAIN, "--input", data, "--run", "run", cwd=folder)
    return folder


def run_bytes(
    command: str, cwd: Path, redirection: str = "", **extra: str
) -> subprocess.CompletedProcess[bytes]:
    """Run ``kaggle-digits`` through a shell, which can close its streams."""
    python = f"'{sys.executable}' -m kaggle_digits"
    return subprocess.run(
        ["/bin/sh", "-c", f"{python} {command} {redirection}"],
        cwd=cwd,
        env=product.environment(**extra),
        capture_output=True,
        check=False,
        timeout=240,
    )


# -------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    "extra",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, C_LOCALE],
    ids=["ascii", "latin-1", "C"],
)
@pytest.mark.parametrize("command", ["--help", "cv --help", "recipes", "evaluate run"])
def test_characters_that_the_output_lacks_are_replaced(command, extra, trained):
    done = run_bytes(command, trained, **extra)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    latin = extra.get("PYTHONIOENCODING") == "latin-1"
    assert done.stdout.decode("latin-1" if latin else "ascii")


@pytest.mark.skipif(shutil.which("script") is None, reason="needs `script` for a terminal")
def test_training_and_messages_on_a_terminal_without_unicode(data, tmp_path):
    command = f"{' '.join(TRAIN)} --input '{data}'"
    python = f"'{sys.executable}' -m kaggle_digits {command}"
    done = subprocess.run(  # `script` gives it a terminal, so the progress display is drawn
        ["script", "-qec", python, "/dev/null"],  # noqa: S607 — of util-linux
        cwd=tmp_path,
        env=product.environment(PYTHONIOENCODING="ascii", TERM="xterm"),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=240,
    )
    text = done.stdout.decode("ascii")
    assert done.returncode == 0, text
    assert "fold 1/1" in text
    assert "accuracy 0.0" in text or "accuracy 0.1" in text
    done = run_bytes("train --recipe bn20\u00d7", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert b"unknown recipe 'bn20?'" in done.stderr


def test_json_loses_no_character(tmp_path):
    write_run(tmp_path / "runs" / "übung")
    for extra in ({"PYTHONIOENCODING": "ascii"}, C_LOCALE, {}):
        [row] = json.loads(run_bytes("runs --json", tmp_path, **extra).stdout)
        assert row["run"].encode("utf-8", "surrogateescape") == "runs/übung".encode()


def write_run(folder: Path, **changes: object) -> None:
    """Write what ``runs`` lists."""
    folder.mkdir(parents=True)
    settings = {"recipe": "bn20", "source": "kaggle", "folds": 1, "seeds": 1}
    settings |= {"training": {"epochs": 2}}
    description = {
        "settings": settings,
        "state": "finished",
        "started": "2026-01-02T03:04:05+00:00",
    }
    (folder / "run.json").write_text(json.dumps(description | changes), encoding="utf-8")


# ------------------------------------------------------------------------------- closed streams


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(closed, trained):
    assert run_bytes("recipes", trained, closed).returncode == 0
    assert run_bytes("nosuch", trained, closed).returncode == 2
    done = run_bytes("runs --folder . --json", trained, closed)
    assert done.returncode == 0
    assert (done.stdout == b"") == (">&-" in closed.replace("2>&-", ""))
    assert done.stderr == b""


def test_training_with_closed_streams_writes_the_same(data, trained, tmp_path):
    done = run_bytes(f"{' '.join(TRAIN)} --input '{data}' --run run", tmp_path, "<&- >&- 2>&-")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "run" / "submission.csv").read_bytes() == (
        trained / "run" / "submission.csv"
    ).read_bytes()


# --------------------------------------------------------------------------------------- signals


def test_ignored_signals_stay_ignored():
    """As `nohup`, and shells for background jobs, start programs."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in process.SIGNALS}
    try:
        received = process.interrupt_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == []
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        received = process.interrupt_on_signals()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_interruption_during_the_import_ends_quietly(tmp_path):
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from kaggle_digits.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interruption_of_any_command_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "list_runs", raising(KeyboardInterrupt()))
    done = product.call("runs", cwd=tmp_path, code=130)
    assert done.stderr == "\nInterrupted.\n"


def raising(error: BaseException):
    def app(_: list[str]) -> None:
        raise error

    return app


def test_an_interruption_that_a_library_takes_for_its_own_error(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", raising(ImportError("initialization failed")))
    assert cli.run_command([signal.SIGINT]) == 130
    assert capsys.readouterr().err == ""
    assert cli.run_command([]) == 1
    assert "unexpected ImportError" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ in words


class ResourceExhaustedError(Exception):
    """TensorFlow's, by its name."""


def too_large() -> Exception:
    try:
        np.zeros(1 << 60, np.uint8)
    except MemoryError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "out of memory. Close"),
        (too_large(), r"out of memory: Unable to allocate 1.00 EiB for an array with shape"),
        (
            ResourceExhaustedError(
                "Graph execution error:\n\nOOM when allocating tensor of 8 GB\n"
            ),
            "out of memory: OOM when allocating tensor of 8 GB. Close",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory. Close"),
        (
            ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
            "out of memory. Close",
        ),
    ],
)
def test_memory_that_ran_out_is_said_in_plain_words(error, expected, monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", raising(error))
    assert cli.run_command([]) == 1
    said = capsys.readouterr().err
    assert expected in said
    assert "a smaller --batch-size, fewer --jobs, or --limit N" in said
    assert "Traceback" not in said
    assert isinstance(out_of_memory(error), OutsideError)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    for error in (ImportError("no module named keras"), OSError(errno.EIO, "x"), ValueError("x")):
        assert out_of_memory(error) is None


def test_errors_do_nothing_to_a_terminal_and_keep_their_lines(monkeypatch, capsys):
    message = "no \x1b[2Jfile. Run:\n  kaggle-digits data get"
    monkeypatch.setattr(cli, "app", raising(InputError(message)))
    assert cli.run_command([]) == 2
    expected = "Error: no \\x1b[2Jfile. Run:\n  kaggle-digits data get\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setattr(cli, "app", raising(RuntimeError("\x1b]0;title\x07")))
    cli.run_command([])
    assert "\x1b" not in capsys.readouterr().err


# ------------------------------------------------------------------------------- what is left


@pytest.mark.slow  # six processes; the interrupted ones below are the risk
def test_no_command_leaves_temporary_files(data, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # matplotlib makes its cache in the temporary folder if it cannot write to its own.
    nowhere = "/proc/nowhere"
    for arguments in (
        ["cv", "--recipe", "dense", "--epochs", "1", "--folds", "2", "--jobs", "2", "--run", "run"],
        ["export", "run"],
        ["evaluate", "run", "--plots"],
        ["data", "show"],
    ):
        done = product.run(
            *arguments, "--input", data, cwd=tmp_path, TMPDIR=str(scratch), MPLCONFIGDIR=nowhere
        )
        assert [path.name for path in scratch.iterdir()] == [], arguments[0]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        (signal.SIGINT, "2"),
        pytest.param(signal.SIGTERM, "2", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "1", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_command_leaves_no_temporary_files(number, jobs, data, tmp_path):
    """The workers ignore signals that are sent to the whole group."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    training = product.started(
        *CV, "--jobs", jobs, "--input", data, cwd=tmp_path, TMPDIR=str(scratch)
    )
    product.read_until(training, "epoch 2/300")
    assert list(scratch.iterdir()), "nothing is tested if nothing is there while it runs"
    os.killpg(training.pid, number)
    _, text = training.communicate(timeout=60)
    assert training.returncode == 128 + number
    assert "Interrupted. Every finished epoch is kept in run. Resume with:" in text
    assert "was killed by" not in text
    assert "Traceback" not in text
    assert list(scratch.iterdir()) == []
    assert not list((tmp_path / "run").glob(".*.tmp*"))
