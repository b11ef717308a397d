"""A submission whose answer is lost is never sent twice: the real client, killed at each step."""

import json
import time
from datetime import timedelta

import pytest

from tests import product
from tests.kaggle_server import DO_AND_HANG, HANG, LOSE_ANSWER
from tests.submitting import ledger, submission_text, submit

QUICK = {"KAGGLE_DIGITS_TIMEOUT": "6"}  # seconds: the looks at the list take 1.5 in all


def kill_at(step, fault, folder, data, server):
    """Run ``submit``, kill it while ``step`` has its ``fault``, and mend the fault."""
    server.faults[step] = fault
    process = product.started(
        "submit", "a.csv", "--input", data, cwd=folder, **server.environment()
    )
    while step not in server.calls:
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.2)
    process.kill()
    process.communicate()
    server.faults.clear()


@pytest.mark.parametrize(
    ("step", "fault", "arrived", "late"),
    [
        ("ListSubmissions", HANG, False, 0),
        ("StartSubmissionUpload", HANG, False, 0),
        ("PUT", HANG, False, 0),
        ("PUT", DO_AND_HANG, False, 0),
        ("CreateSubmission", HANG, False, 0),
        ("CreateSubmission", DO_AND_HANG, True, 0),
        ("CreateSubmission", DO_AND_HANG, True, 1),
        ("CreateSubmission", DO_AND_HANG, True, 3),
    ],
    ids=str,
)
def test_killed_and_started_again(step, fault, arrived, late, folder, data, server):
    server.late = late
    kill_at(step, fault, folder, data, server)
    assert [entry["status"] for entry in ledger(folder)] == ["UNKNOWN"] * (
        step != "ListSubmissions"
    )
    text = submit(folder, data, server, code=2 if arrived else 0, **QUICK)
    assert ("already submitted" in text) == arrived
    assert len(server.submissions) == 1
    assert [(entry["reference"], entry["sha256"] != "") for entry in ledger(folder)] == [
        (1001, True)
    ]
    assert "listed_before" not in ledger(folder)[0]


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_play_no_part(hours, folder, data, server):
    server.clock = timedelta(hours=hours)
    kill_at("CreateSubmission", DO_AND_HANG, folder, data, server)
    assert "reference 1001" in submit(folder, data, server, code=2, **QUICK)
    assert len(server.submissions) == 1


@pytest.mark.parametrize("late", [0, 2])
def test_a_lost_answer_is_found_in_the_list(late, folder, data, server):
    server.faults["CreateSubmission"] = LOSE_ANSWER
    server.late = late
    server.submissions.append({"ref": 5, "fileName": "a.csv", "description": "kaggle-digits a"})
    assert "reference 1002" in submit(folder, data, server, **QUICK)
    assert len(server.submissions) == 2
    assert ledger(folder)[0]["reference"] == 1002


def test_the_references_before_are_recorded_before_it_is_sent(folder, data, server):
    server.submissions.append({"ref": 5, "fileName": "a.csv", "description": "kaggle-digits a"})
    kill_at("StartSubmissionUpload", HANG, folder, data, server)
    [entry] = ledger(folder)
    assert entry["listed_before"] == [5]
    assert entry["size"] == len(submission_text())
    assert "never arrived" in submit(folder, data, server, **QUICK)  # 5 is not it
    assert len(server.submissions) == 2


@pytest.mark.parametrize(
    "change", [{"description": "by hand"}, {"totalBytes": 7}, {"fileName": "", "description": ""}]
)
def test_what_cannot_be_known_needs_force(change, folder, data, server):
    kill_at("CreateSubmission", DO_AND_HANG, folder, data, server)
    server.submissions[0] |= change
    text = submit(folder, data, server, code=2, **QUICK)
    assert "it is unknown whether a.csv was submitted at" in text
    assert "--force submits it" in text
    assert len(server.submissions) == 1
    text = submit(folder, data, server, "--if-possible", code=2, **QUICK)
    assert "it is unknown" in text
    assert "reference 1002" in submit(folder, data, server, "--force", **QUICK)
    assert [entry["status"] for entry in ledger(folder)] == ["UNKNOWN", "PENDING"]


@pytest.mark.parametrize("left_out", [("totalBytes",), ("description",), ("fileName",)], ids=str)
def test_what_the_list_lacks_is_no_difference(left_out, folder, data, server):
    kill_at("CreateSubmission", DO_AND_HANG, folder, data, server)
    server.left_out = left_out
    assert "reference 1001" in submit(folder, data, server, code=2, **QUICK)
    assert len(server.submissions) == 1


def test_a_list_that_fails_after_a_lost_answer(folder, data, server):
    server.faults["CreateSubmission"] = 500
    process = product.started(
        "submit", "a.csv", "--input", data, cwd=folder, **server.environment()
    )
    while "PUT" not in server.calls:
        time.sleep(0.01)
    server.faults["ListSubmissions"] = 500
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "it is unknown whether a.csv was submitted. First: Kaggle failed (500" in said
    assert ledger(folder)[0]["status"] == "UNKNOWN"
    server.faults.clear()
    done = product.call("leaderboard", "--refresh", cwd=folder, **server.environment() | QUICK)
    assert "never arrived" in done.stderr
    assert "Nothing was submitted yet" in done.stdout
    assert not ledger(folder)


def test_refresh_settles_what_was_killed(folder, data, server):
    kill_at("CreateSubmission", DO_AND_HANG, folder, data, server)
    done = product.call("leaderboard", "--refresh", cwd=folder, **server.environment() | QUICK)
    assert "1 of 1 entries changed" in done.stderr
    assert ledger(folder)[0]["public_score"] == 0.99


def test_a_damaged_line_about_the_same_file_needs_force(folder, data, server):
    submit(folder, data, server)
    path = folder / "submissions" / "ledger.jsonl"
    damaged = path.read_bytes()[:-9] + b"\xff\n"
    path.write_bytes(damaged)
    text = submit(folder, data, server, code=2)
    assert "ledger.jsonl, line 1: damaged" in text
    assert "line 1 of submissions/ledger.jsonl, which records it, is damaged" in text
    submit(folder, data, server, "--force")
    assert path.read_bytes().startswith(damaged)
    assert json.loads(path.read_bytes().splitlines()[1])["reference"] == 1002
