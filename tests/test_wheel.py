"""A wheel that is built from the checkout works without it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kaggle_digits import __version__
from tests import check_wheel

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"kaggle_digits", f"kaggle_digits-{__version__}.dist-info"}
    assert "kaggle_digits/py.typed" in names
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "kaggle_digits").rglob("*.py")}
    assert sources <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_wheel_works_in_a_new_environment(wheel):
    version, recipes, _, trained, judged, accuracy, typed = check_wheel.check(wheel)
    assert version == f"kaggle-digits {__version__}\n"
    assert "bn20" in recipes
    assert "submissions/dense-train-e1-sample.csv (355 rows)" in trained
    assert "accuracy" in judged
    assert float(accuracy) > 0.5
    assert typed.startswith("True ")
    assert str(ROOT) not in typed
