"""TensorBoard's and MLflow's own pages show a run that was trained in processes of its own."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests import product
from tests.browser import Watched, start_browser

pytestmark = pytest.mark.slow  # each page takes its program ten seconds or more to start


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    for package in ("tensorboard", "mlflow"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    folder = tmp_path_factory.mktemp("tracked")
    shutil.copytree(sample, folder / "input")
    command = ["cv", "--recipe", "dense", "--folds", "2", "--epochs", "2", "--limit", "200"]
    done = product.run(
        *command, "--jobs", "2", "--run", "runs/tracked", "--log", "tensorboard", "--log", "mlflow",
        cwd=folder, timeout=600,
    )  # fmt: skip
    assert "tensorboard --logdir runs/tracked/tensorboard" in done.stdout
    assert "mlflow ui" in done.stdout
    return folder


@contextlib.contextmanager
def serving(folder, *command):
    """Yield the URL of a program that serves a page; ``PORT`` in its command becomes a number."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [sys.executable, "-m", *(port if word == "PORT" else word for word in command)]
    with subprocess.Popen(
        words,
        cwd=folder,
        env=product.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            for _ in range(240):
                with contextlib.suppress(OSError):
                    opener.open(url, timeout=5).close()
                    break
                time.sleep(0.5)
            yield url
        finally:
            process.terminate()


def test_tensorboard_shows_the_run(trained):
    program = ("tensorboard.main", "--logdir", "runs", "--port", "PORT", "--host", "127.0.0.1")
    with serving(trained, *program) as url, start_browser() as browser:
        page = Watched(browser, viewport={"width": 1400, "height": 1000}).page
        page.goto(f"{url}#timeseries")
        page.get_by_text("tracked/tensorboard/fold-1/train").first.wait_for(timeout=120_000)
        page.get_by_text("epoch_loss").first.wait_for(timeout=120_000)


def test_mlflow_shows_the_run(trained):
    with (
        serving(trained, "mlflow", "ui", "--port", "PORT", "--workers", "1") as url,
        start_browser() as browser,
    ):
        page = Watched(browser, viewport={"width": 1400, "height": 1000}).page
        page.goto(url)
        page.get_by_text("kaggle-digits").first.wait_for(timeout=120_000)
        page.goto(f"{url}#/experiments/1/runs")
        page.get_by_text("tracked").first.wait_for(timeout=120_000)
