"""Crashes and faults at arbitrary moments: the same command ends with the same files.

The kill campaign ends commands at random file operations and at random times, and runs each of
them again. ``CAMPAIGN_KILLS`` says how often (100), ``CAMPAIGN_SEED`` where it begins; `make
test-slow` runs it. The fault campaign lets one write after the other fail.
"""

import errno
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kaggle_digits import files, runs
from kaggle_digits.cli import app
from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
from kaggle_digits.kaggle_client.ledger import Entry, Ledger
from tests import kaggle_server, product
from tests.helpers import (
    ROWS,
    TEST_HEADER,
    competition_files,
    write_competition,
    write_competition_zip,
)
from tests.runs.test_hostile_runs import CLASSES, settings

KILLS = int(os.environ.get("CAMPAIGN_KILLS", "100"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
SHORT = 3  # kills of each command that starts at once, in the normal suite
SHARES = {"cv": 0.3, "cv --jobs 2": 0.2, "export": 0.1, "data get": 0.2, "submit": 0.2}
CV = ("cv", "--recipe", "dense", "--folds", "2", "--epochs", "2", "--run", "run")


# ----------------------------------------------------------------------------------- kill campaign


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


class Campaign:
    """Kills one command again and again.

    Attributes:
        command: which.
        folder: where it is tried.
        chance: decides when it is killed.

    """

    def __init__(self, command: Command, folder: Path, seed: int) -> None:
        self.command, self.folder, self.chance = command, folder, random.Random(seed)  # noqa: S311
        self.whole = self.fresh("undisturbed")
        self.seconds = command.finish(self.whole)
        self.events = int(Path(f"{self.whole}.n").read_text())

    @cached_property
    def expected(self) -> dict[str, str]:
        return self.command.left(self.whole)

    def fresh(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True)
        self.command.prepare(folder)
        return folder

    def kill(self, number: int) -> Path:
        """Kill the command once, run it again, compare, and return the folder."""
        folder = self.fresh(f"kill-{number}")
        how = self.chance.choice(["operation", "time"])
        at = self.chance.randint(1, self.events) if how == "operation" else 0
        wait = self.chance.uniform(0, self.seconds)
        process = self.command.start(folder, at)
        if how == "time":
            time.sleep(wait)
            victim = self.chance.choice([process.pid, *children_of(process.pid)])
            with_suppressed_kill(victim)
        process.communicate(timeout=300)
        require_none_left(folder)
        self.command.finish(folder)
        where = f"{how} {at or round(wait, 2)} of {self.events} / {self.seconds:.2f} s"
        assert self.command.left(folder) == self.expected, where
        return folder

    def kills(self, count: int) -> None:
        for number in range(count):
            shutil.rmtree(self.kill(number))


def with_suppressed_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it was ready before


def children_of(parent: int) -> list[int]:
    """Return the processes that train for ``parent``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command:
            found.append(int(path.name))
    return found


def require_none_left(folder: Path) -> None:
    """Fail if a process in ``folder`` outlives its parent by more than some seconds."""
    deadline = time.monotonic() + 30
    while found := list(living_in(folder)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def living_in(folder: Path) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = (path / "cwd").readlink() == folder
            ended = (path / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            continue
        if here and not ended:
            yield int(path.name)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with small data, cached already."""
    folder = write_competition(tmp_path_factory.mktemp("data"), train=240, test=40)
    product.run("data", "check", "--input", folder, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_competition_zip(tmp_path_factory.mktemp("zip") / "digits.zip", seed=1)


@pytest.fixture(scope="module")
def competition(tmp_path_factory):
    """Return a folder with as many test images as the competition has, cached already."""
    folder = tmp_path_factory.mktemp("competition")
    row = ",".join("0" * 784)
    texts = competition_files() | {"test.csv": f"{TEST_HEADER}\n" + f"{row}\n" * ROWS}
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(texts[name].encode(), 1))
    product.run("data", "check", "--input", folder, cwd=folder)
    return folder


TIMES = r".*(run|finished|metrics)\.json|.*(history\.csv|model\.keras)|ledger\.jsonl"


def cross_validation(data: Path, *more: str) -> Command:
    arguments = (*CV, "--input", str(data), "--submission", "out.csv", *more)
    return Command(arguments, lambda _: None, TIMES)


def data_get(archive: Path) -> Command:
    """Return the command that replaces other data by those in ``archive``."""

    def prepare(folder: Path) -> None:
        write_competition(folder / "input", train=20, test=10)

    return Command(("data", "get", "--from", str(archive)), prepare)


def submit(competition: Path, server: kaggle_server.Server) -> Command:
    def prepare(folder: Path) -> None:
        server.submissions.clear()
        rows = "".join(f"{i},{i % 10}\n" for i in range(1, ROWS + 1))
        (folder / "a.csv").write_text(f"ImageId,Label\n{rows}")

    arguments = ("submit", "a.csv", "--if-possible", "--input", str(competition))
    return Command(arguments, prepare, r".*ledger\.jsonl", server.environment())


def require_one_submission(folder: Path, server: kaggle_server.Server) -> None:
    [line] = (folder / "submissions" / "ledger.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert len(server.submissions) == 1
    assert entry["reference"] == server.submissions[0]["ref"]
    assert entry["status"] in ("PENDING", "COMPLETE")


def kill_submit(campaign: Campaign, server: kaggle_server.Server, count: int) -> None:
    for number in range(count):
        require_one_submission(campaign.kill(number), server)


def test_kills_of_commands_that_start_at_once(archive, competition, tmp_path):
    Campaign(data_get(archive), tmp_path / "get", SEED).kills(SHORT)
    with kaggle_server.running() as server:
        campaign = Campaign(submit(competition, server), tmp_path / "submit", SEED)
        kill_submit(campaign, server, SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["alone", "jobs"])
def test_kills_of_cross_validation(jobs, data, tmp_path):
    share = SHARES["cv --jobs 2" if jobs else "cv"]
    Campaign(cross_validation(data, *jobs), tmp_path, SEED).kills(round(KILLS * share))


@pytest.mark.slow
def test_kills_of_export(data, tmp_path):
    run = tmp_path / "trained"
    run.mkdir()
    cross_validation(data).finish(run)
    arguments = ("export", "run", "--ensemble", "--format", "json+h5", "--input", str(data))
    command = Command(arguments, lambda folder: shutil.copytree(run / "run", folder / "run"))
    Campaign(command, tmp_path / "export", SEED).kills(round(KILLS * SHARES["export"]))


@pytest.mark.slow
def test_kills_of_data_get(archive, tmp_path):
    Campaign(data_get(archive), tmp_path, SEED + 1).kills(round(KILLS * SHARES["data get"]))


@pytest.mark.slow
def test_kills_of_submit(competition, tmp_path):
    with kaggle_server.running() as server:
        campaign = Campaign(submit(competition, server), tmp_path, SEED + 1)
        kill_submit(campaign, server, round(KILLS * SHARES["submit"]))


# ---------------------------------------------------------------------------------- fault campaign


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


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name not in (".lock", ".ledger.jsonl.lock")]


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


# ----------------------------------------------------------------------------- two at the same time


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
    assert codes <= {0, 2}, said
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
