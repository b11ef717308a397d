"""Names of files, runs and classes may be anything: other encodings, markup, control codes."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kaggle_digits import files, runs
from kaggle_digits.cli import app, evaluate
from kaggle_digits.cli import data as data_commands
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import calibration, confusion_matrix, scores
from kaggle_digits.exporting import find, opening
from kaggle_digits.kaggle_client.ledger import Ledger
from tests import kaggle_server, product
from tests.helpers import PIXELS, ROWS, write_competition


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=60, test=20)


# ---------------------------------------------------------------------------------- names of files


@pytest.fixture
def odd_folder(tmp_path):
    """A folder whose name is not UTF-8."""
    folder = tmp_path / "caf\udce9"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    return folder


def test_a_folder_that_is_not_utf8_trains_and_is_listed(data, odd_folder):
    shutil.copytree(data, odd_folder / "input")
    paths = {
        f"--{name}": odd_folder / path
        for name, path in (("input", "input"), ("run", "runs/r"), ("submission", "o.csv"))
    }
    arguments = [word for pair in paths.items() for word in pair]
    train = ("train", "--recipe", "dense", "--epochs", "1", *arguments)
    done = product.run(*train, cwd=odd_folder)
    assert "caf\\udce9/o.csv (20 rows)" in done.stdout
    assert runs.Run(odd_folder / "runs" / "r").facts.state == "finished"
    again = product.run(*train, cwd=odd_folder)  # finds the run and its settings
    assert "finished earlier" in again.stderr
    root = odd_folder / "runs"
    assert "caf\\udce9/runs/r" in product.run("runs", "--folder", root, cwd=odd_folder).stdout
    [row] = json.loads(product.call("runs", "--folder", root, "--json", cwd=odd_folder).stdout)
    assert row["run"] == str(root / "r")
    check = ("data", "check", "--input", paths["--input"])
    assert "source" in product.call(*check, cwd=Path("/")).stdout


def test_a_submission_from_a_folder_that_is_not_utf8(odd_folder):
    (odd_folder / "input").mkdir()
    write_competition(odd_folder / "input")
    row = ",".join("0" * len(PIXELS))
    test = ",".join(PIXELS) + "\n" + f"{row}\n" * ROWS
    (odd_folder / "input" / "test.csv").write_text(test)
    (odd_folder / "input" / "sample_submission.csv").unlink()
    csv = odd_folder / "a.csv"
    csv.write_text("ImageId,Label\n" + "".join(f"{i},{i % 10}\n" for i in range(1, ROWS + 1)))
    arguments = ("submit", csv, "--input", odd_folder / "input", "--declared-external")
    with kaggle_server.running() as server:
        done = subprocess.run(
            [*product.COMMAND, *arguments],
            cwd=odd_folder,
            env=product.environment(**server.environment()),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    [entry] = Ledger(odd_folder / "submissions" / "ledger.jsonl").entries()
    assert entry.file == str(csv)


def test_json_keeps_names_that_are_not_utf8(tmp_path):
    files.write_json(tmp_path / "a.json", {"name": "caf\udce9 ü 🙂"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "caf\\udce9 ü 🙂" in text
    assert json.loads(text) == {"name": "caf\udce9 ü 🙂"}


@pytest.mark.parametrize("name", ["onnx", "saved-model"])
def test_formats_that_need_utf8_refuse_other_paths(name):
    with pytest.raises(InputError, match=rf"is not UTF-8, which {name} needs"):
        opening.require_utf8(find(name), Path("caf\udce9/model"))
    opening.require_utf8(find(name), Path("café/model"))
    opening.require_utf8(find("keras"), Path("caf\udce9/model"))


# ------------------------------------------------------------------- names are no markup, no codes


def write_run(folder: Path, **settings: object) -> None:
    """Write what ``runs`` lists."""
    folder.mkdir(parents=True)
    usual = {"recipe": "bn20", "source": "kaggle", "folds": 1, "seeds": 1}
    description = {
        "settings": usual | {"training": {"epochs": 2}} | settings,
        "state": "finished",
        "started": "2026-01-02T03:04:05+00:00",
    }
    (folder / "run.json").write_text(json.dumps(description), encoding="utf-8")


@pytest.mark.parametrize(
    ("root", "name", "shown"),
    [
        ("runs", "exp[red]1", "runs/exp[red]1"),
        ("[", "oops]", "[/oops]"),
        ("runs", ":smile:", "runs/:smile:"),
        ("runs", "\x1b[2Jgone", "runs/\\x1b[2Jgone"),
        ("runs", "two\nlines", "runs/two\\nlines"),
        ("runs", "gpj.\u202eexe", "runs/gpj.\\u202eexe"),
    ],
)
def test_runs_shows_names_as_they_are(root, name, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path(root, name))
    result = CliRunner().invoke(app, ["runs", "--folder", root])
    assert result.exit_code == 0, result.output
    assert shown in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    "settings",
    [{"folds": "five"}, {"training": None}, {"training": {}}, {"source": ["\x1b"], "seeds": None}],
)
def test_runs_leaves_out_what_it_cannot_show(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/odd"), **settings)
    write_run(Path("runs/good"))
    result = CliRunner().invoke(app, ["runs"])
    assert result.exit_code == 0, result.output
    assert "runs/good" in result.stdout
    assert "runs/odd/run.json is damaged: settings." in result.stderr
    assert "The run is omitted." in result.stderr


def test_the_hint_of_runs_repeats_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["runs"]).stdout.endswith("Start one with: kaggle-digits cv\n")
    result = CliRunner().invoke(app, ["runs", "--folder", "my runs"])
    assert result.stdout.endswith("Start one with: kaggle-digits cv --run 'my runs/NAME'\n")


def test_class_names_are_shown_escaped():
    names = ("\x1b[31mcat", "dog\n")
    labels, probabilities = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])
    judged = evaluate.Judged(
        scores(probabilities, labels),
        calibration(probabilities, labels),
        confusion_matrix(probabilities, labels, names),
        worst=(),
        suspects=(),
    )
    text = "\n".join(evaluate._held_out(judged, names))
    assert "\\x1b[31mcat" in text
    assert "dog\\n" in text
    assert "Label" in text
    assert "\x1b" not in text
    assert "\x1b" not in data_commands._counts((1, 2), names)
