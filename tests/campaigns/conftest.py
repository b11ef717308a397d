"""Small data for the campaigns."""

import pytest

from tests import product
from tests.helpers import write_competition, write_competition_zip


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Return a folder with small data, cached already."""
    folder = write_competition(tmp_path_factory.mktemp("data"), train=240, test=40)
    product.run("data", "check", "--input", folder, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    return write_competition_zip(tmp_path_factory.mktemp("zip") / "digits.zip", seed=1)
