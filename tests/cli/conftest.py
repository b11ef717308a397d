import pytest

from tests.helpers import write_competition


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_competition(tmp_path_factory.mktemp("data"), train=60, test=20)
