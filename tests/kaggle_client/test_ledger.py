import errno
import hashlib
import json
import multiprocessing
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from kaggle_digits.cli import leaderboard
from kaggle_digits.errors import InputError
from kaggle_digits.files import lock
from kaggle_digits.kaggle_client.ledger import Entry, Ledger, find_best_score
from kaggle_digits.runs import Run
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


def test_a_run_has_the_scores_of_its_own_csv(tmp_path):
    run, csv = Run(tmp_path / "run"), tmp_path / "run" / "submission.csv"
    entry = replace(ENTRY, run=str(run.folder), sha256=hashlib.sha256(b"first").hexdigest())
    assert find_best_score(run, [entry]) is None  # it was removed and is being trained again
    csv.parent.mkdir()
    csv.write_bytes(b"first")
    worse = replace(entry, public_score=0.5)
    assert find_best_score(run, [worse, entry, replace(entry, public_score=None)]) == 0.98
    assert find_best_score(run, [replace(entry, run="other")]) is None
    csv.write_bytes(b"second")
    assert find_best_score(run, [entry]) is None
    unreadable = mock.Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    with (
        mock.patch("kaggle_digits.safe_reading.sha256_of", unreadable),
        pytest.raises(InputError, match=r"cannot read .*submission\.csv: Permission denied"),
    ):
        find_best_score(run, [entry])


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


def with_field(**changed) -> str:
    return json.dumps(ENTRY.to_json() | changed)


@pytest.mark.parametrize(
    "line",
    ['{"time": "2026', "[]", "7", "{}", "[" * 100_000, with_field(public_score="high"),
     with_field(file=None), with_field(oof_accuracy=1e999), with_field(reference=10**400),
     with_field(error=7), with_field(listed_before=7), b'{"time": "caf\xe9 \xff', b"\0\x1b[2J"],
)  # fmt: skip
def test_a_damaged_line_is_named_and_kept(line, ledger, tmp_path):
    ledger.append(ENTRY)
    line = line if isinstance(line, bytes) else line.encode()
    with ledger.path.open("ab") as file:
        file.write(line)  # torn: no line end
    assert ledger.damaged() == {2: line}
    ledger.append(replace(ENTRY, reference=3))
    assert [entry.reference for entry in ledger.entries()] == [1, 3]
    ledger.replace(ENTRY, replace(ENTRY, status="ERROR"))
    assert ledger.path.read_bytes().split(b"\n")[1] == line
    done = product.call("leaderboard", cwd=tmp_path)
    assert "ledger.jsonl, line 2: damaged, kept but ignored" in done.stderr
    assert "seven ≠ 1 [bold]" in done.stdout


def test_a_damaged_line_has_its_number_in_the_file(ledger):
    ledger.append(ENTRY)
    ledger.path.write_bytes(ledger.path.read_bytes() + b"\n\n{\n")
    assert ledger.damaged() == {4: b"{"}


def test_fields_of_a_later_version_are_kept(ledger, tmp_path):
    values = ENTRY.to_json() | {"rank": 7, "notes": {"extra": [1, None]}, "extra": "x"}
    ledger.path.parent.mkdir()
    ledger.path.write_text(json.dumps(values) + "\n")
    [entry] = ledger.entries()
    ledger.replace(entry, replace(entry, status="COMPLETE", public_score=0.5))
    ledger.append(ENTRY)
    kept = json.loads(ledger.path.read_text().splitlines()[0])
    assert kept == values | {"public_score": 0.5}
    shown = json.loads(product.call("leaderboard", "--json", cwd=tmp_path).stdout)
    assert [row.get("rank") for row in shown] == [None, 7]


def test_lines_of_earlier_versions_are_read(ledger):
    """They lack fields, and have one that no longer exists."""
    new = {"test_images_in_train", "sent_sha256", "size", "error"}
    values = {name: value for name, value in ENTRY.to_json().items() if name not in new}
    ledger.path.parent.mkdir()
    ledger.path.write_text(json.dumps(values | {"external": True}) + "\n")
    assert ledger.entries() == [replace(ENTRY, extra={"external": True})]
    assert ledger.entries()[0].hashes == {ENTRY.sha256}


def test_a_name_that_is_not_utf8(ledger):
    entry = replace(ENTRY, file=os.fsdecode(b"caf\xe9.csv"))
    ledger.append(entry)
    assert ledger.entries() == [entry]


def test_a_byte_order_mark_of_an_editor_is_no_damage(ledger):
    ledger.append(ENTRY)
    ledger.path.write_bytes(b"\xef\xbb\xbf" + ledger.path.read_bytes().replace(b"\n", b"\r\n"))
    assert ledger.entries() == [ENTRY]


def test_the_reason_of_an_error_and_errors_are_shown(ledger, tmp_path):
    reason = "Evaluation Exception: [must] have 28000 rows \x1b[2J"
    ledger.append(replace(ENTRY, status="ERROR", public_score=None, error=reason, reference=7))
    ledger.append(replace(ENTRY, public_score=0.99757))
    done = product.call("leaderboard", cwd=tmp_path)
    shown = reason.replace("\x1b", "\\x1b")
    assert f"Kaggle could not score a.csv (7): {shown}\n" in done.stdout
    assert "0.99757  68 " in done.stdout
    rows = json.loads(product.call("leaderboard", "--json", cwd=tmp_path).stdout)
    assert [(row["errors"], row["error"]) for row in rows] == [(68, None), (None, reason)]


def test_scores_that_contradict_each_other_are_named(ledger, tmp_path):
    ledger.append(replace(ENTRY, public_score=0.12345))
    expected = "The score of a.csv (reference 1) is not a whole number of errors in 28,000 rows"
    assert expected in product.call("leaderboard", cwd=tmp_path).stdout
    done = product.call("leaderboard", "--json", cwd=tmp_path)
    assert expected in done.stderr
    assert json.loads(done.stdout)[0]["errors"] is None


def test_the_best_comes_first_and_those_without_a_score_last(ledger, tmp_path):
    for number, score in enumerate([0.97, None, 0.99]):
        ledger.append(replace(ENTRY, reference=number, public_score=score))
    rows = json.loads(product.call("leaderboard", "--json", cwd=tmp_path).stdout)
    assert [row["public_score"] for row in rows] == [0.99, 0.97, None]
    assert rows[0]["gap"] == pytest.approx(0.0)


def test_a_lock_that_is_held_or_cannot_be_made(tmp_path):
    path = tmp_path / ".lock"
    with (
        lock(path, seconds=0, busy="held"),
        pytest.raises(InputError, match="held"),
        lock(path, seconds=0, busy="held"),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="parent folder is a file"),
        lock(tmp_path / "file" / "x", seconds=0, busy=""),
    ):
        pass


def test_a_narrow_terminal_keeps_scores_whole(monkeypatch, capsys):
    terminal = partial(Console, width=60, force_terminal=True, color_system=None)
    monkeypatch.setattr("rich.console.Console", terminal)
    entry = replace(ENTRY, file="submissions/record.csv", message="a long message " * 3)
    leaderboard._print_table([leaderboard._describe(entry, None)])
    text = capsys.readouterr().out
    assert all(word in text for word in ("0.98000", "560", "submissions/record.csv", "COMPLETE"))
    assert not any(word in text for word in ("…", "long", "sent"))
