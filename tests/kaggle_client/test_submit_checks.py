"""What `submit` knows of a CSV before it goes anywhere, and how commands may be typed."""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

import kaggle_digits as kd
from kaggle_digits import credentials, datasets
from kaggle_digits.cli import data as data_command
from kaggle_digits.cli import ensemble, submit
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client import submit as client_submit
from kaggle_digits.runs import agreement
from kaggle_digits.submissions import clean_copy
from tests import product
from tests.helpers import ROWS
from tests.submitting import ledger, submission_text
from tests.submitting import submit as submit_to

BOM = "\ufeff"


@pytest.fixture(scope="session")
def fingerprint(data):
    return datasets.load(data).test.fingerprint


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return the folder that commands are run in, with a CSV of unknown origin."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(submission_text())
    return tmp_path


def finished_run(here: Path, name: str, csv: str, fingerprint: str | None, **changes: str) -> Path:
    """Write a finished run whose own CSV is ``csv``."""
    folder = here / "runs" / name
    folder.mkdir(parents=True)
    (folder / "submission.csv").write_text(csv)
    settings: dict[str, Any] = {"recipe": "bn20", "source": "kaggle"}
    settings["test_fingerprint"] = fingerprint
    settings |= {"folds": 5, "seeds": 1, "training": {"epochs": 3}}
    description = {"state": "finished", "settings": settings, "started": name} | changes
    (folder / "run.json").write_text(json.dumps(description))
    (folder / "metrics.json").write_text(json.dumps({"oof": {"accuracy": 0.9952}}))
    return folder


def dry_run(capsys, data, csv="a.csv"):
    """Return what ``submit --dry-run`` prints, on one line, and its warnings."""
    submit.command(Path(csv), dry_run=True, input_=data)
    said = capsys.readouterr()
    return " ".join(said.out.split()), " ".join(said.err.split())


# ------------------------------------------------------------------------------------- its origin


def test_the_run_that_made_it(here, data, fingerprint, capsys):
    finished_run(here, "one", submission_text(), fingerprint)
    said, warned = dry_run(capsys, data)
    assert "Made by runs/one for these test images. Out-of-fold accuracy: 0.99520." in said
    assert "closest" not in said
    assert warned == ""


def test_an_unknown_origin_is_compared_with_finished_runs(here, data, fingerprint, capsys):
    finished_run(here, "one", submission_text().replace(",7\n", ",1\n", 1500), fingerprint)
    finished_run(here, "two", submission_text().replace(",7\n", ",1\n", 9), fingerprint)
    said, warned = dry_run(capsys, data)
    assert "Unknown provenance: neither runs nor submissions has a record of this CSV." in said
    assert "runs/two, agrees on 27,991 of 28,000 rows (100.0%)" in said
    assert warned == ""


@pytest.mark.parametrize("shift", [1, -1, 2])
def test_a_shifted_csv_is_warned_of_and_not_refused(shift, here, data, fingerprint, capsys):
    finished_run(here, "one", submission_text(), fingerprint)
    finished_run(here, "two", submission_text().replace(",7\n", ",1\n"), fingerprint)
    (here / "a.csv").write_text(submission_text(shift))
    said, warned = dry_run(capsys, data)
    assert "of 28,000 rows" in said
    assert warned.startswith("Warning: a.csv agrees with every finished run on less than 90% of")
    assert "It is probably for other images, or for the same images in another order" in warned
    assert "compare a.csv runs/" in warned
    assert "To submit it:" in said


def test_python_warns_of_a_shifted_csv(here, data, fingerprint, monkeypatch):
    finished_run(here, "one", submission_text(), fingerprint)
    (here / "a.csv").write_text(submission_text(1))
    monkeypatch.setattr(credentials, "find", lambda: True)
    sent: Any = object()
    monkeypatch.setattr(client_submit, "send", lambda *_, **__: sent)
    with pytest.warns(UserWarning, match="probably for other images") as warned:
        assert kd.submit("a.csv", data=data) is sent
    assert warned[0].filename == __file__


def test_one_agreeing_run_is_enough(here, data, fingerprint, capsys):
    finished_run(here, "bad", submission_text(3), fingerprint)
    finished_run(here, "good", submission_text().replace(",7\n", ",1\n", 9), fingerprint)
    assert dry_run(capsys, data)[1] == ""


def test_no_run_to_compare_with(here, data, fingerprint, capsys):
    finished_run(here, "other", submission_text(1), "other images")
    finished_run(here, "unfinished", submission_text(1), fingerprint, state="running")
    said, warned = dry_run(capsys, data)
    assert "No finished run has the same test images" in said
    assert warned == ""


def test_only_regular_files_of_runs_are_read(here, fingerprint):
    finished_run(here, "large", submission_text(1) + "\n" * (2 << 20), fingerprint)
    finished_run(here, "damaged", "ImageId,Label\n1,x\n", fingerprint)
    finished_run(here, "short", "ImageId,Label\n1,2\n", fingerprint)
    link = finished_run(here, "link", "", fingerprint) / "submission.csv"
    link.unlink()
    link.symlink_to(here / "b.csv")
    (here / "b.csv").write_text(submission_text(1))
    answers = clean_copy.read(here / "a.csv").submission
    pipe = finished_run(here, "pipe", "", fingerprint) / "submission.csv"
    pipe.unlink()
    os.mkfifo(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert agreement.find_closest(answers, fingerprint, here / "runs") is None


def test_agreement_goes_by_id(here, fingerprint):
    finished_run(here, "one", submission_text(), fingerprint)
    header, *rows = submission_text().splitlines(keepends=True)
    (here / "a.csv").write_text(header + "".join(reversed(rows)))
    answers = clean_copy.read(here / "a.csv").submission
    closest = agreement.find_closest(answers, fingerprint, here / "runs")
    assert closest == agreement.Agreement(str(here / "runs" / "one"), ROWS, ROWS)


# ---------------------------------------------------------------------------------- a clean copy


@pytest.mark.parametrize(
    ("change", "oddities"),
    [
        (lambda text: text, ()),
        (lambda text: text[:-1], ()),
        (lambda text: BOM + text, ("a byte-order mark",)),
        (lambda text: text.replace("\n", "\r\n"), ("Windows line ends",)),
        (lambda text: text.replace("\n", ".0\n").replace("l.0", "l"), ("labels such as 7.0",)),
        (lambda text: text + "\n\n", ("blank lines",)),
        (lambda text: text.replace("\n2,", "\n\n2,"), ("blank lines",)),
        (lambda text: text.replace("\n2,", '\n"2",'), ("quoted fields",)),
        (lambda text: text.replace("\n2,", "\n002,"), ("ids with leading zeros",)),
        (
            lambda text: (BOM + text + "\n").replace("\n", "\r\n").replace("2,2\r", "2,2.0\r"),
            ("a byte-order mark", "Windows line ends", "blank lines", "labels such as 7.0"),
        ),
    ],
)
def test_what_is_uploaded_has_the_exact_form(change, oddities, tmp_path):
    path, good = tmp_path / "a.csv", "ImageId,Label\n3,1\n2,2\n1,0\n"
    path.write_bytes(change(good).encode())
    copy = clean_copy.read(path)
    assert copy.oddities == oddities
    assert copy.original == path.read_bytes()
    assert copy.content == (good.encode() if oddities else copy.original)


def test_a_clean_copy_is_uploaded_and_said(folder, data, server):
    path = folder / "a.csv"
    mine = (BOM + submission_text() + "\n").replace("\n", "\r\n").replace(",7\r", ",7.0\r")
    path.write_bytes(mine.encode())
    text = submit_to(folder, data, server, "--wait")
    assert "It has a byte-order mark, Windows line ends, blank lines, labels such as 7.0" in text
    assert "A clean copy with the same labels is submitted; the file itself is not changed." in text
    assert "Made by runs/bn20-5-fold" in text  # whose CSV has other bytes
    assert server.uploaded == [submission_text().encode()]
    assert server.submissions[0]["fileName"] == "a.csv"
    assert path.read_bytes() == mine.encode()
    [entry] = ledger(folder)
    assert entry["sha256"] == hashlib.sha256(mine.encode()).hexdigest()
    assert entry["size"] == len(submission_text())
    path.write_text(submission_text())  # the same answers once more, now in clean form
    assert "a.csv was already submitted" in submit_to(folder, data, server, code=2)
    assert len(server.submissions) == 1


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (0, "line 2: received ImageId '0'. Expected a whole number, 1 or more; Kaggle counts"),
        (0, 'If all ids count from 0, add 1 to each, in pandas df["ImageId"] += 1'),
        (2, 'All ids are 1 too high: correct them, in pandas df["ImageId"] -= 1'),
        (42_001, 'All ids are 42,000 too high: correct them, in pandas df["ImageId"] -= 42000'),
    ],
)  # fmt: skip
def test_ids_that_do_not_count_from_1(first, expected, here, data):
    rows = "".join(f"{first + i},7\n" for i in range(ROWS))
    (here / "a.csv").write_text("ImageId,Label\n" + rows)
    with pytest.raises(InputError) as caught:
        submit.command(Path("a.csv"), input_=data)
    assert expected in str(caught.value)


# ------------------------------------------------------------------------------- how it is typed


def test_options_of_kaggles_own_client(folder, data, server):
    done = product.call(
        "submit", "-c", "digit-recognizer", "-f", "a.csv", "-m", "by -m", "--input", data,
        cwd=folder, **server.environment(),
    )  # fmt: skip
    assert "Submitted as 'by -m': reference 1001" in done.stdout
    assert server.submissions[0]["description"] == "by -m"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "received no file. Expected one CSV with ImageId,Label, such as:"),
        ({"csv": Path("a.csv"), "file": Path("b.csv")}, "received a.csv and b.csv. Expected one"),
        ({"file": Path("a.csv"), "competition": "titanic"}, "received 'titanic'. Expected 'digit"),
    ],
    ids=str,
)
def test_wrong_ways_to_name_the_file(arguments, expected, data):
    with pytest.raises(InputError) as caught:
        submit.command(**arguments, input_=data)
    assert expected in str(caught.value)


def test_again_is_another_name_for_force(folder, data, server):
    submit_to(folder, data, server)
    assert "reference 1002" in submit_to(folder, data, server, "--again")
    for command in (["submit"], ["data", "get"]):
        shown = product.call(*command, "--help", cwd=folder).stdout
        assert "--force" in shown
        assert not [name for name in ("--again", "--competition") if name in shown]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("submission", [None, Path("new.csv")])
def test_an_ensemble_of_csvs_is_a_vote(submission, there, here):
    if not there:
        (here / "a.csv").unlink()
    with pytest.raises(InputError) as caught:
        ensemble.command([Path("a.csv"), Path("b c.csv")], submission=submission)
    target = submission or "submissions/vote.csv"
    assert f"compare a.csv 'b c.csv' --vote {target}" in str(caught.value)


def test_an_ensemble_needs_a_file_to_write(here):
    assert here
    with pytest.raises(InputError, match="received no --submission"):
        ensemble.command([Path("runs/one")])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "https://example.org/some/mnist.npz?x=1",
            ["curl -L -o mnist.npz 'https://example.org/some/mnist.npz?x=1'",
             "data get --from mnist.npz --input other"],
        ),
        ("http://example.org/", ["curl -L -o example.org http://example.org"]),
        ("https://www.kaggle.com/competitions/digit-recognizer/data",
         ["data get --source kaggle --input other"]),
        ("https://www.kaggle.com/datasets/some/mnist",
         ["Download it in a browser", "data get --from PATH --input other"]),
    ],
)  # fmt: skip
def test_an_address_is_not_a_path(address, expected, here):
    with pytest.raises(InputError) as caught:
        data_command.get(from_=Path(address), input_=Path("other"))
    assert "received an address. Expected a file or a folder on this machine" in str(caught.value)
    assert [part for part in expected if part not in str(caught.value)] == []
    assert not (here / "other").exists()


def test_names_that_drive_a_terminal_are_escaped(here, data, fingerprint, capsys):
    finished_run(here, "one\x1b[2J", submission_text(1), fingerprint)
    (here / "b\x1b[31m.csv").write_text(submission_text())
    said, warned = dry_run(capsys, data, "b\x1b[31m.csv")
    assert "\x1b" not in said + warned
    assert r"runs/one\x1b[2J, agrees on" in said
    assert r"Warning: b\x1b[31m.csv agrees" in warned
