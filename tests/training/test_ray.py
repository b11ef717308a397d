"""Folds on a Ray cluster: the same files, whatever is lost. The nodes are on this machine."""

import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from benchmarks import ray_scale
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.training.executors import ray_cluster, ray_worker
from kaggle_digits.training.executors.ray import OnRay
from tests import product
from tests.helpers import write_competition

CV = ("cv", "--recipe", "dense", "--folds", "3", "--epochs", "12", "--batch-size", "4")
DENSE = (*CV, "--run", "run", "--submission", "out.csv")
SECONDS = 900
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=240, test=40)


@pytest.fixture(scope="module")
def longer(data, tmp_path_factory):
    """Return the folder of a run that still trains while workers are killed: 12 epochs."""
    folder = tmp_path_factory.mktemp("longer")
    product.run(*DENSE, "--on", "here", "--input", data, cwd=folder, timeout=SECONDS)
    return folder


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs and three nodes, on this machine."""
    with ray_scale.cluster(3) as nodes:
        yield nodes


def workers() -> dict[int, int]:
    """Return the processes that train on a node, and the raylet of each."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if b"ray::train_remotely" in (path / "cmdline").read_bytes() and state != "Z":
                found[int(path.name)] = int(parent)
    return found


def begun(cluster, cwd, data, *more):
    """Start the run on the cluster, and return it once a fold has finished an epoch."""
    options = ("--on", "ray", "--ray-address", cluster.address, "--input", data, *more)
    process = product.started(*DENSE, *options, cwd=cwd, KAGGLE_KEY="a-key")
    product.read_until(process, "  loss ")  # of the first epoch, or of the next one after a loss
    assert workers()
    return process


def ended(process, code=0):
    _, text = process.communicate(timeout=SECONDS)
    assert process.returncode == code, text
    assert "Traceback" not in text
    return text


def assert_same(cwd: Path, undisturbed: Path) -> None:
    assert (cwd / "out.csv").read_bytes() == (undisturbed / "out.csv").read_bytes()
    for name in ("test.npz", "oof.npz"):
        assert (cwd / "run" / name).read_bytes() == (undisturbed / "run" / name).read_bytes()
    assert not list((cwd / "run").glob(".*.tmp*"))


def wait_until_nothing_trains() -> None:
    deadline = time.monotonic() + 60
    while workers() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not workers()


@needs_ray
def test_one_node_gives_the_same_and_leaves_nothing(undisturbed, tmp_path):
    options = ("--on", "ray", "--input", undisturbed / "input")
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as scratch:
        product.run(*product.DENSE, *options, cwd=tmp_path, timeout=SECONDS, TMPDIR=scratch)
        assert not list(Path(scratch).iterdir())
    assert_same(tmp_path, undisturbed)


@needs_ray
@pytest.mark.slow
def test_three_nodes_give_the_same(cluster, data, longer, tmp_path):
    process = begun(cluster, tmp_path, data)
    deadline = time.monotonic() + 60
    while len(set(workers().values())) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(set(workers().values())) == 3  # each node trains a fold
    ended(process)
    assert_same(tmp_path, longer)


@needs_ray
@pytest.mark.slow
def test_killed_workers_and_a_killed_driver_change_no_byte(cluster, data, longer, tmp_path):
    process = begun(cluster, tmp_path, data)
    for worker in workers():
        assert b"a-key" not in Path(f"/proc/{worker}/environ").read_bytes()
        os.kill(worker, signal.SIGKILL)
    product.read_until(process, "resumes after epoch")
    process.kill()
    process.communicate()
    wait_until_nothing_trains()
    assert not (tmp_path / "out.csv").exists()

    process = begun(cluster, tmp_path, data)
    process.send_signal(signal.SIGINT)
    assert "Interrupted. Every finished epoch is kept in run. Resume with:" in ended(process, 130)
    wait_until_nothing_trains()

    options = ("--on", "ray", "--ray-address", cluster.address, "--input", data)
    product.run(*DENSE, *options, cwd=tmp_path, timeout=SECONDS)
    assert_same(tmp_path, longer)


@needs_ray
@pytest.mark.slow
def test_with_a_storage_killed_workers_and_a_killed_driver_change_no_byte(
    cluster, data, longer, tmp_path
):
    storage = ("--storage", "shared")
    process = begun(cluster, tmp_path, data, *storage)
    for worker in workers():
        os.kill(worker, signal.SIGKILL)
    product.read_until(process, "resumes after epoch")
    process.kill()
    process.communicate()
    wait_until_nothing_trains()
    assert not list((tmp_path / "run").glob("fold-*/checkpoint.keras"))
    assert list((tmp_path / "shared").glob("run-*/fold-*/checkpoint.keras"))

    ended(begun(cluster, tmp_path, data, *storage))
    assert_same(tmp_path, longer)
    assert not list((tmp_path / "shared").iterdir())


@needs_ray
@pytest.mark.slow
def test_a_lost_node_changes_no_byte(cluster, data, longer, tmp_path):
    process = begun(cluster, tmp_path, data)
    raylet = next(iter(workers().values()))
    os.kill(raylet, signal.SIGKILL)
    ended(process)
    assert_same(tmp_path, longer)


@needs_ray
@pytest.mark.slow
def test_other_versions_are_refused_in_words(cluster, data, tmp_path, monkeypatch):
    monkeypatch.setattr("kaggle_digits.training.executors.ray.versions", lambda: {"keras": "2.0"})
    options = ("--on", "ray", "--ray-address", cluster.address, "--input", data)
    done = product.call(*DENSE, *options, cwd=tmp_path, code=2)
    assert "instead of 2.0" in done.stderr
    assert "Expected the same versions on every node" in done.stderr


# ------------------------------------------------------------------------------------- in words


def test_versions_that_differ_are_named():
    here = ray_worker.versions() if HAS_RAY else {"keras": "3.15.1", "ray": "2.60.0"}
    assert ray_worker.describe_differences(here, here) is None
    said = ray_worker.describe_differences(here, here | {"keras": "3.0.0"})
    assert said is not None
    assert f"has keras {here['keras']} instead of 3.0.0. Expected" in said


def test_without_ray_the_message_says_how_to_install_it(monkeypatch, data, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = product.call(*DENSE, "--on", "ray", "--input", data, cwd=tmp_path, code=2)
    assert "pip install 'kaggle-digits[ray]'" in done.stderr


@needs_ray
@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("127.0.0.1:9", OutsideError, "cannot reach the Ray cluster at 127.0.0.1:9: "),
        ("127.0.0.1:99999", OutsideError, "cannot reach the Ray cluster"),
        ("ray://head:10001", InputError, "Expected HOST:PORT of its head"),
        ("head", InputError, "--ray-address 'head' is no address"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address, error, message):
    with (
        pytest.raises(error, match=message),
        ray_cluster.connect(address, 2, None),  # type: ignore[arg-type]
    ):
        pass


@pytest.mark.parametrize("on", [None, "processes"])
def test_an_address_is_for_ray_alone(on, data, tmp_path):
    place = () if on is None else ("--on", on)
    done = product.call(
        *DENSE, *place, "--ray-address", "h:1", "--input", data, cwd=tmp_path, code=2
    )
    assert "--ray-address h:1 is used only with --on ray" in done.stderr


def test_no_fold_needs_no_ray():
    assert list(OnRay("127.0.0.1:9").train_folds(None, [], None)) == []  # type: ignore[arg-type]
