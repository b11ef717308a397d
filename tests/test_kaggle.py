"""Kaggle end to end: the real client, in a real process, against a server on the loopback."""

import gzip
import json
import os
import shutil
import signal
import time
import zipfile
from pathlib import Path

import pytest

from tests import kaggle_server, product
from tests.helpers import PIXELS, competition_files
from tests.kaggle_server import CUT, HANG, HTML, LOSE_ANSWER, RESET, SECRETS

ROWS = 28_000
RULES = "https://www.kaggle.com/competitions/digit-recognizer/rules"
STALE = "KGAT_stale"
SHORT = 1.5  # seconds; long enough for a busy machine, short enough for a test


@pytest.fixture(scope="module")
def texts():
    """Return the competition's files, small but for the number of test images."""
    row = ",".join("0" * len(PIXELS))
    return competition_files(train=60) | {
        "test.csv": ",".join(PIXELS) + "\n" + f"{row}\n" * ROWS,
        "sample_submission.csv": "ImageId,Label\n"
        + "".join(f"{i},0\n" for i in range(1, ROWS + 1)),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("data")
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(texts[name].encode(), 1))
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("zip") / "digit-recognizer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, text in texts.items():
            packed.writestr(name, text)
        packed.writestr("../evil.csv", "x")
        packed.writestr("notes/train.csv", "x")
    return path.read_bytes()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Return an input folder with the embedded sample, not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    product.run("data", "get", "--source", "sample", "--input", folder, cwd=folder)
    return folder


@pytest.fixture
def server():
    with kaggle_server.running() as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a CSV for the competition, which a run made."""
    csv = "ImageId,Label\n" + "".join(f"{i},{i % 10}\n" for i in range(1, ROWS + 1))
    (tmp_path / "a.csv").write_text(csv)
    run = tmp_path / "runs" / "bn20-5-fold"
    run.mkdir(parents=True)
    (run / "submission.csv").write_text(csv)
    settings = {"recipe": "bn20", "folds": 5, "seeds": 1, "source": "kaggle",
                "training": {"epochs": 3}}  # fmt: skip
    description = {
        "state": "finished",
        "settings": settings,
        "started": "2026-01-01T00:00:00+00:00",
    }
    (run / "run.json").write_text(json.dumps(description))
    metrics = {"oof": {"accuracy": 0.9952, "log_loss": 0.02}, "seconds": 7.0}
    (run / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def submit(folder, data, server, *options, code=0, **environment):
    """Run ``submit a.csv`` against ``server``; return its output on one line, checked for leaks."""
    extra = server.environment() | environment
    done = product.run("submit", "a.csv", "--input", data, *options, cwd=folder, code=code, **extra)
    require_no_secret(folder, done.stdout + done.stderr)
    assert not {word for word in ("Traceback", "Warning") if word in done.stderr}
    assert code == 0 or done.stderr.startswith("Error: ")
    return " ".join((done.stdout + done.stderr).split())


def require_no_secret(folder, *texts):
    left = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for secret in SECRETS:
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in left)


def ledger(folder):
    path = folder / "submissions" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_push_wait_and_what_is_left_of_it(folder, data, server):
    server.looks = 3
    server.archive = (folder / "a.csv").read_bytes()
    text = submit(folder, data, server, "--message", "first [try]", "--wait")
    assert "a.csv: 28,000 rows" in text
    assert "Submissions today: 0 made, 5 left before this one" in text
    assert "reference 1001" in text
    assert "Public score 0.99000, rank 3" in text  # two of the board's are better
    assert server.uploaded == [(folder / "a.csv").read_bytes()]
    [entry] = ledger(folder)
    assert len(entry.pop("sha256")) == 64
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "file": "a.csv", "message": "first [try]", "run": "runs/bn20-5-fold", "recipe": "bn20",
        "oof_accuracy": 0.9952, "reference": 1001, "status": "COMPLETE", "public_score": 0.99,
        "test_images_in_train": 0,
    }  # fmt: skip

    text = submit(folder, data, server, code=2)  # the same bytes
    assert "was pushed before" in text
    assert "reference 1001, public score 0.99000" in text
    assert "--again" in text
    assert "was pushed before" in submit(folder, data, server, "--if-possible")
    assert len(server.submissions) == 1
    assert "reference 1002" in submit(folder, data, server, "--again")
    assert len(server.submissions) == 2

    shown = product.run("leaderboard", cwd=folder).stdout
    assert "0.99000  0.99520   -0.00520" in shown
    assert "first [try]" in shown
    rows = json.loads(product.run("leaderboard", "--json", cwd=folder).stdout)
    assert [row["public_score"] for row in rows] == [0.99, None]
    assert "0.99000" in product.run("runs", cwd=folder).stdout


def test_refresh_fetches_what_was_pending(folder, data, server):
    server.looks = 100
    assert "leaderboard --refresh" in submit(folder, data, server)
    assert ledger(folder)[0]["status"] == "PENDING"
    server.looks = 0
    done = product.run("leaderboard", "--refresh", cwd=folder, **server.environment(token=True))
    assert "1 of 1 entries changed" in done.stderr
    assert ledger(folder)[0]["public_score"] == 0.99
    product.run("leaderboard", "--refresh", cwd=folder, code=2)  # no credentials


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (401, ["does not accept your credentials", "KAGGLE_KEY"]),
        ((403, "You must accept this competition's rules"), [RULES, "must accept this"]),
        ((403, "Permission 'competitions.get' was denied"), [RULES, "no competition"]),
        (404, ["does not find it", "https://www.kaggle.com/competitions/digit-recognizer"]),
        (429, ["Wait some minutes"]),
        (500, ["(500: code 500 (secret) see (address))", "again later"]),
        (RESET, ["the connection to Kaggle failed"]),
        (HTML, ["cannot be read", "a web page"]),
        (HANG, ["did not answer within 1.5 s", "KAGGLE_DIGITS_TIMEOUT="]),
    ],
    ids=str,
)
def test_faults_before_anything_is_sent(fault, expected, folder, data, server):
    server.faults["GetSubmissionLimits"] = fault
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


@pytest.mark.parametrize("hangs", [False, True])
def test_a_stale_token(hangs, folder, data, server):
    """The client would ask about it while it is imported, without a deadline."""
    if hangs:
        server.faults["IntrospectToken"] = HANG
    text = submit(
        folder, data, server, code=1,
        KAGGLE_API_TOKEN=STALE, KAGGLE_DIGITS_TIMEOUT=str(SHORT if hangs else 20),
    )  # fmt: skip
    expected = "did not answer" if hangs else "KAGGLE_API_TOKEN, which wins over kaggle.json"
    assert expected in text
    assert STALE not in text
    assert server.calls == ["IntrospectToken"]


def test_a_token_works(folder, data, server):
    assert "reference 1001" in submit(folder, data, server, KAGGLE_API_TOKEN=kaggle_server.TOKEN)
    assert server.calls.count("IntrospectToken") == 1


def test_a_token_in_a_file_works(folder, data, server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "access_token").write_text(kaggle_server.TOKEN + "\n")
    mine = {"HOME": str(home), "KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    assert "reference 1001" in submit(folder, data, server, **mine)


@pytest.mark.parametrize(
    ("step", "fault", "expected"),
    [
        ("StartSubmissionUpload", 400, ["did not take it", "today's submissions are used up"]),
        ("StartSubmissionUpload", 500, ["nothing was submitted: Kaggle failed (500"]),
        ("PUT", 403, ["the upload to Kaggle's storage failed, so nothing was submitted"]),
        ("PUT", RESET, ["nothing was submitted: Kaggle did not answer within 3 s"]),
        ("PUT", HANG, ["nothing was submitted: Kaggle did not answer within 3 s"]),
        ("CreateSubmission", 403, [RULES]),
        ("CreateSubmission", HTML, ["nothing was submitted: Kaggle's answer cannot be read"]),
        ("CreateSubmission", HANG, ["nothing was submitted: Kaggle did not answer"]),
    ],
    ids=str,
)
def test_faults_while_it_is_sent(step, fault, expected, folder, data, server):
    server.faults[step] = fault
    patience = SHORT if fault in (HANG, RESET) else 20
    text = submit(folder, data, server, code=1, KAGGLE_DIGITS_TIMEOUT=str(patience))
    assert [part for part in expected if part not in text] == []
    assert server.calls.count("StartSubmissionUpload") == 1
    assert not server.submissions
    assert not ledger(folder)


def test_what_failed_can_be_pushed_again(folder, data, server):
    server.faults["PUT"] = 500
    submit(folder, data, server, code=1)
    server.faults.clear()
    submit(folder, data, server)
    assert len(server.submissions) == len(ledger(folder)) == 1


def test_an_answer_lost_after_the_submission_was_accepted(folder, data, server):
    server.faults["CreateSubmission"] = LOSE_ANSWER
    assert "reference 1001" in submit(folder, data, server)
    assert len(server.submissions) == 1
    assert ledger(folder)[0]["reference"] == 1001


def test_an_outcome_that_cannot_be_looked_up_is_settled_later(folder, data, server):
    process = product.started(
        "submit", "a.csv", "--input", data, cwd=folder, **server.environment(timeout=20)
    )
    server.faults["CreateSubmission"] = HANG
    while "CreateSubmission" not in server.calls:
        time.sleep(0.02)
        assert process.poll() is None
    process.kill()
    process.communicate()
    [entry] = ledger(folder)
    assert (entry["status"], entry["reference"]) == ("UNKNOWN", None)
    server.faults.clear()
    server.submissions.append(  # it had arrived, and another of the same name long before
        {"ref": 77, "fileName": "a.csv", "description": entry["message"], "status": "COMPLETE",
         "publicScore": "0.98", "date": entry["time"][:19] + ".5Z"}
    )  # fmt: skip
    server.submissions.append(server.submissions[0] | {"ref": 5, "date": "2020-01-01T00:00:00Z"})
    assert "reference 77, public score" in submit(folder, data, server, code=2)
    assert "StartSubmissionUpload" in server.calls
    assert server.calls.count("StartSubmissionUpload") == 1
    assert ledger(folder)[0]["reference"] == 77


def test_an_unknown_outcome_is_said_and_gone_if_it_never_arrived(folder, data, server):
    server.faults |= {"CreateSubmission": 500}
    environment = server.environment()
    process = product.started("submit", "a.csv", "--input", data, cwd=folder, **environment)
    while "PUT" not in server.calls:
        time.sleep(0.01)
    server.faults["ListSubmissions"] = 500
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "it is not known whether a.csv was submitted" in said
    assert ledger(folder)[0]["status"] == "UNKNOWN"
    server.faults.clear()
    done = product.run("leaderboard", "--refresh", cwd=folder, **environment)
    assert "Nothing was pushed yet" in done.stdout
    assert not ledger(folder)


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
    assert "status AWAITING_GPU is not known here" in output
    assert "Public score 0.97000, its place on the leaderboard is not known" in output


def test_no_submissions_left(folder, data, server):
    server.left = 1
    submit(folder, data, server)
    text = submit(folder, data, server, "--again", code=1)
    assert "takes no more submissions today: 1 were made" in text
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
    assert "there are no credentials" in text
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
    done = product.run("data", "get", *options, cwd=folder, code=code, **extra)
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
        assert "what was there" in get(tmp_path, server, *options)
    assert server.calls.count("GET") == 1
    get(tmp_path, server, "--source", "kaggle", "--again")
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
        ("DownloadDataFiles", 404, "does not find it"),
        ("DownloadDataFiles", 500, "run the same command again later"),
        ("DownloadDataFiles", HTML, "Kaggle sent no zip file"),
        ("DownloadDataFiles", HANG, "stood still for 1.5 s after 0 bytes"),
        ("GET", 403, RULES),
        ("GET", HTML, "what Kaggle sent is not the competition's data, whole"),
        ("GET", HANG, "stood still for 1.5 s after 0 bytes"),
        ("GET", CUT, "the download stood still for 1.5 s after"),
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
    assert not list((tmp_path / "input").glob(".download*"))


def test_a_zip_that_is_short_or_of_something_else(tmp_path, archive, server):
    server.archive = archive[: len(archive) // 2]
    text = get(tmp_path, server, "--source", "kaggle", code=1)
    assert "is broken" in text
    assert not list((tmp_path / "input").iterdir())
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
    assert not list(Path(tmp_path / "input").iterdir())
