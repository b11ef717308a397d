"""`kaggle-digits compare` as a user types it."""

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from kaggle_digits import files, submissions
from kaggle_digits.kaggle_client.ledger import Entry, Ledger
from kaggle_digits.safe_reading import sha256_of
from tests import product
from tests.helpers import labels, write_competition
from tests.test_imports import modules_after

ROWS = 200


def csv(path: Path, differing: int = 0, rows: int = ROWS) -> Path:
    """Write 0, 1, … 9, 0, …, of which the last ``differing`` rows say the next digit."""
    answers = labels(rows)
    answers[rows - differing :] = (answers[rows - differing :] + 1) % 10
    submissions.write(path, np.arange(1, rows + 1), answers)
    return path


def note(folder: Path, **scores: float | None) -> None:
    """Write a ledger that knows the ``scores`` of ``folder/NAME.csv``."""
    for name, score in scores.items():
        Ledger(folder / "submissions" / "ledger.jsonl").append(
            Entry(
                time="2026-01-01T00:00:00+00:00",
                file="elsewhere.csv",
                sha256=sha256_of(folder / f"{name}.csv"),
                message="",
                run=None,
                recipe=None,
                oof_accuracy=None,
                reference=1,
                status="PENDING" if score is None else "COMPLETE",
                public_score=score,
            )
        )


def finished_run(folder: Path, *, wrong: range, oof: bool = True, ids: int = 100) -> Path:
    """Write what a finished run leaves; it is wrong about the held out images at ``wrong``."""
    files.write_json(
        folder / "run.json",
        {"state": "finished", "settings": {"test_fingerprint": "t", "folds": 2, "seeds": 1}},
    )
    truth = labels(ids)
    said = truth.copy()
    said[wrong.start : wrong.stop] = (said[wrong.start : wrong.stop] + 1) % 10
    if oof:
        files.write_npz(
            folder / "oof.npz",
            rows=np.arange(ids),
            ids=np.arange(1, ids + 1),
            labels=truth,
            probabilities=np.eye(10, dtype=np.float32)[said],
        )
    csv(folder / "submission.csv", differing=len(wrong))
    return folder


def compare(*arguments: str | Path, cwd: Path, code: int = 0) -> str:
    done = product.call("compare", *arguments, cwd=cwd, code=code)
    return done.stdout if code == 0 else " ".join(done.stderr.split())


def test_two_files(tmp_path):
    (tmp_path / "a.csv").write_text("ImageId,Label\n1,4\n2,3\n3,1\n")
    (tmp_path / "b.csv").write_text("ImageId,Label\n3,1\n1,9\n2,3\n")
    text = compare("a.csv", "b.csv", "--vote", "new/v.csv", cwd=tmp_path)
    assert text == (
        "[1] a.csv\n"
        "[2] b.csv\n"
        "\n"
        "agreement over 3 images\n"
        "           [1]      [2]\n"
        "  [1]  1.00000  0.66667\n"
        "  [2]  0.66667  1.00000\n"
        "\n"
        "disagreements of each pair, by predicted digit\n"
        "    A    B   images  A says  B says   times\n"
        "  [1]  [2]        1       4       9       1\n"
        "\n"
        "1 disputed image, the most split first\n"
        "  ImageId   [1]   [2]\n"
        "        1     4     9\n"
        "\n"
        "majority vote written to new/v.csv\n"
    )
    assert (tmp_path / "new" / "v.csv").read_text() == "ImageId,Label\n1,4\n2,3\n3,1\n"


def test_equal_files(tmp_path):
    csv(tmp_path / "a.csv")
    text = compare("a.csv", "a.csv", cwd=tmp_path)
    assert "  [1]  [2]        0\n" in text
    assert "all files agree on every image" in text


def test_a_file_may_come_from_a_pipe(tmp_path):
    csv(tmp_path / "a.csv")
    csv(tmp_path / "b.csv", 1)
    command = f"{shlex.join(product.COMMAND)} compare <(cat a.csv) b.csv"
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=tmp_path,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 disputed image" in done.stdout


def test_what_is_cut_off_is_counted(tmp_path):
    for differing in range(12):
        csv(tmp_path / f"{differing}.csv", differing * 3)
    text = compare(*(f"{k}.csv" for k in range(12)), cwd=tmp_path)
    assert "46 more pairs with fewer differences: see --json" in text
    assert "others" in text
    assert text.count(" [12] ") > 3
    assert "33 disputed images" in text
    text = compare("0.csv", "11.csv", cwd=tmp_path)
    assert "18 more: see --json" in text


def test_json_holds_everything(tmp_path):
    csv(tmp_path / "a.csv")
    csv(tmp_path / "b.csv", 30)
    note(tmp_path, a=0.9)
    found = json.loads(compare("a.csv", "b.csv", "--vote", "v.csv", "--json", cwd=tmp_path))
    assert found["files"] == ["a.csv", "b.csv"]
    assert found["images"] == ROWS
    assert found["agreement"] == [[1, 0.85], [0.85, 1]]
    assert found["differences"][0]["differing"] == 30
    assert len(found["differences"][0]["digits"]) == 10
    assert found["disputed_ids"] == [*range(171, 201)]
    assert found["disputed_labels"][0] == [0, 1]
    assert found["scores"] == {"a.csv": 0.9}
    found_bounds = found["score_bounds"]
    assert (found_bounds["rows"], found_bounds["errors"]) == (200, {"a.csv": 20})
    assert found_bounds["bounds"][0] == {
        "name": "b.csv",
        "lowest": pytest.approx(0.75),
        "highest": pytest.approx(0.95),
        "fewest": 10,
        "most": 50,
        "hopeless": False,
    }
    assert found["held_out"] == []
    assert (found["vote"], found["picture"]) == ("v.csv", None)


# ---------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfImageId,Label\n1,4\n2,3\n3,1\n",
        b"ImageId,Label\r\n1,4\r\n2,3\r\n3,1\r\n",
        b'"ImageId","Label"\n"1","4"\n"2",3\n3,"1"\n',
        b"ImageId,Label\n1,4.0\n2,3.00\n3,1\n",
        b"ImageId,Label\n\n1,4\n2,3\n\n3,1\n\n",
        b"ImageId,Label\n3,1\n1,4\n2,3",
        b'\xef\xbb\xbf"ImageId","Label"\r\n"3","1.0"\r\n\r\n"2","3.0"\r\n"1","4.0"',
    ],
)
def test_what_kaggle_reads(content, tmp_path):
    (tmp_path / "a.csv").write_text("ImageId,Label\n1,4\n2,3\n3,1\n")
    (tmp_path / "b.csv").write_bytes(content)
    assert "all files agree on every image" in compare("a.csv", "b.csv", cwd=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ImageId,Label\n1,4\n2,3\n2,3\n3,1\n", "b.csv, line 4: received ImageId 2 again"),
        ("ImageId,Label\n1,4\n# half\n3,1\n", "b.csv, line 3: received the comment '# half'"),
        ("# mine\nImageId,Label\n1,4\n", "b.csv, line 1: received the header '# mine'"),
        ("ImageId,Label\n1,4\n2,3.5\n", "b.csv, line 3: received Label '3.5' for ImageId 2"),
        ("ImageId,Label\n1,4\n2,3\n", "b.csv: 2 rows; expected 3 (a.csv). Missing ImageId 3"),
        (
            "ImageId,Label\n1,4\n2,3\n3,1\n4,1\n",
            "b.csv: 4 rows; expected 3 (a.csv). Unexpected ImageId 4",
        ),
    ],
)
def test_what_is_refused(content, message, tmp_path):
    (tmp_path / "a.csv").write_text("ImageId,Label\n1,4\n2,3\n3,1\n")
    (tmp_path / "b.csv").write_text(content)
    assert message in compare("a.csv", "b.csv", "--vote", "v.csv", cwd=tmp_path, code=2)
    assert not (tmp_path / "v.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv"], "received 1 file to compare. Expected 2 or more"),
        (["a.csv", "no.csv"], "no.csv does not exist"),
        (["a.csv", "folder"], "folder is not a run: it has no readable run.json"),
        (
            ["a.csv", "b.csv", "--vote", "folder/../b.csv"],
            "would overwrite a file that is compared",
        ),
        (["a.csv", "b.csv", "--vote", "folder"], "cannot write folder: it is a folder"),
        (["a.csv", "b.csv", "--vote", "a.csv/v.csv"], "a parent folder is a file"),
        (["a.csv", "b.csv", "--picture", "p.jpg"], "Expected a name that ends in .png"),
        (["a.csv", "b.csv", "--images", "nosuch"], "nosuch does not exist"),
        (["a.csv", "b.csv", "--images", "input"], "a.csv: 200 rows; expected 20 (test images in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands(arguments, message, tmp_path):
    (tmp_path / "folder").mkdir()
    write_competition(tmp_path / "input", train=60, test=20)
    csv(tmp_path / "a.csv")
    before = csv(tmp_path / "b.csv", 3).read_bytes()
    assert message in compare(*arguments, cwd=tmp_path, code=2)
    assert (tmp_path / "b.csv").read_bytes() == before
    assert not (tmp_path / "submissions").exists()


# -------------------------------------------------------------------------------------- scores


def test_what_the_ledger_knows(tmp_path):
    csv(tmp_path / "best.csv")
    csv(tmp_path / "near.csv", 2)
    csv(tmp_path / "far.csv", 40)
    note(tmp_path, best=0.95)
    text = compare("best.csv", "near.csv", "far.csv", cwd=tmp_path)
    assert "                     score        errors\n" in text
    assert "  [1]              0.95000            10\n" in text
    assert "  [2]   0.94000 to 0.96000       8 to 12\n" in text
    assert "  [3]   0.75000 to 0.85000      30 to 50\n" in text
    assert (
        "[3] cannot score above the 0.95000 of best.csv: do not spend a submission on it." in text
    )
    assert "[2] can't" not in text
    assert "Kaggle scores all 200 rows" in text


def test_a_submission_that_can_never_win(tmp_path):
    csv(tmp_path / "best.csv")
    csv(tmp_path / "same.csv")
    csv(tmp_path / "reverse.csv", ROWS)
    (tmp_path / "same.csv").write_text((tmp_path / "best.csv").read_text().replace("\n", "\r\n"))
    note(tmp_path, best=0.95)
    text = compare("same.csv", "reverse.csv", "best.csv", cwd=tmp_path)
    assert (
        "[1] cannot score above the 0.95000 of best.csv: do not spend a submission on it." in text
    )
    assert (
        "[2] cannot score above the 0.95000 of best.csv: do not spend a submission on it." in text
    )


def test_the_ledgers_last_score_counts_and_a_pending_one_is_none(tmp_path):
    csv(tmp_path / "a.csv")
    csv(tmp_path / "b.csv", 2)
    note(tmp_path, a=None)
    assert "scores" not in compare("a.csv", "b.csv", cwd=tmp_path)
    note(tmp_path, a=0.5)
    note(tmp_path, a=0.95)
    note(tmp_path, a=None)
    assert "  [1]              0.95000            10\n" in compare("a.csv", "b.csv", cwd=tmp_path)


def test_scores_of_other_files_say_nothing(tmp_path):
    csv(tmp_path / "a.csv")
    csv(tmp_path / "b.csv", 2)
    csv(tmp_path / "c.csv", 5)
    note(tmp_path, c=0.95)
    assert "scores" not in compare("a.csv", "b.csv", cwd=tmp_path)


def test_scores_that_contradict_the_files(tmp_path):
    csv(tmp_path / "a.csv")
    csv(tmp_path / "b.csv", 2)
    note(tmp_path, a=0.95, b=0.93)
    text = compare("a.csv", "b.csv", cwd=tmp_path)
    assert (
        "a.csv and b.csv differ in 2 rows, but have 10 and 14 errors, which is impossible" in text
    )
    assert "Kaggle may not score all rows, or a score in the ledger may belong to another" in text
    assert "Kaggle scores all" not in text


def test_an_impossible_score_anywhere_in_the_ledger(tmp_path):
    for number, name in enumerate("abc"):
        csv(tmp_path / f"{name}.csv", number)
    note(tmp_path, a=0.95, c=0.98765)
    text = compare("a.csv", "b.csv", cwd=tmp_path)
    assert "  [1]              0.95000            10\n" in text
    assert "  [2]                    ?             ?\n" in text
    assert "The score of elsewhere.csv (reference 1) is not a whole number of errors in 200" in text
    assert "Kaggle scores all" not in text
    text = compare("c.csv", "b.csv", cwd=tmp_path)
    assert "  [1]              0.98765             ?\n" in text
    assert "The score of c.csv is not a whole number of errors in 200 rows" in text


# ---------------------------------------------------------------------------------------- runs


def test_runs_are_judged_by_what_they_held_out(tmp_path):
    finished_run(tmp_path / "runs" / "good", wrong=range(2))
    finished_run(tmp_path / "runs" / "bad", wrong=range(1, 12))
    csv(tmp_path / "other.csv", 1)
    text = compare("runs/good", "runs/bad", "other.csv", cwd=tmp_path)
    assert "[2] runs/bad" in text
    assert "accuracy on the 100 images that all runs held out" in text
    assert "A 0.98000  runs/good\nB 0.89000  runs/bad\n" in text
    assert "A minus B: +0.09000, 95 % confidence interval +0.0" in text
    assert "only A is correct: 10 images; only B: 1\n" in text
    assert "McNemar's exact test: p = 0.0117, significant" in text


def test_one_run_is_its_submission(tmp_path):
    finished_run(tmp_path / "run", wrong=range(2), oof=False)
    csv(tmp_path / "a.csv")
    text = compare("run", "a.csv", cwd=tmp_path)
    assert "  [1]  [2]        2" in text
    assert "held out" not in text


def test_runs_that_held_nothing_out(tmp_path):
    finished_run(tmp_path / "one", wrong=range(2))
    finished_run(tmp_path / "two", wrong=range(3), oof=False)
    text = compare("one", "two", cwd=tmp_path)
    assert "The runs have no held-out images in common, so accuracies cannot be compared." in text


def test_an_unfinished_run(tmp_path):
    files.write_json(tmp_path / "run" / "run.json", {"state": "running", "settings": {}})
    csv(tmp_path / "a.csv")
    assert "run is not finished" in compare("run", "a.csv", cwd=tmp_path, code=2)


def test_three_runs_are_three_pairs(tmp_path):
    for name, wrong in (("a", 2), ("b", 3), ("c", 9)):
        finished_run(tmp_path / name, wrong=range(wrong))
    found = json.loads(compare("a", "b", "c", "--json", cwd=tmp_path))["held_out"]
    assert [(pair["a"], pair["b"]) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair["only_a"] for pair in found] == [1, 7, 6]
    assert "With 3 pairs, some p-values are below 0.05 by chance" in compare(*"abc", cwd=tmp_path)


# -------------------------------------------------------------------------------------- picture


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (["--images", "input"], "submissions/disputed.png"),
        (["--images", "input", "--picture", "new/p.png"], "new/p.png"),
        (["--picture", "p.png"], "p.png"),
    ],
)
def test_a_picture_of_the_disputed_digits(options, written, tmp_path):
    write_competition(tmp_path / "input", train=60, test=20)
    csv(tmp_path / "a.csv", rows=20)
    csv(tmp_path / "b.csv", 5, rows=20)
    text = compare("a.csv", "b.csv", *options, cwd=tmp_path)
    assert f"5 disputed digits drawn in {written}" in text
    assert image.imread(tmp_path / written).shape[1] == 1536


def test_no_picture_where_all_agree(tmp_path):
    write_competition(tmp_path / "input", train=60, test=20)
    csv(tmp_path / "a.csv", rows=20)
    text = compare("a.csv", "a.csv", "--picture", "p.png", cwd=tmp_path)
    assert "no picture, because the files agree on every image" in text
    assert not (tmp_path / "p.png").exists()


def test_nothing_heavy_is_imported_unless_a_picture_is_asked_for(tmp_path):
    for name in ("a", "b"):
        finished_run(tmp_path / name, wrong=range(3))
    csv(tmp_path / "c.csv", 9)
    note(tmp_path, c=0.9)
    code, names = modules_after(["compare", "a", "b", "c.csv", "--vote", "v.csv"], tmp_path)
    assert code == 0
    assert not names & {"matplotlib", "scipy", "sklearn", "pandas", "pyarrow", "keras", "kaggle"}
