"""The picture of the disputed digits."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from kaggle_digits.datasets import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.plots import disputed as plots
from kaggle_digits.submissions import Submission, comparison
from kaggle_digits.submissions.comparison import Comparison


def compared(files: int = 3, rows: int = 40, seed: int = 0, name: str = "{}.csv") -> Comparison:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, (files, rows)).astype(np.uint8)
    ids = np.arange(1, rows + 1)
    return comparison.compare(
        [(name.format(k), Submission(ids, row)) for k, row in enumerate(labels)]
    )


def dataset(rows: int = 40, channels: int = 1) -> Dataset:
    """Return images that are as grey as their id, in an order of their own."""
    ids = np.random.default_rng(1).permutation(np.arange(1, rows + 1))
    images = np.broadcast_to(ids[:, None, None, None], (rows, 28, 28, channels)).astype(np.uint8)
    return Dataset(images, None, ids)


def cells_of(found: Comparison, count: int = 24) -> list[plots.Cell]:
    images = np.zeros((28, 28, 1), np.uint8)
    return [
        plots.Cell(int(found.ids[row]), images, plots.answers_to(found.labels[:, row]))
        for row in found.disputed[:count]
    ]


def test_a_png_of_readable_size_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.PNG"):
        assert plots.disputed_digits(tmp_path / "new" / name, compared(), dataset()) == 24
    first, second = ((tmp_path / "new" / name).read_bytes() for name in ("a.png", "b.PNG"))
    assert first == second
    height, width, _ = image.imread(tmp_path / "new" / "a.png").shape
    assert width == 1536
    assert 900 < height < 1300
    assert len(first) < 200_000


@pytest.mark.parametrize("channels", [1, 3])
def test_every_digit_is_the_one_of_its_id(tmp_path, monkeypatch, channels):
    drawn = []
    monkeypatch.setattr(plots, "_draw", lambda _, cell, *__: drawn.append(cell))
    found = compared()
    plots.disputed_digits(tmp_path / "a.png", found, dataset(channels=channels), most=10)
    assert [cell.id for cell in drawn] == found.disputed_ids[:10].tolist()
    assert all((cell.image == cell.id).all() for cell in drawn)
    assert all(cell.image.shape == (28, 28, channels) for cell in drawn)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_coloured_images(tmp_path, channels):
    assert plots.disputed_digits(tmp_path / "a.png", compared(), dataset(channels=channels)) == 24


def test_each_digit_has_its_id_and_every_files_answer() -> None:
    labels = np.array([[4, 1], [9, 1], [9, 1]], np.uint8)
    found = comparison.compare(
        [(f"{k}.csv", Submission(np.array([7, 8]), labels[k])) for k in range(3)]
    )
    texts = [
        text.get_text() for text in plots.figure_of(cells_of(found), found.names, disputed=1).texts
    ]
    assert texts == [
        "1 disputed digit, the most split first",
        "[1] 0.csv", "[2] 1.csv", "[3] 2.csv",
        "ImageId 7",
        "9", "[2, 3]",
        "4", "[1]",
    ]  # fmt: skip


def test_the_majority_comes_first_and_of_a_tie_the_earliest_file() -> None:
    assert plots.answers_to(np.array([4, 9, 9], np.uint8)) == ((9, "[2, 3]"), (4, "[1]"))
    assert plots.answers_to(np.array([8, 3], np.uint8)) == ((8, "[1]"), (3, "[2]"))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "[3]"),
        ([1, 2], "[1, 2]"),
        ([1, 2, 3, 7], "[1–3, 7]"),
        ([*range(1, 51)], "[1–50]"),
        ([1, 3, 5, 7, 9, 11], "6 files"),
    ],
)
def test_numbered(numbers, text):
    assert plots.format_count(np.array(numbers)) == text


@pytest.mark.parametrize(
    ("files", "rows", "name"),
    [
        (2, 1, "{}.csv"),
        (3, 24, "{}.csv"),
        (10, 40, "{}.csv"),
        (50, 40, "{}.csv"),
        (2, 9, "folder/" * 40 + "{}.csv"),
    ],
)
def test_no_text_leaves_the_picture_or_touches_another(files, rows, name):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    found = compared(files, rows, name=name)
    figure = plots.figure_of(cells_of(found), found.names, disputed=len(found.disputed))
    canvas = FigureCanvasAgg(figure)
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    frame = figure.bbox
    for box in boxes:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_names_with_dollars_or_foreign_letters_are_drawn_quietly(tmp_path: Path) -> None:
    found = compared(2, name="$x_{{{}}}$ 数字.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plots.disputed_digits(tmp_path / "a.png", found, dataset()) == 24


def test_nothing_disputed_draws_nothing(tmp_path: Path) -> None:
    same = Submission(np.arange(1, 4), np.zeros(3, np.uint8))
    found = comparison.compare([("a", same), ("b", same)])
    assert plots.disputed_digits(tmp_path / "a.png", found, dataset(3)) == 0
    assert not list(tmp_path.iterdir())


def test_only_png(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"received .*a.jpg for a picture. Expected .* in .png"):
        plots.disputed_digits(tmp_path / "a.jpg", compared(), dataset())
