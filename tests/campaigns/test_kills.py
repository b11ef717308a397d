"""Commands that are killed at random file operations and times leave the same files in the end.

``CAMPAIGN_KILLS`` is the number of kills in `make test-slow` (100), ``CAMPAIGN_SEED`` the seed.
"""

import gzip
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from tests import kaggle_server, product
from tests.campaigns.commands import Command, cross_validation
from tests.helpers import ROWS, TEST_HEADER, competition_files, write_competition

KILLS = int(os.environ.get("CAMPAIGN_KILLS", "100"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
SHORT = 3  # kills of each command that starts at once, in the normal suite
SHARES = {"cv": 0.3, "cv --jobs 2": 0.2, "export": 0.1, "data get": 0.2, "submit": 0.2}


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
            victim = self.chance.choice([process.pid, *product.workers_of(process.pid)])
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
def competition(tmp_path_factory):
    """Return a folder with as many test images as the competition has, cached already."""
    folder = tmp_path_factory.mktemp("competition")
    row = ",".join("0" * 784)
    texts = competition_files() | {"test.csv": f"{TEST_HEADER}\n" + f"{row}\n" * ROWS}
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(texts[name].encode(), 1))
    product.run("data", "check", "--input", folder, cwd=folder)
    return folder


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
