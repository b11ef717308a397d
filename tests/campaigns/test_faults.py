"""A write fails, on a broken, full or read-only disk: the old files remain, or the new ones."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kaggle_digits import files, runs
from kaggle_digits.cli import app
from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
from kaggle_digits.kaggle_client.ledger import Entry, Ledger
from tests import product
from tests.campaigns.commands import CV, cross_validation, hidden
from tests.helpers import write_competition_zip
from tests.runs.test_hostile_runs import CLASSES, settings


@dataclass(frozen=True)
class Work:
    """Something that writes.

    Attributes:
        do: writes into a folder; raises a KaggleDigitsError where that fails.
        before: makes the folder what it is before.
        known: returns what must be whole in the folder, before or after.

    """

    do: Callable[[Path], object]
    before: Callable[[Path], object]
    known: Callable[[Path], object]


def text_of(folder: Path, name: str) -> str | None:
    path = folder / name
    return path.read_text() if path.exists() else None


def entry(number: int) -> Entry:
    return Entry(
        time=f"2026-01-01T00:00:0{number}", file="a.csv", sha256="0" * 64, message="m", run=None,
        recipe=None, oof_accuracy=None, reference=number, status="PENDING", public_score=None,
    )  # fmt: skip


def write_together(folder: Path, text: str) -> None:
    with files.replacing_together(folder / "m.json", folder / "m.weights.h5") as paths:
        for path in paths:
            path.write_text(text * 3000)


def open_run(folder: Path) -> None:
    with runs.open_for_training(
        folder / "run", settings(), class_names=CLASSES, command="cv"
    ) as run:
        run.update(state="finished", finished="now")


def both(folder: Path) -> set[str | None]:
    """Return the two texts; one alone if they belong together."""
    found = {text_of(folder, "m.json"), text_of(folder, "m.weights.h5")}
    return found if text_of(folder, "m.json") is not None else {text_of(folder, "m.json")}


WORKS = {
    "text": Work(
        lambda folder: files.write_text(folder / "a.csv", "new" * 3000),
        lambda folder: files.write_text(folder / "a.csv", "old" * 3000),
        lambda folder: text_of(folder, "a.csv"),
    ),
    "together": Work(
        lambda folder: write_together(folder, "new"),
        lambda folder: write_together(folder, "old"),
        both,
    ),
    "ledger": Work(
        lambda folder: Ledger(folder / "ledger.jsonl").append(entry(2)),
        lambda folder: Ledger(folder / "ledger.jsonl").append(entry(1)),
        lambda folder: [entry.reference for entry in Ledger(folder / "ledger.jsonl").entries()],
    ),
    "run": Work(
        open_run,
        lambda _: None,
        lambda folder: (
            runs.Run(folder / "run").facts.state if (folder / "run" / "run.json").exists() else None
        ),
    ),
}


def outcomes(work: Work, tmp_path: Path) -> tuple[object, object]:
    """Return what is known before and after ``work`` without faults."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    work.before(folder)
    before = work.known(folder)
    work.do(folder)
    return before, work.known(folder)


@contextmanager
def fault_at(call: int, name: str, monkeypatch: Any) -> Iterator[list[int]]:
    """Let the call number ``call`` of ``os.NAME`` fail as a broken disk would; count the calls."""
    calls = [0]
    real = getattr(os, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing)
        yield calls


@pytest.mark.parametrize("operation", ["fsync", "replace", "mkdir", "open", "rename"])
@pytest.mark.parametrize("name", WORKS)
def test_a_broken_disk_leaves_the_old_or_the_new(name, operation, tmp_path, monkeypatch):
    work = WORKS[name]
    before, after = outcomes(work, tmp_path)
    for call in range(1, 50):
        folder = tmp_path / str(call)
        folder.mkdir()
        work.before(folder)
        with fault_at(call, operation, monkeypatch) as calls:
            try:
                work.do(folder)
            except KaggleDigitsError as error:
                assert error.exit_code == OutsideError.exit_code  # noqa: PT017 — none is right, too
                assert "Input/output error" in str(error)  # noqa: PT017
                assert "remove" not in str(error)  # noqa: PT017
        found = work.known(folder)
        allowed = [before, after] + ([None, {None}] if name in ("together", "run") else [])
        if name == "run":
            allowed.append("running")
        assert found in allowed, call
        work.do(folder)
        assert work.known(folder) in ([after] if name != "ledger" else [after, [1, 2, 2]])
        assert hidden(folder) == [], call
        if calls[0] < call:
            return  # it was not called so often: every call has failed once
    raise AssertionError("it never came to its end")


@pytest.fixture
def disk(tmp_path):
    """Return a function that mounts a disk of some KiB, empty each time."""
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        folder: Path = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)  # noqa: S607


@pytest.mark.parametrize("name", WORKS)
def test_a_full_disk_leaves_the_old_or_the_new(name, tmp_path, disk):
    work = WORKS[name]
    before, after = outcomes(work, tmp_path)
    failed = 0
    for kib in range(4, 200, 4):
        folder = disk(kib)
        try:
            work.before(folder)
        except OutsideError:
            failed += 1
            continue  # not even room for what is there before
        try:
            work.do(folder)
        except OutsideError as error:
            failed += 1
            assert "no space to write" in str(error)  # noqa: PT017 — no error is right, too
            assert work.known(folder) in (before, "running"), kib
        else:
            assert failed
            assert work.known(folder) == after
            return
        remount(folder, "size=4m")
        work.do(folder)
        assert work.known(folder) == after, kib
        assert hidden(folder) == [], kib
    raise AssertionError("it never had room enough")


def test_data_get_on_a_full_disk(archive, disk, monkeypatch):
    """In every disk up to the first that is large enough, in steps of a few blocks."""
    monkeypatch.setattr("kaggle_digits.datasets.getting.ROOM", 0)
    old = write_competition_zip(archive.parent / "old.zip", train=20, test=10, seed=2)
    failed = 0
    for kib in range(8, 400, 12):
        folder = disk(kib) / "input"
        if get(old, folder).exception is not None:
            continue
        done = get(archive, folder)
        if done.exception is None:
            assert failed
            return
        failed += 1
        assert isinstance(done.exception, OutsideError), done.exception
        assert "no space to write" in str(done.exception)
        assert (folder / "digit-recognizer.zip").read_bytes() == old.read_bytes()
        assert [path for path in hidden(folder) if path.name != ".cache"] == []
        remount(folder.parent, "size=4m")
        assert get(archive, folder).exception is None
        assert (folder / "digit-recognizer.zip").read_bytes() == archive.read_bytes()
    raise AssertionError("it never had room enough")


def get(path: Path, folder: Path) -> Any:
    return CliRunner().invoke(app, ["data", "get", "--from", str(path), "--input", str(folder)])


@pytest.mark.slow
def test_cross_validation_on_a_full_disk(data, tmp_path, disk):
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    cross_validation(data).finish(undisturbed)
    command = [*CV, "--input", data, "--submission", "out.csv"]
    sizes = (64, 1_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 24_000)
    for kib in sizes:
        folder = disk(kib)
        done = product.run(*command, cwd=folder, code=None)
        if done.returncode == 0:
            assert kib > sizes[0]
            return
        assert done.returncode == 1, done.stderr
        assert "no space to write" in done.stderr
        assert "Traceback" not in done.stderr
        remount(folder, "size=100m")
        product.run(*command, cwd=folder)
        assert (folder / "out.csv").read_bytes() == (undisturbed / "out.csv").read_bytes()
        assert [path for path in hidden(folder) if path.name != ".lock"] == []
    raise AssertionError("it never had room enough")


@pytest.mark.parametrize("name", WORKS)
def test_a_read_only_disk_is_told_and_unchanged(name, disk):
    work = WORKS[name]
    folder = disk(4_000)
    work.before(folder)
    before = work.known(folder)
    remount(folder, "ro")
    with pytest.raises(InputError, match=r"cannot write .*Read-only file system"):
        work.do(folder)
    assert work.known(folder) == before
    remount(folder, "rw")
    work.do(folder)


def test_commands_on_a_read_only_disk(archive, disk):
    folder = disk(8_000)
    product.run("data", "get", "--from", archive, cwd=folder)
    remount(folder, "ro")
    product.run("data", "check", cwd=folder)
    product.run("runs", cwd=folder)
    for command in (
        ("data", "get", "--source", "sample", "--input", "new"),
        ("cv", "--recipe", "dense"),
    ):
        done = product.run(*command, cwd=folder, code=2)
        assert "Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr
    remount(folder, "rw")
