"""Folds in processes of their own: the same files, however they end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kaggle_digits as kd
from kaggle_digits.backend import cores
from kaggle_digits.errors import DivergedError, InputError, OutsideError
from kaggle_digits.pipeline import NullCallback
from kaggle_digits.runs.safe_folder import DamagedRunError
from kaggle_digits.training.executors import Task
from kaggle_digits.training.executors.processes import Processes
from tests import product

DENSE = (*product.DENSE, "--jobs", "2")


@pytest.fixture
def data(undisturbed):
    return undisturbed / "input"


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def begun(cwd: Path, data: Path):
    """Start the run, and return it and its workers once a fold has finished an epoch."""
    process = product.started(*DENSE, "--input", data, cwd=cwd, KAGGLE_KEY="a-key")
    product.read_until(process, "epoch 1/6")
    pids = product.workers_of(process.pid)
    assert len(pids) == 2
    assert not any(b"a-key" in Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
    return process, pids


def same(cwd: Path, undisturbed: Path) -> bool:
    return (cwd / "out.csv").read_bytes() == (undisturbed / "out.csv").read_bytes()


def test_the_number_of_jobs_is_no_setting(undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "copy")
    settings = json.loads((folder / "run" / "run.json").read_text())["settings"]
    assert settings["threads"] == 2
    assert not {"jobs", "on"} & set(settings)
    again = product.call(*DENSE, "--on", "processes", cwd=folder)
    assert again.stderr.count("finished earlier") == 3  # it is the same run


SCRIPT = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import kaggle_digits as kd

kd.train("fast", sys.argv[1], epochs=1, limit=100)
run = kd.cross_validate("dense", sys.argv[1], folds=3, epochs=6, batch_size=4, run="run")
print(os.environ.get("TF_NUM_INTRAOP_THREADS"), run.folder)
"""


@pytest.mark.slow  # the test of --jobs below covers the main risk
def test_neither_one_core_nor_another_recipe_before_it_changes_a_byte(data, undisturbed, tmp_path):
    """In a script without ``if __name__ == "__main__"``, which child processes must not repeat."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(data)],
        cwd=tmp_path,
        env=product.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None run\n"
    for name in ("submission.csv", "test.npz", "oof.npz"):
        theirs = (undisturbed / "run" / name).read_bytes()
        assert (tmp_path / "run" / name).read_bytes() == theirs, name


@pytest.mark.parametrize("threads", [None, 1])
def test_a_run_of_an_earlier_version_resumes_with_its_threads(threads, data, tmp_path):
    command = ("cv", "--recipe", "dense", "--folds", "2", "--epochs", "1", "--input", data)
    product.call(*command, cwd=tmp_path)
    [run] = (tmp_path / "runs").iterdir()
    if threads:  # as --jobs named it
        run = run.rename(run.with_name(f"{run.name}-t{threads}"))
    description = json.loads((run / "run.json").read_text())
    description["settings"]["threads"] = threads
    (run / "run.json").write_text(json.dumps(description))
    jobs = ("--jobs", str(cores())) if threads else ()
    done = product.call(*command, *jobs, cwd=tmp_path)
    assert "finished earlier" in done.stderr
    assert f"Run          runs/{run.name}" in done.stdout
    assert list((tmp_path / "runs").iterdir()) == [run]


def test_two_jobs_write_the_bytes_of_one_after_sigkill_of_all_and_of_one(
    data, undisturbed, tmp_path
):
    process, pids = begun(tmp_path, data)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert gone(pids), "workers end with their parent"

    process = product.started(*DENSE, "--input", data, cwd=tmp_path)
    product.read_until(process, "resumes after epoch")
    [first, *_] = product.workers_of(process.pid)
    os.kill(first, signal.SIGKILL)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was killed by SIGKILL. Every finished epoch is kept" in text
    assert "If memory ran out, add --jobs with a smaller number" in text
    assert "Traceback" not in text

    product.run(*DENSE, "--input", data, cwd=tmp_path)
    assert same(tmp_path, undisturbed)
    assert not list((tmp_path / "run").glob(".*.tmp*"))


def fail(folder, splits, number, watcher):
    """Stand for the training of a fold, in a worker that need not start Keras."""
    del watcher
    if number == 1:
        raise InputError(f"--some-option does not fit {len(splits.train)} images.")
    if number == 2:
        raise ValueError("no words")
    if number == 4:
        raise DamagedRunError(folder / "folds.npy", "it is empty")
    if number == 5:
        raise DivergedError("the loss is nan")
    os._exit(3)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (1, InputError, "--some-option does not fit 240 images."),
        (2, OutsideError, "fold 2 failed: unexpected ValueError: no words. Every finished epoch"),
        (3, OutsideError, "the process that trained fold 3 ended with status 3. Every finished"),
        (4, InputError, "folds.npy is damaged: it is empty."),
        (5, DivergedError, "the loss is nan"),
    ],
)
def test_what_goes_wrong_with_a_fold_arrives_in_words(number, kind, message, data, tmp_path):
    task = Task(fail, tmp_path, kd.load(data), batch_splits=1, threads=1)
    with pytest.raises(kind, match=re.escape(message)):
        list(Processes(1).train_folds(task, [number], NullCallback()))
    assert not list(tmp_path.iterdir())
