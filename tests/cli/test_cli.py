"""The commands as users type them: results on stdout, messages on stderr, exit codes."""

import errno
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kaggle_digits as kd
from kaggle_digits import cli, files
from tests import product
from tests.helpers import mnist_arrays

CONSOLE_COMMAND = Path(sys.executable).with_name("kaggle-digits")
COMMANDS = (
    "data", "recipes", "train", "cv", "predict", "evaluate", "ensemble", "export", "compare",
    "record", "submit", "leaderboard", "runs",
)  # fmt: skip


def test_help_names_every_command(tmp_path):
    text = product.call("--help", cwd=tmp_path).stdout
    for command in COMMANDS:
        assert command in text
        assert product.call(command, "--help", cwd=tmp_path).stdout


def test_version(tmp_path):
    assert product.call("--version", cwd=tmp_path).stdout == "kaggle-digits 0.2.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell, tmp_path):
    # Otherwise Typer looks which shell the tests were started from.
    done = product.call(
        "--show-completion", shell, cwd=tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert "KAGGLE_DIGITS_COMPLETE" in done.stdout


def test_completion_completes_commands(tmp_path):
    done = subprocess.run(
        [CONSOLE_COMMAND],
        cwd=tmp_path,
        env=product.environment(
            _KAGGLE_DIGITS_COMPLETE="complete_bash",
            COMP_WORDS="kaggle-digits ens",
            COMP_CWORD="1",
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "ensemble"


def test_train_on_everything_and_its_json(data, tmp_path):
    done = product.call(
        "train", "--validation-split", "0", "--epochs", "1", "--input", data, "--json", cwd=tmp_path
    )
    result = json.loads(done.stdout)
    assert result["oof"] is None
    assert Path(tmp_path / result["submission"]).read_text().count("\n") == 21
    assert "fold 1/1  finished: no held-out images" in done.stderr
    done = product.call("evaluate", result["run"], cwd=tmp_path, code=2)
    assert "has no held-out images" in product.message(done)
    done = product.call(
        "ensemble", result["run"], "--method", "hill-climb", "--submission", "a.csv",
        cwd=tmp_path, code=2,
    )  # fmt: skip
    assert "hill-climb needs images that every run held out" in product.message(done)
    test = tmp_path / result["run"] / "test.npz"
    test.write_bytes(test.read_bytes()[:1000])
    done = product.call("ensemble", result["run"], "--submission", "a.csv", cwd=tmp_path, code=2)
    assert "test.npz is not an .npz file, or is truncated" in product.message(done)


def test_tensorflow_keeps_quiet(data, tmp_path):
    done = product.call("train", "--epochs", "1", "--input", data, cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Note: few images")
    assert [line for line in lines[1:] if not line.startswith("fold 1/1  ")] == []
    assert "val accuracy" in lines[1]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, data, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    arguments = ("train", "--epochs", "1", "--input", data)
    product.run(*arguments, cwd=tmp_path, KERAS_BACKEND=backend)
    run = next((tmp_path / "runs").iterdir())
    assert run.name.endswith(backend)
    product.call(
        "predict", run, "--input", data, "--submission", "a.csv",
        cwd=tmp_path, KERAS_BACKEND=backend,
    )  # fmt: skip
    assert (tmp_path / "a.csv").read_bytes() == (run / "submission.csv").read_bytes()


def test_a_fold_whose_model_is_lost_is_trained_again(data, tmp_path):
    command = ("cv", "--recipe", "dense", "--folds", "2", "--epochs", "1", "--input", data)
    product.call(*command, "--run", "run", cwd=tmp_path)
    model = tmp_path / "run" / "fold-2" / "model.keras"
    whole = model.read_bytes()
    for damage in (model.unlink, lambda: model.write_bytes(b"")):
        damage()
        said = product.call(*command, "--run", "run", cwd=tmp_path).stderr
        assert "fold 1/2  finished earlier" in said
        assert "fold 2/2  finished earlier" not in said
        assert len(model.read_bytes()) == len(whole)
    product.call("predict", "run", "--input", data, cwd=tmp_path)


def test_a_folder_that_may_not_be_read_is_named(monkeypatch, capsys):
    def deny():
        raise PermissionError(errno.EACCES, "Permission denied", "/secret/run")

    monkeypatch.setattr(cli, "app", lambda _: deny())
    assert cli.run_command([]) == 2
    assert "Error: cannot access /secret/run: Permission denied. Change" in capsys.readouterr().err


def test_help_is_printed_after_a_bare_word(tmp_path):
    assert "--recipe" in product.call("train", "fast", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_a_path_that_no_file_can_have_is_named(number, monkeypatch, capsys):
    def fail():
        raise OSError(number, os.strerror(number), "/some/path")

    monkeypatch.setattr(cli, "app", lambda _: fail())
    assert cli.run_command([]) == 2
    said = capsys.readouterr().err
    assert f"cannot access /some/path: {os.strerror(number)}. Choose another" in said


def test_an_interrupted_run_is_listed_and_not_evaluated(tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    settings = {
        "recipe": "bn20", "folds": 5, "seeds": 1, "source": "kaggle", "training": {"epochs": 3}
    }  # fmt: skip
    (run / "run.json").write_text(
        json.dumps({"state": "running", "command": "kaggle-digits cv", "settings": settings,
                    "started": "2026-01-01T00:00:00+00:00"})
    )  # fmt: skip
    assert "0/5 …" in product.call("runs", cwd=tmp_path).stdout
    done = product.call("evaluate", run, cwd=tmp_path, code=2)
    assert "is not finished" in product.message(done)
    assert "kaggle-digits cv" in product.message(done)


def test_runs_leaves_out_a_damaged_one_and_says_so(tmp_path):
    (tmp_path / "runs" / "two").mkdir(parents=True)
    (tmp_path / "runs" / "two" / "run.json").write_text("{")
    done = product.call("runs", cwd=tmp_path)
    assert f"No runs in {tmp_path}/runs yet" in done.stdout
    assert "runs/two/run.json is damaged: Expecting" in done.stderr


def test_unknown_or_missing_backend(data, tmp_path):
    done = product.call("cv", "--input", data, cwd=tmp_path, code=2, KERAS_BACKEND="theano")
    assert "KERAS_BACKEND is 'theano': expected one of tensorflow, jax, torch" in product.message(
        done
    )
    if importlib.util.find_spec("torch") is None:
        done = product.call("recipes", "bn20", cwd=tmp_path, code=2, KERAS_BACKEND="torch")
        assert "which is not installed" in product.message(done)


def test_submit_checks_before_it_says_what_it_would_push(data, tmp_path):
    (tmp_path / "a.csv").write_text("ImageId,Label\n1,7\n")
    done = product.call("submit", "a.csv", "--input", data, cwd=tmp_path, code=2)
    assert "a.csv: 1 rows; expected 20" in product.message(done)
    assert "Missing ImageId 2, 3" in product.message(done)


def test_data_get_and_check_the_sample(tmp_path):
    done = product.call("data", "get", cwd=tmp_path)
    assert "EMBEDDED SAMPLE" in done.stderr
    assert "1,442 train and 355 test images" in done.stdout
    report = json.loads(product.call("data", "check", "--json", cwd=tmp_path).stdout)
    assert report["source"] == "sample"
    assert report["test_images_in_train"] == 0
    assert "0:143" in product.call("data", "check", cwd=tmp_path).stdout


def test_runs_as_a_module_like_the_command(tmp_path):
    done = subprocess.run(
        [CONSOLE_COMMAND, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == product.call("--version", cwd=tmp_path).stdout


def test_a_labelled_test_set_is_scored(tmp_path):
    (tmp_path / "input").mkdir()
    files.write_npz(tmp_path / "input" / "mnist.npz", **mnist_arrays(train=60, test=20))
    arguments = ("train", "--recipe", "dense", "--epochs", "1")
    text = product.call(*arguments, cwd=tmp_path).stdout
    assert re.search(r"Test +accuracy 0\.\d{5} ± .*, log loss .* errors in 20 images", text)
    again = json.loads(product.call(*arguments, "--json", cwd=tmp_path).stdout)
    run = Path(tmp_path / again["run"])
    stored = np.load(run / "test.npz")
    wrong = int((stored["probabilities"].argmax(axis=1) != stored["labels"]).sum())
    assert again["test"]["errors"] == wrong
    assert json.loads((run / "metrics.json").read_text())["test"] == again["test"]
    assert json.loads((run / "run.json").read_text())["class_names"] == list("0123456789")
    assert (opened := kd.open_run(run).test_scores)
    assert opened.errors == wrong

    blend = ("ensemble", run, run, "--submission", "b.csv")
    text = product.call(*blend, cwd=tmp_path).stdout
    assert re.search(rf"Test +accuracy 0\.\d{{5}} .*, {wrong} errors in 20 images", text)
    assert (
        json.loads(product.call(*blend, "--json", cwd=tmp_path).stdout)["test"]["errors"] == wrong
    )
    two = kd.ensemble([run, run])
    assert (two.test.labels == stored["labels"]).all()
    assert "test accuracy" in two._repr_html_()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a disk that is full")
@pytest.mark.parametrize(
    "command",
    [
        ["runs", "--json"],
        pytest.param(["recipes", "dense", "--json"], marks=pytest.mark.slow),  # imports Keras
    ],
)
def test_a_result_that_finds_no_room_is_no_success(command, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kaggle_digits", *command],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Error: no space to write the result to stdout: [Errno 28]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("width", "left_out"), [(60, {"started", "log loss"}), (200, set())])
def test_runs_leaves_out_columns_rather_than_digits(width, left_out, monkeypatch, capsys):
    from functools import partial

    from rich.console import Console

    from kaggle_digits.cli import printing, runs

    row = {"run": "runs/bn20-5-fold", "data": "kaggle", "test_images_in_train": 0, "models": "5/5"}
    row |= {"state": "finished", "epochs": 15, "oof_accuracy": 0.99493, "oof_log_loss": 0.0619}
    row |= {"public_score": 0.995, "seconds": 2152.0, "started": "2026-11-22T10:00:00"}
    terminal = partial(Console, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr("rich.console.Console", terminal)
    printing.print_table([runs._describe(row)], runs.OPTIONAL_COLUMNS)
    text = capsys.readouterr().out
    assert all(word in text for word in ("runs/bn20-5-fold", "0.99493", "0.99500"))
    assert "…" not in text
    assert all((name in text) != (name in left_out) for name in ("started", "log loss"))
