"""Kernels end to end: the real client against a server on the loopback, the real script here."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.kaggle_client import kernel_fetch, kernels
from kaggle_digits.kaggle_client.kernel_job import OutputFile
from tests import kaggle_server, product
from tests.helpers import write_competition
from tests.kaggle_server import CUT, DO_AND_HANG, HANG, HTML, LOSE_ANSWER, RESET, STALL, USER
from tests.submitting import require_no_secret

NAME = "kaggle-digits-my-net-2-fold-e1"
KERNEL = f"{USER}/{NAME}"
OPTIONS = ("--folds", "2", "--epochs", "1", "--timeout", "10m")
OWN = ("push", "--recipe", "my_net.py", *OPTIONS)
PUSH = ("push", "--recipe", "dense", "--name", NAME, *OPTIONS)  # which does not import Keras
MANIFEST = "kaggle-digits.json"
QUICK = {"KAGGLE_DIGITS_TIMEOUT": "6"}  # seconds: the looks for a lost push take 1.5 in all
SHORT = {"KAGGLE_DIGITS_TIMEOUT": "2.5"}  # long enough for a busy machine
NET = """
import keras
from keras import layers

import kaggle_digits as kd


def network():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])


RECIPE = kd.Recipe(
    name="my-net",
    summary="the smallest",
    network=network,
    training=kd.Training(optimizer="adam", learning_rate=1e-2, batch_size=16, epochs=2),
)
"""


def kernel(folder, server, *arguments, code=0, **environment):
    """Run ``kernel …`` against ``server``; return its output on one line, checked for leaks."""
    extra = server.environment() | environment
    done = product.call("kernel", *arguments, cwd=folder, code=code, **extra)
    require_no_secret(folder, done.stdout + done.stderr)
    assert not re.search(r"Traceback|\wWarning", done.stderr)
    assert code == 0 or re.search("^Error: ", done.stderr, re.MULTILINE)
    return " ".join((done.stdout + done.stderr).split())


def ledger(folder):
    path = folder / "kernels" / "kernels.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def record(folder, **changes):
    """Change the only entry in the ledger, as another process does."""
    path = folder / "kernels" / "kernels.jsonl"
    path.write_text(json.dumps(ledger(folder)[0] | changes) + "\n")


@pytest.fixture
def home(tmp_path):
    """Return a folder with a recipe's own file, from which nothing was pushed."""
    (tmp_path / "my_net.py").write_text(NET)
    return tmp_path


# ---------------------------------------------------------------------- what Kaggle's machine does


@dataclass
class OnKaggle:
    """A kernel that was pushed and has run."""

    folder: Path  # from which it was pushed
    kernels: dict[str, Any]  # what the server holds
    output: dict[str, bytes]
    log: str


def run_script(text: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a kernel's script in an empty folder laid out like Kaggle's, without this package."""
    write_competition(folder / "input" / "competitions" / "digit-recognizer")
    (folder / "working").mkdir()
    (folder / "src").mkdir()
    (folder / "src" / "script.py").write_text(text)
    apart = {name: value for name, value in product.environment().items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder / "src",
        env=apart
        | {
            "KAGGLE_DIGITS_WORKING": str(folder / "working"),
            "KAGGLE_DIGITS_INPUT": str(folder / "input"),
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def on_kaggle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "my_net.py").write_text(NET)
    with kaggle_server.running() as server:
        said = kernel(folder, server, *OWN)
        assert f"Pushed {KERNEL}, version 1: my_net-2-fold-e1 on NvidiaTeslaT4, at most" in said
        kernels = server.kernels
    machine = tmp_path_factory.mktemp("kaggle")
    done = run_script(kernels[KERNEL][0]["text"], machine)
    assert done.returncode == 0, done.stdout + done.stderr
    working = machine / "working"
    output = {
        path.relative_to(working).as_posix(): path.read_bytes()
        for path in working.rglob("*")
        if path.is_file()
    }
    events = [{"stream_name": "stdout", "time": 1.5, "data": done.stdout}]
    return OnKaggle(folder, kernels, output, json.dumps(events))


@pytest.fixture
def fetching(on_kaggle, tmp_path, server):
    """Return the folder from which a kernel was pushed that has run on ``server``."""
    home = tmp_path / "home"
    shutil.copytree(on_kaggle.folder, home)
    server.kernels, server.output = on_kaggle.kernels, dict(on_kaggle.output)
    server.log, server.sessions = on_kaggle.log, ["COMPLETE"]
    return home


def change_manifest(server, **changes):
    server.output[MANIFEST] = json.dumps(json.loads(server.output[MANIFEST]) | changes).encode()


def test_what_is_pushed(on_kaggle):
    [request] = on_kaggle.kernels[KERNEL]
    assert request["machineShape"] == "NvidiaTeslaT4"
    assert request["sessionTimeoutSeconds"] == 600
    assert request["competitionDataSources"] == ["digit-recognizer"]
    assert (request["language"], request["kernelType"]) == ("python", "script")
    assert request["isPrivate"] is True
    assert not request.get("enableInternet")
    assert request["newTitle"] == NAME
    assert USER not in request["text"]
    assert str(on_kaggle.folder) not in request["text"]


def test_the_script_trains_and_lists_what_belongs_home(on_kaggle):
    manifest = json.loads(on_kaggle.output[MANIFEST])
    assert manifest["state"] == "finished"
    names = {file["name"] for file in manifest["files"]}
    [run] = {name.split("/")[1] for name in names}
    assert {"run.json", "recipe.py", "submission.csv", "fold-1/model.keras"} <= {
        name.removeprefix(f"runs/{run}/") for name in names
    }
    log = "".join(event["data"] for event in json.loads(on_kaggle.log))
    assert "digit-recognizer" in log
    assert "no GPU; Keras on tensorflow, precision the recipe's" in log
    assert "fold 2/2 finished" in " ".join(log.split())
    run_json = json.loads(on_kaggle.output[f"runs/{run}/run.json"])
    command = "kaggle-digits cv --recipe my_net.py --folds 2 --epochs 1"
    assert run_json["command"] == command  # it also works on the user's machine


def test_wait_fetch_and_use(fetching, server):
    server.sessions = ["QUEUED", "RUNNING", "RUNNING", "COMPLETE"]
    text = kernel(fetching, server, "status", "--wait", **QUICK)
    assert f"{KERNEL}: QUEUED {KERNEL}: RUNNING {KERNEL}: COMPLETE" in text
    assert "fold 2/2 finished: accuracy" in text
    assert "kernel fetch" in text
    text = kernel(fetching, server, "fetch")
    [run] = (fetching / "runs").glob("my-net*")
    assert f"Run runs/{run.name} (2 of 2 models, out-of-fold accuracy" in text
    assert f"Submission submissions/{run.name}.csv" in text
    assert ledger(fetching)[0]["runs"] == [f"runs/{run.name}"]
    assert ledger(fetching)[0]["status"] == "COMPLETE"
    assert not list(fetching.rglob(".kaggle-digits-*"))

    data = write_competition(fetching / "input")
    product.call("evaluate", run, cwd=fetching)
    product.call("ensemble", run, run, cwd=fetching, code=None)
    product.call("predict", run, "--submission", "p.csv", "--input", data, cwd=fetching)
    said = product.call("compare", f"submissions/{run.name}.csv", "p.csv", cwd=fetching).stdout
    assert "20" in said
    said = product.call("submit", f"submissions/{run.name}.csv", cwd=fetching, code=2).stderr
    assert "is not for the competition" in said  # 20 test images: it is found, read and refused
    # The same command finds the run finished: nothing is trained again.
    again = ("cv", "--recipe", "my_net.py", "--folds", "2", "--epochs", "1")
    assert "finished earlier" in product.call(*again, cwd=fetching).stderr

    (run / "run.json").write_bytes((run / "run.json").read_bytes() + b" ")
    text = kernel(fetching, server, "fetch", NAME, code=2)
    assert f"runs/{run.name} exists with other files and is not overwritten. Nothing was" in text


def test_a_changed_script_does_nothing(on_kaggle, tmp_path):
    text = on_kaggle.kernels[KERNEL][0]["text"]
    first = text.index('PACKAGE = """') + 200
    other = "A" if text[first] != "A" else "B"
    done = run_script(text[:first] + other + text[first + 1 :], tmp_path)
    assert done.returncode == 1
    assert "the package in this script was changed: its SHA-256 is" in done.stderr
    assert not list((tmp_path / "working").iterdir())


def test_a_script_without_data_says_so_and_lists_nothing(on_kaggle, tmp_path):
    (tmp_path / "empty").mkdir()
    place = {"KAGGLE_DIGITS_INPUT": str(tmp_path / "empty")}
    done = run_script(on_kaggle.kernels[KERNEL][0]["text"], tmp_path, **place)
    assert done.returncode == 1
    assert f"Error: no data below {tmp_path / 'empty'}: it holds no folder." in done.stdout
    manifest = json.loads((tmp_path / "working" / MANIFEST).read_text())
    assert (manifest["state"], manifest["files"]) == ("failed", [])
    assert "no data below" in manifest["message"]


# ------------------------------------------------------------------------------------------- push


def test_the_same_is_not_pushed_twice(home, server):
    server.sessions = ["COMPLETE"]
    kernel(home, server, *PUSH)
    [entry] = ledger(home)
    assert (entry["version"], entry["status"]) == (1, "QUEUED")
    text = kernel(home, server, *PUSH, code=2)
    assert f"the same training was already pushed: {KERNEL}, version 1, at" in text
    assert "--force trains them again" in text
    assert "version 2" in kernel(home, server, *PUSH, "--force")
    assert len(ledger(home)) == len(server.kernels[KERNEL]) == 2
    assert "version 3" in kernel(home, server, *PUSH, "--seed", "1")  # another training


def test_another_recipe_file_is_another_training(home, server):
    server.sessions = ["COMPLETE"]
    kernel(home, server, *OWN)
    (home / "my_net.py").write_text(NET.replace("1e-2", "2e-2"))
    assert "version 2" in kernel(home, server, *OWN)


def test_what_failed_may_be_pushed_again(home, server):
    server.sessions = ["ERROR"]
    kernel(home, server, *PUSH)
    assert "version 2" in kernel(home, server, *PUSH)


@pytest.mark.parametrize("status", ["QUEUED", "CANCEL_REQUESTED", "AWAITING_GPU"])
def test_a_running_kernel_is_not_pushed_again(status, home, server):
    server.sessions = [status]
    kernel(home, server, *PUSH)
    text = kernel(home, server, *PUSH, "--force", code=2)
    assert f"{KERNEL} is {status} on Kaggle. A second session would use twice" in text
    assert len(server.kernels[KERNEL]) == len(ledger(home)) == 1


def test_another_name_runs_beside_it(home, server):
    server.sessions = ["RUNNING"]
    kernel(home, server, *PUSH)
    other = (*PUSH, "--name", "other-name", "--force")
    assert "Pushed someone/other-name" in kernel(home, server, *other)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (401, "does not accept your credentials"),
        (429, "Wait some minutes"),
        (500, "Kaggle failed (500"),
        (RESET, "the connection to Kaggle failed"),
        (HTML, "Kaggle's answer cannot be read"),
        (HANG, f"did not answer within 2.5 s: the status of {KERNEL}"),
    ],
    ids=str,
)
def test_faults_before_anything_is_sent(fault, expected, home, server):
    server.faults["GetKernelSessionStatus"] = fault
    patience = SHORT if fault == HANG else {}
    assert expected in kernel(home, server, *PUSH, code=1, **patience)
    assert "SaveKernel" not in server.calls
    assert not ledger(home)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (400, "Kaggle rejected the request (400"),
        (401, "does not accept your credentials"),
        (403, "a GPU requires a verified phone number"),
        (404, f"Check the name {KERNEL}"),
        (429, "Wait some minutes"),
    ],
    ids=str,
)
def test_what_kaggle_refuses_leaves_no_line(fault, expected, home, server):
    server.faults["SaveKernel"] = fault
    assert expected in kernel(home, server, *PUSH, code=1)
    assert server.calls.count("SaveKernel") == 1
    assert not ledger(home)


def test_a_reason_of_kaggles_not_to_run_it(home, server):
    server.save_error = "Maximum weekly GPU quota of 30.00 hours reached."
    text = kernel(home, server, *PUSH, code=1)
    assert f"Kaggle rejected {KERNEL}: Maximum weekly GPU quota" in text
    assert not ledger(home)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (500, "Kaggle failed (500"),
        (RESET, "the connection to Kaggle failed"),
        (HTML, "Kaggle's answer cannot be read"),
        (HANG, "Kaggle did not answer within"),
    ],
    ids=str,
)
def test_a_lost_answer_of_what_never_arrived(fault, expected, home, server):
    server.faults["SaveKernel"] = fault
    patience = SHORT if fault == HANG else QUICK
    text = kernel(home, server, *PUSH, code=1, **patience)
    assert f"{KERNEL} was probably not pushed: {expected}" in text
    assert server.calls.count("SaveKernel") == 1
    assert [entry["status"] for entry in ledger(home)] == ["UNKNOWN"]
    server.faults.clear()
    text = kernel(home, server, *PUSH, **QUICK)
    assert "never arrived" in text
    assert [entry["version"] for entry in ledger(home)] == [1]


def test_a_lost_answer_is_found_in_the_source(home, server):
    server.faults["SaveKernel"] = LOSE_ANSWER
    assert f"Pushed {KERNEL}, version 1" in kernel(home, server, *PUSH, **QUICK)
    assert len(server.kernels[KERNEL]) == len(ledger(home)) == 1


@pytest.mark.parametrize(("fault", "arrived"), [(HANG, False), (DO_AND_HANG, True)])
def test_killed_and_started_again(fault, arrived, home, server):
    server.faults["SaveKernel"] = fault
    process = product.started("kernel", *PUSH, cwd=home, **server.environment())
    while "SaveKernel" not in server.calls:
        time.sleep(0.02)
        assert process.poll() is None
    time.sleep(0.2)
    process.kill()
    process.communicate()
    server.faults.clear()
    server.sessions = ["COMPLETE"]
    assert [entry["status"] for entry in ledger(home)] == ["UNKNOWN"]
    text = kernel(home, server, *PUSH, code=2 if arrived else 0, **QUICK)
    assert ("arrived: version 1" in text) == arrived
    assert ("already pushed" in text) == arrived
    assert len(server.kernels[KERNEL]) == len(ledger(home)) == 1


@pytest.mark.parametrize("option", ["--force", "--dry-run"])
def test_another_push_at_the_same_time_keeps_the_script(option, home, server):
    kernel(home, server, *PUSH)
    script = (home / "kernels" / NAME / "kaggle_digits_kernel.py").read_bytes()
    with kernels.lock(home / "kernels"):
        text = kernel(home, server, *PUSH, option, code=2)
    assert "another `kaggle-digits` process is pushing a kernel here" in text
    assert (home / "kernels" / NAME / "kaggle_digits_kernel.py").read_bytes() == script


def test_dry_run_asks_nobody(home, server):
    text = kernel(home, server, *PUSH, "--dry-run")
    assert f'"id": "{KERNEL}"' in text
    assert '"machine_shape": "NvidiaTeslaT4"' in text
    assert "Nothing was pushed" in text
    assert {path.name for path in (home / "kernels" / NAME).iterdir()} == {
        "kernel-metadata.json", "kaggle_digits_kernel.py",
    }  # fmt: skip
    nobody = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    text = kernel(home, server, *PUSH, "--dry-run", "--accelerator", "none", **nobody)
    assert "YOUR-USER-NAME is a placeholder" in text
    assert '"enable_gpu": false' in text
    assert server.calls == []
    assert not ledger(home)


def test_a_token_tells_its_user(home, server):
    environment = server.environment(token=True)
    done = product.call("kernel", *PUSH, cwd=home, **environment)
    assert f"Pushed {KERNEL}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--recipe", "nosuch"), "unknown recipe 'nosuch'"),
        (("--recipe", "nosuch.py"), "nosuch.py: no such file"),
        (("--recipe", "kaggle_digits.recipes.fast:RECIPE"), "the name of a built-in one"),
        (
            ("--timeout", "13h"),
            "--timeout '13h' is not a valid session length. Expected 60 s to 12 h",
        ),
        (("--timeout", "soon"), "--timeout 'soon' is not a valid session length"),
        (("--name", "Bad Name"), "--name 'Bad Name' cannot be a kernel's name"),
        (("--name", "x"), "Expected 5 to 50 lower-case letters"),
        (("--accelerator", "a b"), "--accelerator 'a b' is not the name of a GPU"),
        (
            ("--accelerator", "nvidiateslat4"),
            "Did you mean 'NvidiaTeslaT4'? Expected NvidiaTeslaT4, NvidiaTeslaP100 or another of",
        ),
        (("--budget", "1h"), "--budget 1h needs --record"),
        (("--record", "--budget", "3h"), "--budget 3h does not fit into a session of 3h"),
        (("--record", "--budget", "much"), "--budget 'much' is neither a time nor an amount"),
        (("--record", "--epochs", "2"), "--record chooses recipes, epochs and seeds"),
    ],
    ids=str,
)
def test_wrong_input_of_push(arguments, expected, home, server):
    assert expected in kernel(home, server, "push", *arguments, code=2)
    assert server.calls == []


def test_a_recipe_of_a_package_is_not_sent(home, server, monkeypatch):
    (home / "other.py").write_text(NET)
    monkeypatch.syspath_prepend(str(home))
    text = kernel(home, server, "push", "--recipe", "other:RECIPE", code=2)
    assert "is in a package that Kaggle's machine does not have" in text


@pytest.mark.parametrize("command", ["push", "status", "fetch"])
def test_no_credentials(command, home, server):
    nobody = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    assert "no credentials" in kernel(home, server, command, code=2, **nobody)
    assert server.calls == []


# ----------------------------------------------------------------------------------------- status


def test_status_without_waiting(fetching, server):
    server.sessions = ["RUNNING"]
    text = kernel(fetching, server, "status", NAME)
    assert "fold 2/2 finished" in text  # the last lines of the log
    assert f"{KERNEL}: RUNNING, my_net-2-fold-e1, pushed 2" in text
    done = product.call(
        "kernel", "status", "--json", cwd=fetching, code=None, **server.environment()
    )
    said = json.loads(done.stdout)
    assert (said["status"], said["pushed"]["version"]) == ("RUNNING", 1)


@pytest.mark.parametrize("options", [(), ("--wait",)])
def test_a_kernel_that_ends_in_error(options, fetching, server):
    server.sessions = ["RUNNING", "ERROR"] if options else ["ERROR"]
    server.failure = f"Your notebook ran out of memory. See {kaggle_server.UPLOAD}"
    text = kernel(fetching, server, "status", *options, code=1, **QUICK)
    assert f"{KERNEL} ended with ERROR: Your notebook ran out of memory. See (address)" in text
    assert "fold 2/2 finished" in text
    assert ledger(fetching)[0]["status"] == "ERROR"


def test_an_unknown_status_and_faults_while_waiting(fetching, server):
    server.sessions = ["AWAITING_GPU"]
    process = product.started(
        "kernel", "status", "--wait", cwd=fetching, **server.environment() | QUICK
    )
    assert product.read_until(process, "AWAITING_GPU")
    server.faults["GetKernelSessionStatus"] = 503
    before = server.calls.count("GetKernelSessionStatus")
    while server.calls.count("GetKernelSessionStatus") < before + 2:
        time.sleep(0.02)
        assert process.poll() is None
    server.sessions = ["COMPLETE"]
    server.faults.clear()
    assert "COMPLETE" in process.communicate(timeout=60)[0]
    assert process.returncode == 0


def test_what_a_push_recorded_meanwhile_is_kept(fetching, server):
    server.sessions = ["RUNNING"]
    process = product.started(
        "kernel", "status", "--wait", cwd=fetching, **server.environment() | QUICK
    )
    product.read_until(process, "RUNNING")
    record(fetching, version=3, url="https://www.kaggle.com/x")
    server.sessions = ["COMPLETE"]
    process.communicate(timeout=60)
    [entry] = ledger(fetching)
    assert (entry["status"], entry["version"]) == ("COMPLETE", 3)
    assert entry["url"] == "https://www.kaggle.com/x"


def test_ctrl_c_while_waiting(fetching, server):
    server.sessions = ["RUNNING"]
    process = product.started("kernel", "status", "--wait", cwd=fetching, **server.environment())
    product.read_until(process, "RUNNING")
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "no kernel was pushed"),
        (("no kernel",), "'no kernel' is not a kernel's name. Expected USER/NAME"),
        (("someone/nothing-here",), "Kaggle has no kernel someone/nothing-here, or it is not"),
    ],
)
@pytest.mark.parametrize("command", ["status", "fetch"])
def test_wrong_names(command, arguments, expected, home, server):
    assert expected in kernel(home, server, command, *arguments, code=2)


# ------------------------------------------------------------------------------------------ fetch


@pytest.mark.parametrize(
    ("step", "fault", "expected"),
    [
        ("ListKernelSessionOutput", 401, "does not accept your credentials"),
        ("ListKernelSessionOutput", 403, f"Check the name {KERNEL}"),
        ("ListKernelSessionOutput", 404, "not found on Kaggle"),
        ("ListKernelSessionOutput", 429, "Wait some minutes"),
        ("ListKernelSessionOutput", 500, "Kaggle failed (500"),
        ("ListKernelSessionOutput", RESET, "the connection to Kaggle failed"),
        ("ListKernelSessionOutput", HTML, "Kaggle's answer cannot be read"),
        ("ListKernelSessionOutput", HANG, "did not answer within 2.5 s: the output of"),
        ("GET", 403, f"Check the name {KERNEL}"),
        ("GET", HTML, f"{MANIFEST} of {KERNEL} is damaged"),
        ("GET test.npz", 404, "not found on Kaggle"),
        ("GET test.npz", 500, "Kaggle failed (500"),
        ("GET test.npz", RESET, "the connection to Kaggle failed"),
        (
            "GET test.npz",
            HTML,
            "test.npz of someone/kaggle-digits-my-net-2-fold-e1 differs from the manifest",
        ),
        ("GET test.npz", CUT, "the connection to Kaggle failed"),
        ("GET test.npz", STALL, "received nothing for 2.5 s"),
        ("GET test.npz", HANG, "received nothing for 2.5 s after 0 bytes"),
    ],
    ids=str,
)
def test_faults_of_a_fetch(step, fault, expected, fetching, server):
    run = json.loads(server.output[MANIFEST])["files"][0]["name"].split("/")[1]
    server.faults[step.replace("test.npz", f"runs/{run}/test.npz")] = fault
    patience = SHORT if fault in (HANG, STALL) else {}
    assert expected in kernel(fetching, server, "fetch", code=1, **patience)
    require_nothing_fetched(fetching)


def test_a_csv_that_exists_is_kept_and_named(fetching, server):
    [name] = {file["name"].split("/")[1] for file in json.loads(server.output[MANIFEST])["files"]}
    csv = fetching / "submissions" / f"{name}.csv"
    csv.parent.mkdir()
    csv.write_text("mine")
    text = kernel(fetching, server, "fetch")
    assert f"Submission submissions/{name}.csv (existed already, not changed)" in text
    assert csv.read_text() == "mine"
    shutil.rmtree(fetching / "runs")
    assert '"submission_existed": true' in kernel(fetching, server, "fetch", "--json")


def test_what_was_recorded_during_a_fetch_is_kept(fetching, server, monkeypatch):
    def fetch(*arguments, **options):
        got = whole(*arguments, **options)
        record(fetching, status="COMPLETE", version=3)
        return got

    whole = kernel_fetch.fetch
    monkeypatch.setattr(kernel_fetch, "fetch", fetch)
    kernel(fetching, server, "fetch")
    [entry] = ledger(fetching)
    assert (entry["status"], entry["version"], len(entry["runs"])) == ("COMPLETE", 3, 1)


def test_a_fetch_that_failed_is_repeated(fetching, server):
    server.faults["GET"] = CUT
    kernel(fetching, server, "fetch", code=1)
    server.faults.clear()
    assert "Run runs/my-net" in kernel(fetching, server, "fetch")


# Fetches and dies before a file or folder gets the name in the first argument.
DYING = """
import os, signal, sys

def die(event, arguments):
    if event == "os.rename" and os.path.basename(arguments[1]) == name:
        os.kill(os.getpid(), signal.SIGKILL)

name = sys.argv.pop(1)
sys.argv[0] = "kaggle-digits"
sys.addaudithook(die)
from kaggle_digits import cli
cli.main()
"""


def add_run(server, name):
    """Add to the output a second run, which has the files of the first; return both names."""
    added, manifest = [], json.loads(server.output[MANIFEST])
    for file in manifest["files"]:
        _, first, inner = file["name"].split("/", 2)
        added.append(file | {"name": f"runs/{name}/{inner}"})
        server.output[f"runs/{name}/{inner}"] = server.output[file["name"]]
    change_manifest(server, files=[*manifest["files"], *added])
    return first, name


@pytest.mark.parametrize(
    ("dies_at", "left"),
    [
        ("the first run", ["second"]),  # the first run is moved last
        ("kernels.jsonl", ["first", "second"]),
        ("the csv", ["first", "second"]),
    ],
)
def test_a_killed_fetch_is_completed_by_the_same_command(dies_at, left, fetching, server):
    names = dict(zip(("first", "second"), add_run(server, "second"), strict=True))
    name = {"the first run": names["first"], "the csv": f"{NAME}.csv"}.get(dies_at, dies_at)
    done = subprocess.run(
        [sys.executable, "-c", DYING, name, "kernel", "fetch"],
        cwd=fetching,
        env=product.environment(**server.environment()),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    there = {path.name for path in (fetching / "runs").glob("[a-z]*")}
    assert there == {names[run] for run in left}
    text = kernel(fetching, server, "fetch")
    assert f"Submission submissions/{NAME}.csv" in text
    assert set(ledger(fetching)[0]["runs"]) == {f"runs/{run}" for run in names.values()}
    assert (fetching / "submissions" / f"{NAME}.csv").read_text().startswith("ImageId,Label")
    assert not list(fetching.rglob(".kaggle-digits-*"))
    assert "(existed already, not changed)" in kernel(fetching, server, "fetch")


@pytest.mark.parametrize("folder", ["runs", "submissions"])
def test_a_folder_that_is_a_file(folder, fetching, server):
    (fetching / folder).write_text("mine")
    text = kernel(fetching, server, "fetch", code=2)
    assert re.search(rf"cannot write {folder}/\S+: a parent folder is a file", text)
    assert (fetching / folder).read_text() == "mine"
    if folder == "submissions":
        require_nothing_fetched(fetching)


def test_a_full_disk(fetching, server, monkeypatch):
    def mkdtemp(**_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    text = kernel(fetching, server, "fetch", code=1)
    assert f"no space to write runs/{MANIFEST}: No space left on device" in text


def test_a_finished_run_without_its_csv(fetching, server):
    manifest, entry = entry_of(server, "/submission.csv")
    change_manifest(server, files=[file for file in manifest["files"] if file != entry])
    text = kernel(fetching, server, "fetch", code=1)
    assert re.search(
        rf"the run \S+ of {KERNEL} is damaged \(\S+/submission.csv does not exist", text
    )
    require_nothing_fetched(fetching)


def require_nothing_fetched(home):
    assert not [path for path in (home / "runs").rglob("*") if path.name != ".lock"]
    assert not list(home.parent.rglob("evil*"))


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "runs/../../evil", "/evil", "runs/x/../evil", "runs/x/evil.py",
        "runs/.x/run.json", "runs/x/fold-1/../../../evil", "runs/x//run.json", "runs\\x\\run.json",
        "runs/x/run.json\n", "runs/x/fold-1/run.json", "submissions/evil.csv", "runs", "",
        "runs/../run.json",
    ],
)  # fmt: skip
def test_names_that_are_no_file_of_a_run(name):
    with pytest.raises(ValueError, match="which is not a file of a run"):
        OutputFile(name, 4, "0" * 64)


def test_a_path_that_escapes(fetching, server):
    name = "runs/x/../../evil"
    server.output[name] = b"evil"
    change_manifest(server, files=[{"name": name, "size": 4, "sha256": "0" * 64}])
    text = kernel(fetching, server, "fetch", code=1)
    assert f"it lists '{name}', which is not a file of a run. Nothing was fetched" in text
    require_nothing_fetched(fetching)


def test_files_beside_the_manifest_are_left_there(fetching, server):
    server.output["../evil"] = server.output["runs/evil.py"] = b"evil"
    kernel(fetching, server, "fetch")
    assert not list(fetching.parent.rglob("evil*"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"push": "0" * 32}, "belongs to another push than the one recorded here"),
        ({"files": []}, "finished no epoch: its output has no run"),
        ({"files": [], "message": "no data below /kaggle/input"}, "It failed: no data below"),
        ({"state": "odd"}, "is damaged: state is 'odd'"),
        ({"files": 3}, "is damaged: files is 3"),
    ],
)
def test_manifests_that_are_not_taken(change, expected, fetching, server):
    change_manifest(server, **change)
    code = 2 if "push" in change else 1
    assert expected in kernel(fetching, server, "fetch", code=code)
    require_nothing_fetched(fetching)


def entry_of(server, inner):
    manifest = json.loads(server.output[MANIFEST])
    return manifest, next(file for file in manifest["files"] if file["name"].endswith(inner))


def test_sizes_and_numbers_are_bounded(fetching, server):
    manifest, entry = entry_of(server, "/metrics.json")
    entry["size"] = 9 << 30
    change_manifest(server, files=manifest["files"])
    assert "Expected at most 20,000 distinct files with" in kernel(
        fetching, server, "fetch", code=1
    )
    entry["size"] = 3  # more comes than that: one chunk is taken at most
    change_manifest(server, files=manifest["files"])
    text = kernel(fetching, server, "fetch", code=1)
    assert (
        "metrics.json of someone/kaggle-digits-my-net-2-fold-e1 differs from the manifest" in text
    )
    change_manifest(server, files=[*manifest["files"], entry])
    assert "20,000 distinct files" in kernel(fetching, server, "fetch", code=1)
    require_nothing_fetched(fetching)


@pytest.mark.parametrize("inner", ["/run.json", "/fold-2/model.keras"])
def test_output_that_was_cut_short(inner, fetching, server):
    _, entry = entry_of(server, inner)
    del server.output[entry["name"]]
    text = kernel(fetching, server, "fetch", code=1)
    assert f"the output of {KERNEL} is incomplete: it lacks {entry['name']} and 0 more" in text
    require_nothing_fetched(fetching)


def test_a_run_without_its_description(fetching, server):
    manifest, entry = entry_of(server, "/run.json")
    change_manifest(server, files=[file for file in manifest["files"] if file != entry])
    assert "without its run.json" in kernel(fetching, server, "fetch", code=1)
    require_nothing_fetched(fetching)


@pytest.mark.parametrize(
    ("inner", "content"),
    [
        ("/run.json", b"{}"),
        ("/metrics.json", b"[]"),
        ("/test.npz", b"PK"),
        ("/oof.npz", b""),
        ("/submission.csv", b"1,7"),
    ],
)
def test_a_damaged_run(inner, content, fetching, server):
    manifest = json.loads(server.output[MANIFEST])
    [entry] = [
        file for file in manifest["files"] if re.fullmatch(f"runs/[^/]*{inner}", file["name"])
    ]
    entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    server.output[entry["name"]] = content
    change_manifest(server, files=manifest["files"])
    text = kernel(fetching, server, "fetch", code=1)
    assert re.search(rf"the run \S+ of {KERNEL} is damaged \(\S*{inner[1:]}", text)
    require_nothing_fetched(fetching)


@pytest.mark.parametrize("status", ["QUEUED", "AWAITING_GPU"])
def test_a_running_kernel_is_not_fetched(status, fetching, server):
    server.sessions = [status]
    text = kernel(fetching, server, "fetch", code=2)
    assert f"{KERNEL} is {status} on Kaggle: its output is not complete yet" in text
    require_nothing_fetched(fetching)


def test_a_kernel_that_left_nothing(fetching, server):
    server.sessions, server.failure, server.output = ["ERROR"], "out of memory", {}
    text = kernel(fetching, server, "fetch", code=1)
    assert f"{KERNEL} has no runs to fetch (ERROR: out of memory)" in text


def test_what_was_stopped_resumes_at_home(fetching, server):
    manifest = json.loads(server.output[MANIFEST])
    kept = [
        file
        for file in manifest["files"]
        if re.search(r"/fold-1/|/(run\.json|recipe\.py|folds\.npy)$", file["name"])
    ]
    _, entry = entry_of(server, "/run.json")
    running = json.loads(server.output[entry["name"]]) | {"state": "running", "finished": None}
    content = json.dumps(running).encode()
    server.output[entry["name"]] = content
    for file in kept:
        if file["name"] == entry["name"]:
            file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change_manifest(server, state="stopped", files=kept)
    text = kernel(fetching, server, "fetch")
    assert "(1 of 2 models)" in text
    assert "was stopped before its time limit" in text
    assert not (fetching / "submissions").exists()
    write_competition(fetching / "input")
    done = product.call(
        "cv", "--recipe", "my_net.py", "--folds", "2", "--epochs", "1", cwd=fetching
    )
    assert "fold 1/2  finished earlier" in done.stderr
    assert "Held out" in done.stdout
