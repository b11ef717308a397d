"""Whole pictures as users take them: every digit is found, in its line, and nothing else."""

import numpy as np
import pytest
from PIL import Image

from kaggle_digits import handwriting
from kaggle_digits.errors import InputError
from tests import scenes

SEEDS = 3


def found_all(kind, seed, tmp_path):
    """Return whether the digits that are found are those drawn, line by line."""
    random = np.random.default_rng(seed)
    scene = kind(random, scenes.by_either)
    path = tmp_path / f"{seed}.png"
    Image.fromarray(scene.pixels(random)).save(path)
    try:
        picture = handwriting.read(path)
    except InputError:
        return False
    counts = np.bincount([digit.line for digit in picture.digits]).tolist()
    return counts == [len(line) for line in scene.lines]


@pytest.mark.parametrize(
    "kind",
    [
        scenes.row, scenes.heights, scenes.zeros, scenes.column, scenes.rows, scenes.boxes,
        scenes.touching, scenes.grid, scenes.comb, scenes.frame, scenes.window, scenes.desk,
        scenes.corner,
    ],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_most_pictures_of_each_kind_are_read_whole(kind, tmp_path):
    right = sum(found_all(kind, seed, tmp_path) for seed in range(SEEDS))
    assert right >= SEEDS - 1


def test_a_minus_is_left_out_and_named(tmp_path):
    random = np.random.default_rng(1)
    scene = scenes.minus(random, scenes.by_either)
    Image.fromarray(scene.pixels(random)).save(tmp_path / "minus.png")
    picture = handwriting.read(tmp_path / "minus.png")
    assert len(picture.digits) == len(scene.digits)
    assert {shape.kind.value for shape in picture.left_out} <= {"dash", "speck"}
    assert picture.left_out
