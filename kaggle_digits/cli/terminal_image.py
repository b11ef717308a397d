"""Draw images and bars in a terminal, or as plain text in other outputs."""

import os
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Images

SHADES = " ░▒▓█"
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
BAR = 40  # characters


def picture(image: "Images", stream: TextIO) -> str:
    """Return ``image`` (uint8 ``[height, width, channels]``) as lines of characters.

    A terminal that announces 24-bit colours gets two pixels per character; any other stream gets
    five shades of grey with two characters per pixel.
    """
    if stream.isatty() and os.environ.get("COLORTERM") in {"truecolor", "24bit"}:
        return _colour(image) if "NO_COLOR" not in os.environ else _shade(image)
    return _shade(image)


def _shade(image: "Images") -> str:
    grey = image[..., 0] if image.shape[-1] == 1 else image @ np.array(LUMINANCE)
    steps = (grey.astype(np.float64) * len(SHADES) / 256).astype(int)
    return "\n".join("".join(SHADES[step] * 2 for step in row).rstrip() for row in steps.tolist())


def _colour(image: "Images") -> str:
    """Draw the upper pixel as the character ▀ and the lower as its background."""
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    if len(rgb) % 2:
        rgb = np.concatenate([rgb, np.zeros_like(rgb[:1])])
    lines = []
    for upper, lower in zip(rgb[::2].tolist(), rgb[1::2].tolist(), strict=True):
        cells = [
            f"\x1b[38;2;{a};{b};{c};48;2;{x};{y};{z}m▀"
            for (a, b, c), (x, y, z) in zip(upper, lower, strict=True)
        ]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def bar(share: float) -> str:
    """Return a bar for ``share`` (0 … 1), to an eighth of a character."""
    eighths = round(share * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
