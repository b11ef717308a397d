"""What tests of Kaggle share: the competition's files, small, and a server on the loopback."""

import gc
import gzip
import json
import os
import shutil
import zipfile

import pytest

from kaggle_digits import backend, files
from tests import kaggle_server, product
from tests.helpers import PIXELS, ROWS, competition_files, write_competition
from tests.submitting import submission_text

# The files that take longest, by their time: they start first, so that no core is idle at the end.
LONGEST = (
    "test_kernels", "test_docs", "test_kaggle", "test_processes", "test_kaggle_recovery",
    "test_process", "test_own_networks", "test_training", "test_exporting", "test_interruption",
    "test_surroundings", "test_ray", "test_search", "test_trackers", "test_notebook", "test_api",
    "test_kills", "test_faults",
)  # fmt: skip


# As in the program's own processes: Keras starts sooner, and collecting garbage takes less time.
backend.reserve_process()


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.hookimpl(trylast=True)  # after the fixtures of the file
def pytest_runtest_teardown(item, nextitem):
    """Exclude objects left by earlier test files, such as graphs, from garbage collection."""
    if not nextitem or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def texts():
    """Return the competition's files, small but for the number of test images."""
    row = ",".join("0" * len(PIXELS))
    return competition_files(train=60) | {
        "test.csv": ",".join(PIXELS) + "\n" + f"{row}\n" * ROWS,
        "sample_submission.csv": "ImageId,Label\n"
        + "".join(f"{i},0\n" for i in range(1, ROWS + 1)),
    }


@pytest.fixture(scope="session")
def data(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("data")
    for name in ("train.csv", "test.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(texts[name].encode(), 1))
    return folder


@pytest.fixture(scope="session")
def archive(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("zip") / "digit-recognizer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, text in texts.items():
            packed.writestr(name, text)
        packed.writestr("../evil.csv", "x")
        packed.writestr("notes/train.csv", "x")
    return path.read_bytes()


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Return an input folder with the embedded sample, not to be changed."""
    folder = tmp_path_factory.mktemp("sample")
    product.call("data", "get", "--source", "sample", "--input", folder, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Return a folder with data in ``input`` and the run `product.DENSE` on it, not to be changed.

    One process trained it without interruption. All processes of the tests share it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "undisturbed"
    with files.lock(folder / "lock", busy="another process of the tests trains it", seconds=300):
        if not (folder / "out.csv").exists():
            shutil.rmtree(folder / "run", ignore_errors=True)  # of a process that failed
            write_competition(folder / "input", train=240, test=40)
            product.run(*product.DENSE, "--on", "here", cwd=folder)
    return folder


@pytest.fixture
def server():
    with kaggle_server.running() as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a CSV for the competition, which a run made."""
    csv = submission_text()
    (tmp_path / "a.csv").write_text(csv)
    run = tmp_path / "runs" / "bn20-5-fold"
    run.mkdir(parents=True)
    (run / "submission.csv").write_text(csv)
    settings = {"recipe": "bn20", "folds": 5, "seeds": 1, "source": "kaggle",
                "training": {"epochs": 3}}  # fmt: skip
    description = {
        "state": "finished",
        "settings": settings,
        "started": "2026-01-01T00:00:00+00:00",
    }
    (run / "run.json").write_text(json.dumps(description))
    metrics = {"oof": {"accuracy": 0.9952, "log_loss": 0.02}, "seconds": 7.0}
    (run / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path
