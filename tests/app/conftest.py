"""A network that learned drawn digits, as the models of the page."""

import numpy as np
import pytest

from kaggle_digits import handwriting
from kaggle_digits.app.readers import DIGITS, Reader
from tests import drawn

COPIES = 6  # of each digit, by pens and angles of their own


def draw_training_images(path, seed=0):
    """Return images [n, 28, 28, 1] and labels of drawn digits, read as the page reads them."""
    random = np.random.default_rng(seed)
    images, labels = [], []
    for digit in drawn.STROKES:
        for _ in range(COPIES):
            pen, angle = random.uniform(6, 13), random.uniform(-12, 12)
            ink = np.pad(drawn.written(digit, size=60, pen=pen, angle=angle), 15)
            drawn.saved(path, drawn.photo(ink))
            images.append(handwriting.read(path).images[0])
            labels.append(digit)
    return np.stack(images), np.array(labels)


class NearestMeans:
    """The smallest model there is: how near an image is to each digit's mean."""

    def __init__(self, images, labels):
        flat = images.reshape(len(images), -1) / 255
        self.means = np.stack([flat[labels == digit].mean(axis=0) for digit in range(10)])

    def answer(self, images):
        flat = images.reshape(len(images), 1, -1) / 255
        distances = ((flat - self.means) ** 2).mean(axis=2)
        scores = np.exp(-distances * 100)
        return scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """Return a reader of two members that know drawn digits."""
    path = tmp_path_factory.mktemp("drawn") / "digit.png"
    images, labels = draw_training_images(path)
    members = [NearestMeans(images[start::2], labels[start::2]) for start in (0, 1)]
    return Reader(
        "a <b>run</b> ${window.hacked=1} {{7*7}}",
        DIGITS,
        lambda images: np.stack([member.answer(images) for member in members]),
        True,  # noqa: FBT003 — an ensemble
    )
