"""Draw the model's input images, and the boxes of the digits that were found."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits import files
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from kaggle_digits.handwriting import Picture

ENLARGED = 6
GAP = 8
COLUMNS = 16
FRAME = (213, 94, 0)  # vermilion, visible on white, on black and on wood
GREY = 96  # between the digits; neither ink nor background
NAME_CHARACTERS = 60


def targets(folder: Path, pictures: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return for each picture the files for its digits and for its boxes.

    The leading number distinguishes ``a/scan.png`` from ``b/scan.jpg``.

    Raises:
        InputError: a picture would be overwritten, or the folder is not writable.

    """
    names = [
        f"{number}-{re.sub(r'[^A-Za-z0-9_-]+', '-', path.stem)[:NAME_CHARACTERS]}"
        for number, path in enumerate(pictures, start=1)
    ]
    drawn = [(folder / f"{name}-digits.png", folder / f"{name}-boxes.png") for name in names]
    sources = {path.resolve() for path in pictures}
    for pair in drawn:
        for path in pair:
            if path.resolve() in sources:
                raise InputError(
                    f"{path} would be overwritten by a drawing. Expected another folder."
                )
            files.require_writable(path)
    return drawn


def draw(picture: "Picture", target: tuple[Path, Path]) -> None:
    """Write the enlarged 28x28 images in order, and the picture with the boxes of the digits."""
    fields, boxes = target
    _save(_strip(picture), fields)
    _save(_draw_boxes(picture), boxes)


def _save(image: "PillowImage", path: Path) -> None:
    with files.replacing(path) as temporary:
        image.save(temporary, format="PNG")


def _strip(picture: "Picture") -> "PillowImage":
    from PIL import Image

    fields = [digit.image[..., 0] for digit in picture.digits]
    side = len(fields[0]) * ENLARGED + GAP
    rows = -(-len(fields) // COLUMNS)
    strip = Image.new("L", (min(len(fields), COLUMNS) * side + GAP, rows * side + GAP), GREY)
    for number, field in enumerate(fields):
        row, column = divmod(number, COLUMNS)
        large = Image.fromarray(field).resize((side - GAP, side - GAP), Image.Resampling.NEAREST)
        strip.paste(large, (column * side + GAP, row * side + GAP))
    return strip


def _draw_boxes(picture: "Picture") -> "PillowImage":
    from PIL import Image, ImageDraw

    pixels = np.round(255 * np.clip(picture.grey.pixels, 0, 1)).astype(np.uint8)
    image = Image.fromarray(pixels).convert("RGB")
    pen = ImageDraw.Draw(image)
    by = picture.grey.shrunk
    width = max(1, min(image.size) // 200)
    for digit in picture.digits:
        box = digit.box
        corners = (box.left / by, box.top / by, box.right / by - 1, box.bottom / by - 1)
        # The frame lies around the ink.
        pen.rectangle(
            (corners[0] - width, corners[1] - width, corners[2] + width, corners[3] + width),
            outline=FRAME,
            width=width,
        )
    return image
