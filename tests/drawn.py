"""Digits drawn for tests: by a pen's strokes or in matplotlib's fonts, on all kinds of ground."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Plane = npt.NDArray[np.float64]
Points = list[tuple[float, float]]

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
SAMPLES = 3  # a side of a pixel, so that edges are soft


def arc(x: float, y: float, width: float, height: float, start: int, stop: int) -> Points:
    angles = np.radians(np.linspace(start, stop, 24))
    return list(
        zip((x + width * np.cos(angles)).tolist(), (y + height * np.sin(angles)).tolist(),
            strict=True)
    )  # fmt: skip


# Within 1 x 1, downwards.
STROKES: dict[int, list[Points]] = {
    0: [arc(0.5, 0.5, 0.32, 0.5, -90, 270)],
    1: [[(0.35, 0.2), (0.55, 0), (0.55, 1)]],
    2: [[*arc(0.5, 0.28, 0.33, 0.28, -170, 40), (0.15, 1), (0.85, 1)]],
    3: [[*arc(0.45, 0.25, 0.33, 0.25, -150, 90), *arc(0.45, 0.73, 0.37, 0.27, -90, 150)]],
    4: [[(0.6, 0), (0.1, 0.65), (0.9, 0.65)], [(0.65, 0.35), (0.65, 1)]],
    5: [[(0.8, 0), (0.25, 0), (0.2, 0.45), *arc(0.45, 0.68, 0.36, 0.32, -130, 140)]],
    6: [[(0.7, 0), (0.35, 0.35), *arc(0.47, 0.7, 0.3, 0.3, -160, 200)]],
    7: [[(0.12, 0), (0.85, 0), (0.4, 1)]],
    8: [arc(0.5, 0.26, 0.27, 0.26, -90, 270), arc(0.5, 0.75, 0.33, 0.25, -90, 270)],
    9: [[*arc(0.5, 0.3, 0.3, 0.3, 0, 360), (0.75, 0.6), (0.6, 1)]],
}
BROKEN_5: list[Points] = [
    [(0.25, 0.02), (0.2, 0.45), *arc(0.45, 0.68, 0.36, 0.32, -130, 140)],
    [(0.4, 0), (0.85, 0)],
]


def written(digit: int | list[Points], size: int = 100, pen: float = 8, angle: float = 0) -> Plane:
    """Return a digit ``size`` pixels high, cut out: 0 is ground, 1 is ink."""
    strokes = STROKES[digit] if isinstance(digit, int) else digit
    large = Image.new("L", (2 * size * SAMPLES,) * 2)
    draw = ImageDraw.Draw(large)
    radius = pen * SAMPLES / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    for stroke in strokes:
        centred = (np.array(stroke) - 0.5) * (0.7, 1)
        turned = centred @ np.array([[cos, sin], [-sin, cos]])
        points = [(x, y) for x, y in (turned * size * SAMPLES + size * SAMPLES).tolist()]
        draw.line(points, fill=255, width=max(1, round(pen * SAMPLES)), joint="curve")
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return _cut(large.resize((2 * size,) * 2, Image.Resampling.BOX))


def printed(digit: int, font: str, size: int = 100, angle: float = 0) -> Plane:
    """Return a digit of a font, cut out."""
    image = Image.new("L", (3 * size,) * 2)
    face = ImageFont.truetype(FONTS / f"{font}.ttf", size)
    ImageDraw.Draw(image).text((size, size), str(digit), font=face, fill=255)
    return _cut(image.rotate(angle, Image.Resampling.BICUBIC))


def _cut(image: Image.Image) -> Plane:
    return np.asarray(image.crop(image.getbbox()), np.float64) / 255


def page(parts: Sequence[Plane], margin: int = 30, gap: int = 35) -> Plane:
    """Return the digits beside each other, standing on a line."""
    height = max(len(part) for part in parts)
    return np.pad(
        np.concatenate(
            [np.pad(part, ((height - len(part), 0), (0, gap))) for part in parts], axis=1
        )[:, :-gap],
        margin,
    )


def ground(kind: str, shape: tuple[int, ...], seed: int = 0) -> Plane:
    """Return paper of a kind, 0 is black, 1 is white."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, side) for side in shape), indexing="ij")
    if kind == "noise":
        return 0.9 + random.normal(0, 0.08, shape)
    if kind == "slope":
        return 0.7 + 0.45 * x + 0.2 * y
    if kind == "vignette":
        return 1 - 1.1 * (x * x + y * y)
    if kind == "paper":
        blotches = ndimage.gaussian_filter(random.normal(0, 1, shape), 2)
        return np.asarray(0.85 + 0.25 * blotches + 0.1 * x)
    if kind == "shadow":
        edge = ndimage.gaussian_filter(np.where(x + 0.4 * y > 0.1, 0.55, 0.9), shape[1] / 80)
        return np.asarray(edge + random.normal(0, 0.02, shape))
    return np.ones(shape)


def photo(ink: Plane, kind: str = "plain", *, dark: float = 0.15) -> npt.NDArray[np.uint8]:
    """Return uint8 of ``ink`` on a ground."""
    paper = ground(kind, ink.shape)
    return np.round(255 * np.clip(paper * (1 - ink * (1 - dark)), 0, 1)).astype(np.uint8)


def saved(path: Path, pixels: npt.NDArray[np.generic], mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


NUMBER = (3, 1, 4, 5)
_DRAWN = page([written(digit) for digit in NUMBER])


def number() -> Plane:
    """Return the ink of 3145, to be drawn upon."""
    return _DRAWN.copy()
