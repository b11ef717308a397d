"""What surrounds a command: Keras's settings, `~`, locks, git, precision."""

import errno
import fcntl
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

from kaggle_digits import backend, datasets, files, runs
from kaggle_digits.cli import app, options
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.kaggle_client.ledger import Ledger
from kaggle_digits.recipes import RECIPES
from kaggle_digits.recipes import find as find_recipe
from kaggle_digits.training import planning
from kaggle_digits.training.fit import resolve_precision
from tests import own_network, product
from tests.helpers import write_competition

TRAIN = ("train", "--recipe", "dense", "--epochs", "1", "--batch-size", "16")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=60, test=20)


# --------------------------------------------------------------------------- Keras's own settings

ODD = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "jax"}


def home_with(folder: Path, content: str) -> str:
    """Return a home in which Keras finds ``content`` as its settings."""
    (folder / ".keras").mkdir(parents=True)
    (folder / ".keras" / "keras.json").write_text(content)
    return str(folder)


def test_settings_of_keras_change_no_number(data, tmp_path):
    train = (*TRAIN, "--precision", "float32", "--input", data)
    product.call(*train, "--run", "plain", cwd=tmp_path)
    home = home_with(tmp_path / "home", json.dumps(ODD))
    product.run(
        *train, "--run", "odd", cwd=tmp_path, HOME=home,
        KERAS_MAX_STEPS_PER_EPOCH="1",
    )  # fmt: skip
    for name in ("oof.npz", "test.npz"):
        plain, odd = (np.load(tmp_path / run / name) for run in ("plain", "odd"))
        # Not the last digits: those depend on what the process has computed before.
        np.testing.assert_allclose(odd["probabilities"], plain["probabilities"], atol=1e-4)


IMPORTING = """
import gc, os, sys
os.environ.pop("KERAS_BACKEND", None)
from kaggle_digits import backend
from kaggle_digits.recipes import find
backend.reserve_process()
find("./my_net.py")
import keras
assert not {"matplotlib", "pandas", "sklearn"} & set(sys.modules)
assert gc.isenabled() and gc.get_freeze_count() > 100_000
backend.start_keras()
print(keras.backend.backend(), keras.config.floatx(), keras.config.epsilon())
network = find("bn20").network()
print({layer.compute_dtype for layer in network.layers}, network.layers[3].output.shape)
import numpy as np
from kaggle_digits.training.splitting import assign_folds
assign_folds(np.arange(20, dtype=np.uint8) % 2, 2, 1, 0)
assert "sklearn" in sys.modules and "pandas" not in sys.modules
import matplotlib, pandas
assert pandas.DataFrame({"a": [1]}).a.sum() == 1
"""


def test_keras_is_imported_without_its_settings_and_what_is_not_used(tmp_path):
    """Also by a recipe's file that imports it before anything else does."""
    home = home_with(tmp_path, json.dumps(ODD | {"floatx": "float64"}))
    text = own_network.TEXT.replace(
        "import keras\n", "import keras\nkeras.config.set_epsilon(1e-3)\n"
    )
    (tmp_path / "my_net.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING],
        cwd=tmp_path,
        env=product.environment(HOME=home),
        capture_output=True,
        text=True,
        check=False,
    )
    shape = find_recipe("bn20").network().layers[3].output.shape
    expected = f"tensorflow float32 1e-07\n{{'float32'}} {shape}\n"
    assert done.stdout == expected, done.stderr


@pytest.mark.parametrize(
    "content",
    [
        '{"floatx": "int8"}',
        *(pytest.param(c, marks=pytest.mark.slow) for c in ('{"epsilon": 1}', "[]")),
    ],
)
def test_settings_that_keras_cannot_read_are_named(content, data, tmp_path):
    home = home_with(tmp_path / "home", content)
    done = product.run(*TRAIN, "--input", data, cwd=tmp_path, code=2, HOME=home)
    assert f"Keras does not start with the settings in {home}/.keras/keras.json" in done.stderr
    assert "Remove that file" in done.stderr


def test_no_recipe_imports_keras_itself():
    """A recipe whose layers come straight from Keras would take its settings."""
    paths = list(Path(backend.__file__).parent.joinpath("recipes").glob("*.py"))
    assert len(paths) > len(RECIPES)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) keras\b", text, re.MULTILINE), path.name


def test_only_processes_of_our_own_hide_packages(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(backend, "_reserved", True)
    with backend.hiding("colorsys"), pytest.raises(ImportError):
        importlib.import_module("colorsys")
    monkeypatch.setattr(backend, "_reserved", False)  # as in a notebook
    with backend.hiding("colorsys"):
        importlib.import_module("colorsys")


# ------------------------------------------------------------------------------------------------ ~


def commands():
    """Yield every command of the command line."""
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        yield from getattr(command, "commands", {"": command}).values()


def test_every_command_expands_home():
    found = list(commands())
    assert len(found) > 12
    assert all(isinstance(command, options.Command) for command in found)


@pytest.mark.parametrize(
    ("words", "parameter", "expected"),
    [
        (["train", "--run", "~/r"], "run", "/home/me/r"),
        (["train", "--submission", "~/r.csv"], "submission", "/home/me/r.csv"),
        (["train"], "input_", "/home/me/variable"),
        (["train", "--input", "~"], "input_", "/home/me"),
        (["train", "--input", "a~b"], "input_", "a~b"),
        (["train", "--input", "~nosuchuser/x"], "input_", "~nosuchuser/x"),
        (["evaluate", "~/a.csv", "--labels", "~/b.csv"], "labels", "/home/me/b.csv"),
        (["predict", "~/run", "~/1.png"], "named", ["/home/me/run", "/home/me/1.png"]),
        (["data", "get", "--from", "~/x.zip"], "from_", "/home/me/x.zip"),
    ],
)
def test_home_is_expanded_in_paths(words, parameter, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("KAGGLE_DIGITS_INPUT", "~/variable")
    seen = {}
    monkeypatch.setattr(typer.core.TyperCommand, "invoke", lambda _, ctx: seen.update(ctx.params))
    assert CliRunner().invoke(app, words).exit_code == 0
    value = seen[parameter]
    assert (list(map(str, value)) if isinstance(value, list) else str(value)) == expected


def test_home_is_expanded_in_variables_and_in_the_library(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(data.parent))
    named = {"KAGGLE_DIGITS_DATA": f"~/{data.name}"}
    assert datasets.get("auto", folder=tmp_path / "input", environment=named).splits.source == "csv"
    assert len(datasets.load(f"~/{data.name}").train) == 60
    with pytest.raises(InputError, match="~nosuchuser/x does not exist"):
        datasets.load("~nosuchuser/x")


def test_make_hands_over_any_path(tmp_path):
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    makefile = Path(__file__).parent.parent.parent / "Makefile"
    printed = tmp_path / "digits"
    printed.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    printed.chmod(0o755)
    ready = tmp_path / ".ready"
    ready.touch()
    odd = 'it\'s a "folder" `x`'
    for variables, expected in (
        ([f"INPUT={odd}"], odd),
        ([], "from the environment"),
        (["INPUT=~/digits"], "~/digits"),
    ):
        done = subprocess.run(
            [make, "-f", str(makefile), "data", f"DIGITS={printed}", f"READY={ready}", "-o",
             str(ready), *variables],
            cwd=tmp_path,
            # Where `make test` runs this, its own flags are none of the test's.
            env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
            | {"KAGGLE_DIGITS_INPUT": "from the environment"},
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-4:] == ["data", "get", "--input", expected]


# -------------------------------------------------------------------------------- locks and git


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(number, tmp_path, monkeypatch):
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OutsideError) as caught, files.lock(tmp_path / "lock", busy="busy"):
        pass
    said = str(caught.value)
    assert f"cannot lock {tmp_path / 'lock'}: its file system does not support file locks" in said
    assert "Choose a folder on a local disk" in said
    with pytest.raises(OutsideError, match="does not support file locks"):
        Ledger(tmp_path / "ledger.jsonl").update(lambda entry: entry)


def test_training_needs_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runs.environment()["git_commit"] is None
    not_to_be_run = tmp_path / "git"
    not_to_be_run.write_text("")
    assert runs.environment()["git_commit"] is None


# -------------------------------------------------------------------------------------- precision


def test_precision_is_a_setting_and_named_in_the_run(data, tmp_path):
    train = ("train", "--recipe", "dense", "--epochs", "1", "--input", data)
    product.call(*train, "--precision", "bfloat16", cwd=tmp_path)
    [run] = (tmp_path / "runs").iterdir()
    assert run.name == "dense-train-e1-bfloat16-csv"
    settings = json.loads((run / "run.json").read_text())["settings"]
    assert settings["training"]["precision"] == "bfloat16"
    refused = product.call(*train, "--run", run, cwd=tmp_path, code=2)
    assert "training.precision: the run has 'bfloat16', this command has 'float32'" in (
        refused.stderr
    )
    assert "Use the same settings to resume it (here --precision bfloat16)" in refused.stderr
    again = product.call(*train, "--run", run, "--precision", "bfloat16", cwd=tmp_path)
    assert "finished earlier" in again.stderr
    wrong = product.call(*train, "--precision", "float8", cwd=tmp_path, code=2)
    assert "--precision" in wrong.stderr
    assert "bfloat16" in wrong.stderr


def test_precision_of_a_record_is_that_of_its_members():
    chosen = planning.configure_members(42_000, 5, "float16")
    assert {training.precision for training in chosen.values()} == {"float16"}
    kept = planning.configure_members(42_000, 5, None)
    assert kept == {name: resolve_precision(find_recipe(name).training) for name in kept}


def test_every_training_command_takes_a_precision():
    top = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("train", "cv", "record"):
        assert "--precision" in {word for option in top[name].params for word in option.opts}


# ------------------------------------------------------------------------------------ the library


def test_keras_starts_without_a_stderr(monkeypatch):
    """As in a program without a console."""
    monkeypatch.setattr(sys, "stderr", None)
    with backend.quiet_stderr():
        pass

    def closed(_: int) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    entered = False
    with backend.quiet_stderr():
        entered = True
    assert entered
