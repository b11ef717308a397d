"""Pictures of a data set."""

import numpy as np
import pytest
from matplotlib import image

from kaggle_digits import recipes
from kaggle_digits.datasets.dataset import DIGITS, Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.plots import augmentation, classes, data, first_images, save
from tests.figures import require_readable, words

CIFAR = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def dataset(
    count: int = 30,
    *,
    channels: int = 1,
    names: tuple[str, ...] = DIGITS,
    labelled: bool = True,
) -> Dataset:
    """Return images of one value each, ten times their label, in turn; ids from 101."""
    labels = (np.arange(count) % len(names)).astype(np.uint8)
    images = np.empty((count, 28, 28, channels), np.uint8)
    images[:] = 10 * labels[:, None, None, None]
    return Dataset(images, labels if labelled else None, np.arange(101, 101 + count), names)


@pytest.mark.parametrize(
    ("split", "count"),
    [
        (dataset(), 1),
        (dataset(), 24),
        (dataset(count=9), 40),
        (dataset(channels=3, names=CIFAR), 24),
        (dataset(labelled=False), 10),
        (dataset(names=("a very long name of a class", "another one as long")), 10),
    ],
    ids=["one", "digits", "fewer", "colour", "unlabelled", "long names"],
)
def test_first_images_are_readable(split, count):
    require_readable(first_images(split, count, "train"))


def test_each_image_has_its_class_and_its_id():
    assert words(first_images(dataset(), 3, "train")) == [
        "The first 3 of 30 train images",
        "each with its class and its id",
        "Digit: 0", "id 101",
        "Digit: 1", "id 102",
        "Digit: 2", "id 103",
    ]  # fmt: skip
    assert "automobile" in words(first_images(dataset(names=CIFAR), 3, "train"))
    unlabelled = words(first_images(dataset(labelled=False), 1, "test"))
    assert unlabelled == [
        "The first 1 of 30 test images", "each with its id, without labels", "id 101"
    ]  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_the_images_drawn_are_the_first(channels):
    drawn = [axes.images[0].get_array() for axes in first_images(dataset(channels=channels), 4, "")
             .axes]  # fmt: skip
    assert [int(np.asarray(pixels).max()) for pixels in drawn] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    "split",
    [
        dataset(42),
        dataset(42, channels=3, names=CIFAR),
        dataset(2),
        dataset(9, names=("yes", "no")),
    ],
    ids=["digits", "colour", "classes without images", "two classes"],
)
def test_classes_are_readable(split):
    require_readable(classes(split, "train"))


def test_classes_have_their_counts_and_their_means():
    split = dataset(12)
    split.images[10] = 100  # the second of class 0, whose first is 0
    figure = classes(split, "train")
    texts = words(figure)
    assert texts[0] == "12 train images in 10 classes"
    assert "Fewest: 2 with 1. Most: 0 with 2." in texts[1]
    bars, *means = figure.axes
    assert [text.get_text() for text in bars.texts] == ["2"] * 2 + ["1"] * 8
    drawn = [np.asarray(axes.images[0].get_array()) for axes in means]
    assert [int(mean.max()) for mean in drawn] == [50, *range(10, 100, 10)]


def test_classes_need_labels():
    with pytest.raises(InputError, match="the test images have no labels"):
        classes(dataset(labelled=False), "test")


def test_augmentation_shows_one_original_a_class_and_seven_variants():
    split = dataset(30)
    split.images[:, 14:, 14:] = 255  # something to move
    figure = augmentation(split, recipes.find("bn20"))
    require_readable(figure)
    assert "10° of rotation" in words(figure)[1]
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert len(drawn) == 64
    for label in range(8):
        original, *variants = drawn[8 * label : 8 * label + 8]
        assert (original == split.images[label, ..., 0]).all()
        assert not any((variant == original).all() for variant in variants)


def test_rows_where_there_are_fewer_classes_or_images():
    split = dataset(30, names=("yes", "no"))
    assert data._one_a_class(split)[:4] == [0, 1, 2, 3]
    assert len(augmentation(dataset(3), recipes.find("bn20")).axes) == 24


def test_a_recipe_without_augmentation_names_those_with_it():
    with pytest.raises(InputError, match=r"'bn20-original' has no augmentation.*bn20, "):
        augmentation(dataset(), recipes.find("bn20-original"))


def test_pictures_are_as_wide_as_a_readme_and_the_same_each_time(tmp_path):
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        save(tmp_path / name, first_images(dataset(channels=3), 16, "train"))
    assert image.imread(tmp_path / "a.png").shape[1] == 1536
    for suffix in (".png", ".svg"):
        first, second = ((tmp_path / (name + suffix)).read_bytes() for name in "ab")
        assert first == second
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text()
