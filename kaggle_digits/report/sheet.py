"""Draw all images of a report in one PNG, so that a page with thousands of images opens quickly."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaggle_digits.datasets.dataset import Dataset, Images

MAX_BYTES = 1_400_000  # bytes of the PNG; base64 needs a third more
COLUMNS = 64

Key = tuple[str, int]  # the split and the id of an image


@dataclass(frozen=True)
class Sheet:
    """Many images of one size.

    Attributes:
        places: position of each image: row × `COLUMNS` + column.
        rows: number of rows.
        png: the PNG as a data URI; empty if there are no images.

    """

    places: dict[Key, int]
    rows: int
    png: str


def draw_sheet(wanted: Sequence[Key], splits: dict[str, Dataset]) -> Sheet:
    """Return a sheet of the wanted images, as many as fit into `MAX_BYTES`.

    Args:
        wanted: the images, the most important first; duplicates are dropped.
        splits: the data by the name of the split; all images have the same size.

    """
    rows = {
        (name, image_id): row
        for name, split in splits.items()
        for row, image_id in enumerate(split.ids.tolist())
    }
    keys = [key for key in dict.fromkeys(wanted) if key in rows]
    while keys:
        images = np.stack([splits[key[0]].images[rows[key]] for key in keys])
        png = _encode(images)
        if len(png) <= MAX_BYTES:
            text = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
            return Sheet({key: place for place, key in enumerate(keys)}, _rows(len(keys)), text)
        keys = keys[: min(len(keys) - 1, int(len(keys) * 0.95 * MAX_BYTES / len(png)))]
    return Sheet({}, 0, "")


def _rows(count: int) -> int:
    return -(-count // COLUMNS)


def _encode(images: Images) -> bytes:
    """Return uint8 ``[n, height, width, channels]`` as one PNG; grey images are black on white."""
    from PIL import Image

    _, height, width, channels = images.shape
    grey = channels == 1
    padded = np.zeros((_rows(len(images)) * COLUMNS, height, width, channels), np.uint8)
    padded[: len(images)] = images
    grid = padded.reshape(-1, COLUMNS, height, width, channels).transpose(0, 2, 1, 3, 4)
    pixels = grid.reshape(-1, COLUMNS * width, channels)
    file = io.BytesIO()
    Image.fromarray(255 - pixels[..., 0] if grey else pixels).save(file, "PNG", compress_level=9)
    return file.getvalue()
