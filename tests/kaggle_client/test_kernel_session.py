"""What the script decides on Kaggle's machine, with fakes for what is not here."""

import itertools
import json
import os
from pathlib import Path

import pytest

from kaggle_digits import safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client import kernel_hardware, kernel_script, kernel_session
from kaggle_digits.kaggle_client.kernel_hardware import Gpu, Hardware
from kaggle_digits.kaggle_client.kernel_job import MANIFEST, Job
from kaggle_digits.training.executors.processes import choose_gpu
from tests.helpers import write_competition

T4, L4, P100 = Gpu("Tesla T4", 7.5), Gpu("NVIDIA L4", 8.9), Gpu("Tesla P100-PCIE-16GB", 6.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Tesla T4, 7.5\nTesla T4, 7.5\n", (T4, T4)),
        ("NVIDIA L4, 8.9\n", (L4,)),
        ("No devices were found\n", ()),
        ("", ()),
    ],
)
def test_gpus_as_the_driver_tells_them(said, expected, tmp_path, monkeypatch):
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert kernel_hardware.find_gpus() == expected


def test_no_driver_and_one_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kernel_hardware.find_gpus() == ()
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert kernel_hardware.find_gpus() == ()


@pytest.mark.parametrize(
    ("gpus", "usable", "backend", "precision"),
    [
        ((T4, T4), {"tensorflow": 2, "jax": 2, "torch": 2}, "tensorflow", "float16"),
        ((T4, T4), {"jax": 2}, "jax", "float16"),
        ((L4,), {"torch": 1}, "torch", "bfloat16"),
        ((L4, T4), {"tensorflow": 2}, "tensorflow", "float16"),  # what both are fast in
        ((P100,), {"tensorflow": 1}, "tensorflow", "float32"),
        ((), {}, "tensorflow", None),
        ((T4,), {}, "tensorflow", None),
    ],
)
def test_backend_and_precision_by_what_is_there(gpus, usable, backend, precision):
    hardware = kernel_hardware.choose_hardware(
        gpus, count=lambda name: usable.get(name, 0), is_installed=lambda _: True
    )
    assert (hardware.backend, hardware.precision) == (backend, precision)
    assert bool(hardware.note) == bool(gpus and not usable)


def test_only_what_is_installed_is_a_backend():
    hardware = kernel_hardware.choose_hardware(
        (T4,), count={"torch": 1}.__getitem__, is_installed=lambda name: name == "torch"
    )
    assert hardware.backend == "torch"
    with pytest.raises(InputError, match="none of tensorflow, jax, torch is installed"):
        kernel_hardware.choose_hardware((), is_installed=lambda _: False)


def test_a_backend_that_cannot_tell_has_no_gpu(monkeypatch):
    for program in ("import nosuch", "print('many')", "pass"):
        monkeypatch.setitem(kernel_hardware.PROBES, "jax", program)
        assert kernel_hardware.count_usable_gpus("jax") == 0
    monkeypatch.setitem(kernel_hardware.PROBES, "jax", "print('a notice'); print(2)")
    assert kernel_hardware.count_usable_gpus("jax") == 2


def job(**changes):
    return Job(session_seconds=3600, **changes)


@pytest.mark.parametrize(
    ("changes", "gpus", "expected"),
    [
        ({}, (), "cv --recipe bn20 --folds 5"),
        ({}, (T4, T4), "cv --recipe bn20 --folds 5 --precision float16 --jobs 2"),
        ({"folds": 2}, (L4,) * 4, "cv --recipe bn20 --folds 2 --precision bfloat16 --jobs 2"),
        ({"precision": "float32"}, (T4,), "cv --recipe bn20 --folds 5 --precision float32"),
        (
            {"recipe": "my_net.py", "seeds": 3, "seed": 7, "limit": 900, "epochs": 4},
            (),
            "cv --recipe my_net.py --folds 5 --seeds 3 --seed 7 --limit 900 --epochs 4",
        ),
        ({"record": True}, (T4, T4), "record --folds 5 --budget 50m --precision float16"),
        ({"record": True, "budget": "500T"}, (), "record --folds 5 --budget 500T"),
    ],
)  # fmt: skip
def test_the_command_that_does_a_job(changes, gpus, expected):
    words = kernel_session.arguments(job(**changes), Hardware("tensorflow", gpus), 3059.0)
    assert " ".join(words) == expected


def test_each_process_gets_a_gpu_of_its_own(monkeypatch):
    variables = kernel_session.child_environment(
        Hardware("jax", (T4, T4)), Path("/data"), Path("/package")
    )
    assert variables["KERAS_BACKEND"] == "jax"
    assert variables["KAGGLE_DIGITS_INPUT"] == "/data"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variables["CUDA_VISIBLE_DEVICES"])
    assert [choose_gpu(index) for index in range(3)] == ["0", "1", "0"]
    for alone in ("0", "", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", alone)
        assert choose_gpu(1) is None


def test_secrets_do_not_reach_the_process_that_trains(monkeypatch):
    monkeypatch.setenv("KAGGLE_USER_SECRETS_TOKEN", "secret")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    variables = kernel_session.child_environment(Hardware("jax"), Path("d"), Path("p"))
    assert "secret" not in variables.values()
    assert "CUDA_VISIBLE_DEVICES" not in variables


def test_a_checkpoint_that_is_removed_while_it_is_listed_is_left_out(tmp_path, monkeypatch):
    fold = tmp_path / "runs" / "a" / "fold-1"
    fold.mkdir(parents=True)
    for name in ("checkpoint.keras", "finished.json"):
        (fold / name).write_text("{}")
    hash_file = safe_reading.sha256_of

    def remove_and_hash(path):
        (fold / "checkpoint.keras").unlink(missing_ok=True)
        return hash_file(path)

    monkeypatch.setattr(safe_reading, "sha256_of", remove_and_hash)
    kernel_session._Output(tmp_path, "push").write_if_more_is_finished()
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert [file["name"] for file in manifest["files"]] == ["runs/a/fold-1/finished.json"]


@pytest.mark.parametrize(
    "place", ["", "digit-recognizer", "competitions/digit-recognizer", "a/b/c"]
)
def test_data_is_found_where_kaggle_may_mount_it(place, tmp_path):
    write_competition(tmp_path / place)
    (tmp_path / "somebody's-model").mkdir()
    assert kernel_session.find_data(tmp_path) == tmp_path / place


def test_of_several_the_competitions_counts(tmp_path):
    write_competition(tmp_path / "mine")
    write_competition(tmp_path / "digit-recognizer")
    assert kernel_session.find_data(tmp_path) == tmp_path / "digit-recognizer"


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ((), "no data below .*: it holds no folder"),
        (("one", "two"), "several folders below .* hold data: .*one, .*two. Expected one"),
        (("deep/er/and/deeper",), "no data below .*it holds .*deep/er/and. Expected"),
    ],
)
def test_data_that_is_not_found(folders, expected, tmp_path):
    for folder in folders:
        write_competition(tmp_path / folder)
    with pytest.raises(InputError, match=expected):
        kernel_session.find_data(tmp_path)
    with pytest.raises(InputError, match="no data below"):
        kernel_session.find_data(tmp_path / "nosuch")


def test_half_of_the_data_is_named(tmp_path):
    write_competition(tmp_path / "digit-recognizer")
    (tmp_path / "digit-recognizer" / "test.csv").unlink()
    with pytest.raises(InputError, match=r"no data below .*train\.csv"):
        kernel_session.find_data(tmp_path)


# ------------------------------------------------------------------------------------------- time


def fold(folder, number, *, finished):
    path = folder / "runs" / "a-run" / f"fold-{number}"
    path.mkdir(parents=True)
    (path / "checkpoint.keras").write_text("weights")
    (path.parent / "run.json").write_text("{}")
    if finished:
        (path / "finished.json").write_text("{}")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a folder laid out like Kaggle's, in which a program of the test's own trains."""
    write_competition(tmp_path / "input")
    (tmp_path / "working").mkdir()
    (tmp_path / "package" / "kaggle_digits").mkdir(parents=True)
    (tmp_path / "package" / "kaggle_digits" / "__init__.py").write_text("")
    monkeypatch.setenv("KAGGLE_DIGITS_WORKING", str(tmp_path / "working"))
    monkeypatch.setenv("KAGGLE_DIGITS_INPUT", str(tmp_path / "input"))
    monkeypatch.setenv("PATH", "/nonexistent")
    return tmp_path


def run(machine, program, seconds=600):
    (machine / "package" / "kaggle_digits" / "__main__.py").write_text(program)
    settings = {"recipe": "dense", "session_seconds": seconds}
    code = kernel_session.run(settings, "a-push", str(machine / "package"))
    return code, json.loads((machine / "working" / MANIFEST).read_text())


def test_training_is_stopped_before_the_session_ends(machine, capsys):
    fold(machine / "working", 1, finished=True)
    fold(machine / "working", 2, finished=False)
    code, manifest = run(machine, "import time; print('training', flush=True); time.sleep(60)", 3)
    assert (code, manifest["state"]) == (0, "stopped")
    assert {file["name"] for file in manifest["files"]} == {
        "runs/a-run/run.json", "runs/a-run/fold-1/finished.json",
        "runs/a-run/fold-1/checkpoint.keras", "runs/a-run/fold-2/checkpoint.keras",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "training" in said
    assert "before the session's limit of 3 s. Every finished epoch is kept." in said


def test_a_program_that_does_not_want_to_end_is_killed(machine):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    code, manifest = run(machine, deaf, 3)
    assert (code, manifest["state"]) == (0, "stopped")


def test_what_is_finished_is_listed_while_the_rest_trains(machine, monkeypatch):
    monkeypatch.setattr(kernel_session, "POLL", 0.1)
    states = []
    write = kernel_session._Output.write

    def listen(self, state, message=""):
        write(self, state, message)
        states.append((state, len(json.loads((self.folder / MANIFEST).read_text())["files"])))

    monkeypatch.setattr(kernel_session._Output, "write", listen)
    program = (
        "import pathlib, time\n"
        "run = pathlib.Path('runs/a-run')\n"
        "for fold in ('fold-1', 'fold-2'):\n"
        "    (run / fold).mkdir(parents=True)\n"
        "    (run / fold / 'finished.json').write_text('{}')\n"
        "    time.sleep(0.6)\n"
    )
    code, manifest = run(machine, program)
    assert (code, manifest["push"]) == (0, "a-push")
    assert [state for state, _ in itertools.groupby(states)] == [
        ("running", 1), ("running", 2), ("finished", 2)
    ]  # fmt: skip


def test_a_training_that_fails_leaves_its_last_lines(machine):
    fold(machine / "working", 1, finished=True)
    program = "import sys; [print('line', i) for i in range(50)]; sys.exit('Error: no memory')"
    code, manifest = run(machine, program)
    assert (code, manifest["state"]) == (1, "failed")
    assert (
        manifest["message"].endswith("line 49\nError: no memory")
        or "Error: no memory" in (manifest["message"])
    )
    assert "line 3\n" not in manifest["message"]
    assert len(manifest["files"]) == 3


def test_a_machine_that_lacks_packages(machine, monkeypatch, capsys):
    monkeypatch.setattr(kernel_session, "NEEDED", ("json", "nosuch_package"))
    code, manifest = run(machine, "")
    assert (code, manifest["state"]) == (1, "failed")
    assert "this machine lacks the packages nosuch_package" in capsys.readouterr().out


def test_settings_of_another_version(machine):
    code = kernel_session.run({"session_seconds": "long"}, "a-push", str(machine))
    assert code == 1
    manifest = json.loads((machine / "working" / MANIFEST).read_text())
    assert "session_seconds is 'long', expected int" in manifest["message"]


# ------------------------------------------------------------------------------------- the script


def test_the_same_sources_make_the_same_package(tmp_path):
    recipe = tmp_path / "net.py"
    recipe.write_text("RECIPE = 1\n")
    assert kernel_script.pack(recipe) == kernel_script.pack(recipe) != kernel_script.pack(None)


def test_a_script_that_is_too_large(tmp_path):
    recipe = tmp_path / "net.py"
    recipe.write_bytes(os.urandom(900_000))
    with pytest.raises(InputError, match=r"script has 1,\d{3},\d{3} bytes. Expected at most"):
        kernel_script.prepare(
            tmp_path, "a/b", job(), push="p", accelerator="none", recipe_file=recipe
        )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "kaggle-digits-bn20-5-fold"),
        ({"recipe": "My_Net.v2.py"}, "kaggle-digits-my-net-v2-5-fold"),
        ({"record": True, "budget": "2h"}, "kaggle-digits-record-2h-5-fold"),
        ({"recipe": "a" * 60 + ".py"}, "kaggle-digits-" + "a" * 36),
    ],
)
def test_names_of_kernels(changes, name):
    assert job(**changes).default_name == name
