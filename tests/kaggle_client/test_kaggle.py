"""Kaggle end to end: the real client, in a real process, against a server on the loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from kaggle_digits.safe_reading import sha256_of
from tests import kaggle_server, product
from tests.helpers import competition_files
from tests.kaggle_server import CUT, HANG, HTML, RESET
from tests.submitting import ledger, require_no_secret, submit

RULES = "https://www.kaggle.com/competitions/digit-recognizer/rules"
STALE = "KGAT_stale"
SHORT = 1.5  # seconds; long enough for a busy machine, short enough for a test


def test_push_wait_and_what_is_left_of_it(folder, data, server):
    server.looks = 3
    server.archive = (folder / "a.csv").read_bytes()
    text = submit(folder, data, server, "--message", "first [try]", "--wait")
    assert "a.csv: 28,000 rows" in text
    assert "Submissions today: 0 made, 5 left before this one" in text
    assert "reference 1001" in text
    assert "Public score 0.99000 (280 errors), rank 3" in text  # two of the board's are better
    assert server.uploaded == [(folder / "a.csv").read_bytes()]
    [entry] = ledger(folder)
    assert entry.pop("sha256") == sha256_of(folder / "a.csv") == entry.pop("sent_sha256")
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "file": "a.csv", "message": "first [try]", "run": "runs/bn20-5-fold", "recipe": "bn20",
        "oof_accuracy": 0.9952, "reference": 1001, "status": "COMPLETE", "public_score": 0.99,
        "test_images_in_train": 0, "size": (folder / "a.csv").stat().st_size, "error": None,
    }  # fmt: skip

    text = submit(folder, data, server, code=2)  # the same bytes
    assert "a.csv was already submitted" in text
    assert "reference 1001, public score 0.99000" in text
    assert "--force" in text
    assert "was already submitted" in submit(folder, data, server, "--if-possible")
    assert len(server.submissions) == 1
    assert "reference 1002" in submit(folder, data, server, "--force")
    assert len(server.submissions) == 2

    shown = product.call("leaderboard", cwd=folder).stdout
    assert "0.99000  280     0.99520   -0.00520" in shown
    assert "first [try]" in shown
    rows = json.loads(product.call("leaderboard", "--json", cwd=folder).stdout)
    assert [row["public_score"] for row in rows] == [0.99, None]
    assert "0.99000" in product.call("runs", cwd=folder).stdout


SCRIPT = """
import sys
import kaggle_digits as kd
try:
    result = kd.submit("a.csv", sys.argv[1], message="from a script", wait=True)
except kd.KaggleDigitsError as error:
    print(error)
else:
    print(result.reference, result.public_score, result.rank, result.entry.message)
"""


def submit_from_script(folder, data, **variables):
    """Return what a script is told that calls `kaggle_digits.submit`, and which runs once."""
    (folder / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(data)],
        cwd=folder,
        env=product.environment(**variables),
        capture_output=True,
        text=True,
        check=True,
    )
    require_no_secret(folder, done.stdout + done.stderr)
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_script_submits_with_the_same_guards(folder, data, server):
    told = submit_from_script(folder, data)
    assert told.startswith("no credentials for Kaggle")
    told = submit_from_script(folder, data, **server.environment())
    assert told == "1001 0.99 3 from a script"
    assert [entry["message"] for entry in ledger(folder)] == ["from a script"]
    told = submit_from_script(folder, data, **server.environment())
    assert "a.csv was already submitted" in told
    assert len(server.submissions) == 1


def test_refresh_fetches_what_was_pending(folder, data, server):
    server.looks = 100
    assert "leaderboard --refresh" in submit(folder, data, server)
    assert ledger(folder)[0]["status"] == "PENDING"
    server.looks = 0
    done = product.call("leaderboard", "--refresh", cwd=folder, **server.environment(token=True))
    assert "1 of 1 entries changed" in done.stderr
    assert ledger(folder)[0]["public_score"] == 0.99
    product.call("leaderboard", "--refresh", cwd=folder, code=2)  # no credentials


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (401, ["does not accept your credentials", "KAGGLE_KEY"]),
        ((403, "You must accept this competition's rules"), [RULES, "must accept this"]),
        ((403, "Permission 'competitions.get' was denied"), [RULES, "no longer exists"]),
        (404, ["not found on Kaggle", "https://www.kaggle.com/competitions/digit-recognizer"]),
        (429, ["Wait some minutes"]),
        (500, ["(500: code 500 (secret) see (address))", "again later"]),
        (RESET, ["the connection to Kaggle failed"]),
        (HTML, ["cannot be read", "a web page"]),
        (HANG, ["did not answer within 1.5 s", "KAGGLE_DIGITS_TIMEOUT="]),
    ],
    ids=str,
)
def test_faults_before_anything_is_sent(fault, expected, folder, data, server):
    server.faults["ListSubmissions"] = fault
    patience = SHORT if fault == HANG else 20
    text = submit(folder, data, server, code=1, KAGGLE_DIGITS_TIMEOUT=str(patience))
    assert [part for part in expected if part not in text] == []
    assert "CreateSubmission" not in server.calls
    assert "PUT" not in server.calls
    assert not ledger(folder)


def test_refused_connection(folder, data, server):
    nobody = {"HTTP_PROXY": product.NOWHERE, "http_proxy": product.NOWHERE}
    text = submit(folder, data, server, code=1, **nobody)
    assert "the connection to Kaggle failed (Connection refused)" in text
    assert not ledger(folder)


@pytest.mark.parametrize(
    ("step", "fault", "expected"),
    [
        ("StartSubmissionUpload", 400, "rejected the request (400: code 400 (secret) see"),
        ("PUT", 403, "the upload to Kaggle's storage failed, so nothing was submitted"),
        ("CreateSubmission", 403, RULES),
    ],
    ids=str,
)
def test_what_kaggle_refuses_leaves_no_line(step, fault, expected, folder, data, server):
    server.faults[step] = fault
    assert expected in submit(folder, data, server, code=1)
    assert server.calls.count("StartSubmissionUpload") == 1
    assert not server.submissions
    assert not ledger(folder)


@pytest.mark.parametrize(
    ("step", "fault", "expected"),
    [
        ("StartSubmissionUpload", 500, "Kaggle failed (500"),
        ("PUT", RESET, "Kaggle did not answer within 3 s"),
        ("PUT", HANG, "Kaggle did not answer within 3 s"),
        ("CreateSubmission", HTML, "Kaggle's answer cannot be read"),
        ("CreateSubmission", HANG, "Kaggle did not answer"),
    ],
    ids=str,
)
def test_a_lost_answer_of_what_never_arrived(step, fault, expected, folder, data, server):
    server.faults[step] = fault
    text = submit(folder, data, server, code=1, KAGGLE_DIGITS_TIMEOUT=str(SHORT))
    assert f"a.csv was probably not submitted: {expected}" in text
    assert "Run the same command again: it searches again" in text
    assert server.calls.count("StartSubmissionUpload") == 1
    assert not server.submissions
    assert [entry["status"] for entry in ledger(folder)] == ["UNKNOWN"]
    server.faults.clear()
    text = submit(folder, data, server, KAGGLE_DIGITS_TIMEOUT="6")
    assert "never arrived" in text
    assert [entry["reference"] for entry in ledger(folder)] == [1001]


def test_what_failed_can_be_submitted_again(folder, data, server):
    server.faults["PUT"] = 500
    submit(folder, data, server, code=1)
    server.faults.clear()
    submit(folder, data, server)
    assert len(server.submissions) == len(ledger(folder)) == 1


@pytest.mark.parametrize("fault", [404, 500, (400, "no limits here")], ids=str)
def test_limits_that_kaggle_does_not_tell(fault, folder, data, server):
    server.faults["GetSubmissionLimits"] = fault
    text = submit(folder, data, server)
    assert "Submissions left today: unknown, because Kaggle does not give their number" in text
    assert "Submitting anyway" in text
    assert len(server.submissions) == 1


def test_ctrl_c_while_waiting(folder, data, server):
    server.looks = 10_000
    process = product.started(
        "submit", "a.csv", "--input", data, "--wait", cwd=folder, **server.environment()
    )
    while server.calls.count("ListSubmissions") < 3:
        time.sleep(0.02)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert ledger(folder)[0]["status"] == "PENDING"


def test_pending_for_ever(folder, data, server):
    server.looks = 10_000
    text = submit(folder, data, server, "--wait", code=1, KAGGLE_DIGITS_TIMEOUT="0.7")
    assert "no score after 7 s: submission 1001 is still PENDING" in text
    assert "leaderboard --refresh" in text
    assert 5 < server.calls.count("ListSubmissions") < 40  # the pauses grow
    assert len(server.submissions) == 1


def test_error_with_a_reason(folder, data, server):
    reason = f"Evaluation Exception: Submission must have 28000 rows. See {kaggle_server.UPLOAD}"
    server.scored = {"status": "ERROR", "errorDescription": reason}
    text = submit(folder, data, server, "--wait", code=1)
    assert "could not score submission 1001: Evaluation Exception: Submission must have" in text
    assert ledger(folder)[0]["status"] == "ERROR"


def test_an_unknown_status_and_faults_while_waiting(folder, data, server):
    server.scored = {"status": "AWAITING_GPU"}
    process = product.started(
        "submit", "a.csv", "--input", data, "--wait", cwd=folder, **server.environment()
    )
    while server.calls.count("ListSubmissions") < 4:
        time.sleep(0.02)
        assert process.poll() is None
    assert ledger(folder)[0]["status"] == "AWAITING_GPU"
    server.faults |= {"ListSubmissions": 503, "GetLeaderboard": 500}
    time.sleep(0.5)
    server.scored = {"status": "COMPLETE", "publicScore": "0.97"}
    server.faults.pop("ListSubmissions")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "nknown status AWAITING_GPU; still waiting" in output
    assert "Public score 0.97000 (840 errors), its rank on the leaderboard is unknown" in output


def test_no_submissions_left(folder, data, server):
    server.left = 1
    submit(folder, data, server)
    text = submit(folder, data, server, "--force", code=1)
    assert "accepts no more submissions today: 1 were made" in text
    assert len(server.submissions) == len(ledger(folder)) == 1


def test_two_at_once_push_once(folder, data, server):
    both = [
        product.started("submit", "a.csv", "--input", data, cwd=folder, **server.environment())
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert len(server.submissions) == len(ledger(folder)) == 1


def test_what_is_not_pushed(folder, data, server, sample):
    later = "submit a.csv --input"
    assert later in submit(folder, data, server, "--dry-run")
    nobody = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    text = submit(folder, data, server, code=2, **nobody)
    assert "no credentials" in text
    assert later in text
    assert later in submit(folder, data, server, "--if-possible", **nobody)
    text = submit(folder, sample, server, code=2)
    assert "28,000 rows; expected 355" in text
    rows = "".join(f"{i},0\n" for i in range(1, 356))
    (folder / "a.csv").write_text("ImageId,Label\n" + rows)
    assert "is not for the competition" in submit(folder, sample, server, code=2)
    assert "is not for the competition" in submit(folder, sample, server, "--if-possible")
    assert "355 rows; expected 28,000" in submit(folder, data, server, "--if-possible", code=2)
    assert server.calls == []


def test_a_timeout_that_is_no_number(folder, data, server):
    text = submit(folder, data, server, code=2, KAGGLE_DIGITS_TIMEOUT="soon")
    assert "KAGGLE_DIGITS_TIMEOUT is 'soon': expected a number of seconds" in text


# ---------------------------------------------------------------------------------------- download


def get(folder, server, *options, code=0, **environment):
    extra = server.environment() | environment
    done = product.call("data", "get", *options, cwd=folder, code=code, **extra)
    require_no_secret(folder, done.stdout + done.stderr)
    assert not {word for word in ("Traceback", "Warning") if word in done.stderr}
    return " ".join((done.stdout + done.stderr).split())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_download(tmp_path, archive, server):
    server.archive = archive
    text = get(tmp_path, server)  # auto, with credentials
    assert "kaggle data, 60 train and 28,000 test images (Kaggle)" in text
    there = {path.name for path in (tmp_path / "input").iterdir()}
    expected = {"train.csv", "test.csv", "sample_submission.csv"}
    assert there - {".cache"} == expected | {"source.json"}
    assert not list(tmp_path.rglob("evil*"))
    assert not list(tmp_path.parent.glob("evil*"))
    for options in ((), ("--source", "kaggle")):
        assert "already there" in get(tmp_path, server, *options)
    assert server.calls.count("GET") == 1
    get(tmp_path, server, "--source", "kaggle", "--force")
    assert server.calls.count("GET") == 2


def test_the_sample_gives_way_to_the_download(tmp_path, archive, server, sample):
    shutil.copytree(sample, tmp_path / "input")
    server.archive = archive
    assert "sample data" in get(tmp_path, server)
    assert "kaggle data" in get(tmp_path, server, "--source", "kaggle")


@pytest.mark.parametrize(
    ("step", "fault", "expected"),
    [
        ("DownloadDataFiles", 401, "does not accept your credentials"),
        ("DownloadDataFiles", 403, RULES),
        ("DownloadDataFiles", 404, "not found on Kaggle"),
        ("DownloadDataFiles", 500, "run the same command again later"),
        ("DownloadDataFiles", HTML, "Kaggle's download is not a zip file"),
        ("DownloadDataFiles", HANG, "received nothing for 1.5 s after 0 bytes"),
        ("GET", 403, RULES),
        ("GET", HTML, "Kaggle's download is not the complete data"),
        ("GET", HANG, "received nothing for 1.5 s after 0 bytes"),
        ("GET", CUT, "the download received nothing for 1.5 s after"),
    ],
    ids=str,
)
def test_faults_of_a_download(step, fault, expected, tmp_path, archive, server, sample):
    server.archive = archive
    shutil.copytree(sample, tmp_path / "input")
    server.faults[step] = fault
    patience = SHORT if fault in (HANG, CUT) else 20
    text = get(tmp_path, server, "--source", "kaggle", code=1, KAGGLE_DIGITS_TIMEOUT=str(patience))
    assert expected in text
    assert contents(tmp_path / "input") == contents(sample)
    assert not list((tmp_path / "input").glob(".kaggle*"))


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_download_that_is_ended_leaves_nothing_for_long(how, code, tmp_path, archive, server):
    server.archive = archive
    server.faults["GET"] = HANG
    process = product.started(
        "data", "get", "--source", "kaggle", cwd=tmp_path, **server.environment()
    )
    while "GET" not in server.calls:
        time.sleep(0.02)
        assert process.poll() is None
    assert len(list((tmp_path / "input").glob(".kaggle*"))) == 1
    os.kill(process.pid, how)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert len(list((tmp_path / "input").glob(".kaggle*"))) == (how == signal.SIGKILL)
    server.faults.clear()
    assert "kaggle data" in get(tmp_path, server, "--source", "kaggle")
    assert not list((tmp_path / "input").glob(".kaggle*"))


def test_a_zip_that_is_short_or_of_something_else(tmp_path, archive, server):
    server.archive = archive[: len(archive) // 2]
    text = get(tmp_path, server, "--source", "kaggle", code=1)
    assert "is broken" in text
    assert [path.name for path in (tmp_path / "input").iterdir()] == [".cache"]  # with the lock
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as packed:
        for name, content in competition_files().items():
            packed.writestr(name, content)
    server.archive = other.read_bytes()
    text = get(tmp_path, server, "--source", "kaggle", code=1)
    assert "csv with 60 train and 20 test images" in text


def test_no_network_and_auto_is_no_sample(tmp_path, server):
    nobody = {"HTTP_PROXY": product.NOWHERE, "http_proxy": product.NOWHERE}
    text = get(tmp_path, server, code=1, **nobody)
    assert "the connection to Kaggle failed (Connection refused)" in text
    assert [path.name for path in (tmp_path / "input").iterdir()] == [".cache"]  # with the lock
