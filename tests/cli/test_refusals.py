"""What a command refuses: exit code 2 and one message that says what to do."""

import resource
import shutil
import subprocess

import pytest

from tests import product


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["cv", "--nosuch"], "--nosuch"),  # Click words it differently
        (["cv", "--folds", "1"], "Invalid value for '--folds'"),
        (["cv", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["train", "--validation-split", "1"], "Invalid value for '--validation-split'"),
        (
            ["cv", "--recipe", "bn2O"],
            "unknown recipe 'bn2O'. Did you mean 'bn20'? Expected one of bn20, bn20-original",
        ),
        (["recipes", "nosuch"], "unknown recipe 'nosuch'"),
        (["train", "fast"], "received 'fast' without an option. Expected --recipe fast"),
        (["train", "--recipe", "."], "unknown recipe '.'"),
        (["train", "--recipe", "./"], "it is not a file. Expected the name of a recipe"),
        (["submit", "."], ". is a folder. Expected a CSV."),
        (["train", "--learning-rate", "0"], "Expected a number above 0"),
        (["train", "--learning-rate", "nan"], "Expected a number above 0"),
        (["cv", "--limit", "9"], "--limit 9 does not fit the data. Expected 10"),
        (["cv", "--limit", "61"], "or no --limit for all 60 images"),
        (["cv", "--folds", "7"], "7 folds need at least 7 images per class; the data has 6"),
        (["train", "--validation-split", "0.01"], "leaves one part with fewer images than the 10"),
        (["evaluate", "nosuch"], "nosuch is not a run: no such folder"),
        (["predict", "nosuch"], "nosuch is not a run"),
        (["ensemble", "nosuch", "--submission", "a.csv"], "nosuch is not a run"),
        (
            ["ensemble", "nosuch", "--submission", "a.csv", "--method", "median"],
            "received the method 'median'. Expected one of mean, geometric, vote, hill-climb",
        ),
        (["compare", "a.csv"], "a.csv"),
        (["submit", "nosuch.csv"], "nosuch.csv"),
        (["data", "get", "--source", "nosuch"], "received 'nosuch', expected one of auto"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands_end_with_2_and_one_message(arguments, expected, data, tmp_path):
    shutil.copytree(data, tmp_path / "input")
    before = sorted((tmp_path / "input").iterdir())
    done = product.call(*arguments, cwd=tmp_path, code=2)
    assert expected in product.message(done)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".cache" not in path.parts]
    assert sorted(left) == before  # no half-made file, no run


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        (["evaluate", "runs/bn2"], "runs/bn20"),
        (["evaluate", "labesl.csv"], "labels.csv"),
        (["compare", "fist.csv", "first.csv"], "first.csv"),
        (["recipes", "./my_nett.py"], "my_net.py"),
        (["data", "get", "--from", "digit-recogniser.zip"], "digit-recognizer.zip"),
        (["predict", "--model", "modle.keras"], "model.keras"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistyped_path_is_answered_with_the_one_beside_it(arguments, there, data, tmp_path):
    shutil.copytree(data, tmp_path / "input")
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    for name in ("quite-different", "rot.csv", "x.py", "z.keras", "q.zip"):
        (tmp_path / name).touch()
    said = product.message(product.call(*arguments, cwd=tmp_path, code=2))
    assert f"Did you mean '{there}'?" in said.replace(f"{tmp_path}/", "")
    (tmp_path / there).unlink()
    assert "Did you mean" not in product.message(product.call(*arguments, cwd=tmp_path, code=2))


def test_no_data_says_how_to_get_some(tmp_path):
    done = product.call("cv", cwd=tmp_path, code=2)
    assert "kaggle-digits data get" in product.message(done)


def test_debug_shows_the_traceback(tmp_path):
    done = product.call("cv", "--recipe", "nosuch", "--debug", cwd=tmp_path, code=2)
    assert "Traceback" in done.stderr
    assert "InputError: unknown recipe" in done.stderr


def test_a_file_where_the_folder_should_be(data, tmp_path):
    (tmp_path / "file").touch()
    for option, where in (("--run", "file/run"), ("--submission", "file/a.csv")):
        done = product.call("cv", "--input", data, option, where, cwd=tmp_path, code=2)
        assert f"cannot write {where}: a parent folder is a file" in product.message(done)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", ["cv", "predict", "ensemble"])
def test_only_a_submission_is_overwritten(command, data, tmp_path):
    (tmp_path / "README.md").write_text("precious")
    arguments = {
        "cv": ["cv", "--input", data],
        "predict": ["predict", "r", "--input", data],
        "ensemble": ["ensemble", "r"],
    }[command]
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text('{"settings": {}, "state": "finished"}')
    done = product.call(*arguments, "--submission", "README.md", cwd=tmp_path, code=2)
    assert "README.md exists and is not a submission" in product.message(done)
    assert (tmp_path / "README.md").read_text() == "precious"
    assert not (tmp_path / "runs").exists()


def test_a_foreign_folder_is_not_taken_for_a_run(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    done = product.call("cv", "--input", data, "--run", "mine", cwd=tmp_path, code=2)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert "mine is not a run, and not empty: it holds 'thesis.txt'" in product.message(done)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_damaged_run_json(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"settings": ')
    done = product.call("evaluate", "run", cwd=tmp_path, code=2)
    assert "run.json is damaged" in product.message(done)


def test_full_disk(data, tmp_path):
    """A limit on the size of files stands for the disk: the system's answer is of the same kind."""
    cv = ("cv", "--recipe", "dense", "--folds", "2", "--epochs", "1", "--input", str(data))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*product.COMMAND, *cv],
        cwd=tmp_path,
        env=product.environment(),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "no space to write" in done.stderr
    assert "Free some space and run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    fold = next((tmp_path / "runs").iterdir()) / "fold-1"
    assert [path.name for path in fold.iterdir()] == ["history.csv"]  # and no half of a model
    done = product.call(*cv, cwd=tmp_path)
    assert "Submission" in done.stdout  # there is room now, and the same command goes through
