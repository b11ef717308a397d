import hashlib
from pathlib import Path

import numpy as np
import pytest

from kaggle_digits.datasets import get, load

# The files are the same to the byte on every machine; a change here is a change of the data that
# README's figures for the sample were measured on.
DIGESTS = {
    "train.csv": "603bb69ec767f6ade434c0d33012f29a7b5f3d9246e78bf0e9e99409b654150e",
    "test.csv": "1962347fdde125fdd5bd587735c99df47b080068bb209a26ea748c4d9d4e1073",
    "sample_submission.csv": "cfff2fdc770666302345fc3a1e945bd46c729e075f96cfff02cfc8d3e36d9b6f",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    get("sample", folder=folder)
    return folder


def test_the_same_to_the_byte(folder: Path) -> None:
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in DIGESTS}
    assert digests == DIGESTS


def test_it_looks_like_the_competitions_data(folder: Path) -> None:
    splits = load(folder)
    assert splits.source == "sample"
    assert not splits.is_competition
    assert len(splits.train) + len(splits.test) == 1797
    assert splits.test.labels is None
    assert splits.train.images.max() == 255
    assert not splits.train.images[:, :4].any()  # MNIST's border
    assert not splits.train.images[:, :, -4:].any()
    lines = (folder / "sample_submission.csv").read_text().splitlines()
    assert lines[0] == "ImageId,Label"
    assert len(lines) == len(splits.test) + 1
    assert {line.split(",")[1] for line in lines[1:]} == {"0"}


def test_every_class_is_split_alike(folder: Path) -> None:
    train = load(folder).train
    assert train.labels is not None
    counts = np.bincount(train.labels, minlength=10)
    assert counts.min() > 135
    assert counts.max() < 150


def test_the_images_are_upright_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    train = load(folder).train
    first = train.images[0, 4:24, 4:24, 0].astype(float)
    small = load_digits().images[0]
    middle = first[2::5, 2::5] / 255 * 16  # each fifth large pixel lies on every other small one
    assert np.abs(middle - small[1::2, 1::2]).mean() < 4
