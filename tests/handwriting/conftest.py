"""The picture that the tests of this folder compare with."""

import pytest

from kaggle_digits import handwriting
from tests.drawn import number, photo, saved


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "plain.png"
    return handwriting.read(saved(path, photo(number())))
