"""Where folds are trained, and how many at the same time."""

import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.training.executors import choosing
from kaggle_digits.training.executors.in_process import InProcess
from kaggle_digits.training.executors.processes import Processes
from kaggle_digits.training.executors.ray import OnRay
from tests import product

GIGABYTE = 10**9
COMPETITION = 42_000 * 784  # bytes of its training images


@pytest.fixture
def machine(monkeypatch):
    """Return a function that pretends to be on a machine."""

    def pretend(cores: int, memory: int = 1000 * GIGABYTE, gpus: str | None = None) -> None:
        monkeypatch.setattr(choosing, "cores", lambda: cores)
        monkeypatch.setattr(choosing, "free_memory", lambda: memory)
        monkeypatch.setattr(choosing, "has_gpu", lambda: gpus is not None)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus or "")

    return pretend


def choose(on=None, jobs=None, address=None):
    return choosing.choose(on, jobs, address, None, members=5, cpus=2, image_bytes=COMPETITION)


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"),
    [(1, 100, 1), (2, 100, 1), (4, 100, 2), (16, 100, 5), (16, 3, 2), (16, 0.5, 1)],
)
def test_jobs_follow_cores_and_memory_and_the_number_of_models(cores, memory, jobs, machine):
    machine(cores, int(memory * GIGABYTE))
    assert choose().jobs == jobs
    assert isinstance(choose(), Processes if jobs > 1 else InProcess)
    assert choose("processes") == Processes(jobs)


def test_jobs_follow_the_gpus(machine):
    machine(16, gpus="0,1")
    assert choose() == Processes(2)
    machine(16, gpus="")
    assert isinstance(choose(), InProcess)


def test_what_is_asked_for_is_done(machine):
    machine(16)
    assert choose(jobs=3) == Processes(3)
    assert isinstance(choose("here"), InProcess)
    assert isinstance(choose(jobs=1), InProcess)
    assert choose("ray", 7, "auto") == OnRay("auto", 7)


@pytest.mark.parametrize(
    ("on", "jobs", "message"),
    [
        ("here", 2, "--on here trains one fold at a time; received --jobs 2"),
        ("spark", None, "--on 'spark' is unknown. Expected one of here, processes, ray"),
    ],
)
def test_what_is_wrong_is_said(on, jobs, message):
    with pytest.raises(InputError, match=message):
        choose(on, jobs)


def test_free_memory_is_that_of_this_machine_or_container(monkeypatch, tmp_path):
    assert 10**8 < choosing.free_memory() < 10**14
    group = (str(tmp_path), "memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(choosing, "CGROUPS", (group,))
    (tmp_path / "memory.current").write_text("10000\n")
    (tmp_path / "memory.stat").write_text("anon 7000\ninactive_file 2000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert choosing.free_memory() > 12_345
    (tmp_path / "memory.max").write_text("12345\n")
    assert choosing.free_memory() == 12_345 - 10_000 + 2_000  # the kernel gives up cached files
    (tmp_path / "memory.max").write_text("5000\n")
    assert choosing.free_memory() == 0
    for name in ("memory.stat", "memory.current"):
        (tmp_path / name).unlink()
    assert choosing.free_memory() == 5000


def test_the_command_says_what_is_wrong_before_it_trains(sample, tmp_path):
    done = product.call(
        "cv", "--on", "here", "--jobs", "2", "--input", sample, cwd=tmp_path, code=2
    )
    assert "--on here trains one fold at a time; received --jobs 2" in done.stderr
    assert not list(tmp_path.glob("runs/*/fold-*"))
