import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.files import locked
from kaggle_digits.ledger import Entry, Ledger
from tests import product

ENTRY = Entry(
    time="2026-01-01T00:00:00+00:00",
    file="a.csv",
    sha256="ab" * 32,
    message="seven ≠ 1 [bold]",
    run=None,
    recipe=None,
    oof_accuracy=0.99,
    reference=1,
    status="COMPLETE",
    public_score=0.98,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "submissions" / "ledger.jsonl")


def append_some(ledger: Ledger, first: int) -> None:
    for number in range(first, first + 20):
        ledger.append(replace(ENTRY, reference=number))


def test_one_line_a_push(ledger):
    assert ledger.entries() == []
    other = replace(ENTRY, time="2026-01-02T00:00:00+00:00", reference=None, public_score=None)
    ledger.append(ENTRY)
    ledger.append(other)
    assert ledger.entries() == [ENTRY, other]
    assert ledger.path.read_text().count("\n") == 2
    ledger.replace(other, replace(other, reference=2, public_score=1.0))
    assert [entry.reference for entry in ledger.entries()] == [1, 2]
    ledger.replace(other, None)
    assert ledger.entries() == [ENTRY]


def test_gap():
    assert ENTRY.gap == pytest.approx(-0.01)
    assert replace(ENTRY, public_score=None).gap is None


def test_two_processes_at_once_lose_nothing(ledger):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=append_some, args=(ledger, first)) for first in (100, 200)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    numbers = [entry.reference for entry in ledger.entries()]
    assert sorted(numbers) == [*range(100, 120), *range(200, 220)]
    assert numbers == [json.loads(line)["reference"] for line in ledger.path.open()]


@pytest.mark.parametrize(
    "line",
    ['{"time": "2026', "[]", "7", "{}", json.dumps({**vars(ENTRY), "public_score": "high"}),
     json.dumps({**vars(ENTRY), "file": None}), json.dumps({**vars(ENTRY), "oof_accuracy": 1e999})],
)  # fmt: skip
def test_a_damaged_line_is_named_and_kept(line, ledger, tmp_path):
    ledger.append(ENTRY)
    with ledger.path.open("a") as file:
        file.write(line)  # torn: no line end
    assert ledger.damaged() == [2]
    ledger.append(replace(ENTRY, reference=3))
    assert [entry.reference for entry in ledger.entries()] == [1, 3]
    assert ledger.path.read_text().splitlines()[1] == line
    done = product.run("leaderboard", cwd=tmp_path)
    assert "ledger.jsonl, line 2: damaged, and left out here" in done.stderr
    assert "seven ≠ 1 [bold]" in done.stdout


def test_the_best_comes_first_and_those_without_a_score_last(ledger, tmp_path):
    for number, score in enumerate([0.97, None, 0.99]):
        ledger.append(replace(ENTRY, reference=number, public_score=score))
    rows = json.loads(product.run("leaderboard", "--json", cwd=tmp_path).stdout)
    assert [row["public_score"] for row in rows] == [0.99, 0.97, None]
    assert rows[0]["gap"] == pytest.approx(0.0)


def test_a_lock_that_is_held_or_cannot_be_made(tmp_path):
    path = tmp_path / ".lock"
    with (
        locked(path, seconds=0, busy="held"),
        pytest.raises(InputError, match="held"),
        locked(path, seconds=0, busy="held"),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="in the way"),
        locked(tmp_path / "file" / "x", seconds=0, busy=""),
    ):
        pass
