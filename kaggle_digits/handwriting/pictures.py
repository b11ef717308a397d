"""From a file to grey: whatever a picture's size, depth, colours, transparency and rotation."""

import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.backend import quiet_stderr
from kaggle_digits.errors import InputError
from kaggle_digits.handwriting.planes import Plane

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Colours = npt.NDArray[np.float32]

# Common, and read by well-tried code. Of an animation, or of pages, the first is read.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
NAMES = "PNG, JPEG, GIF, BMP, TIFF or WebP"
MAX_PIXELS = 64_000_000  # the largest of telephones' photos; 192 MB once they are decoded
WORKING_PIXELS = 3_000_000  # finer than that shows the paper's fibres
MAX_WORKING = 4 * WORKING_PIXELS  # of a strip so narrow that it cannot be shrunk
MIN_SIDE = 8

DEEP_MODES = ("I", "F")  # 16 or 32 bits a pixel; I;16 and its byte orders begin with an I, too
TRANSPARENT = 0.5

# What Pillow raises for files that are cut short or damaged, beside OSError.
DAMAGED = (SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error,
           zlib.error, OverflowError)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Grey:
    """A picture as a plane of brightness.

    Attributes:
        pixels: float32 ``[height, width]``, 0 … 1; which end is ink is not known yet.
        size: width and height of the picture as it is shown.
        shrunk: how many of the picture's pixels, along a side, are one of ``pixels``.

    """

    pixels: Plane
    size: tuple[int, int]
    shrunk: int


def open_picture(path: Path, content: bytes | None = None) -> Grey:
    """Return the picture at ``path`` in grey, turned as its EXIF data say.

    Colours are projected on the axis along which they differ most from their surroundings, so
    that red on green is seen as well as black on white.

    Args:
        path: the file; only its name, for messages, if ``content`` is given.
        content: the bytes of the file, if they are not on the disk.

    Raises:
        InputError: no such file, no picture, an unknown format, damaged, or too large. The size is
            judged by the file's head, before anything is decoded.

    """
    if content is None:
        _require_file(path)
    with quiet_stderr():  # libtiff prints what it finds in a damaged file
        image = _decode(path, content)
    width, height = image.size
    # A strip of a few rows keeps them.
    most = max(1, min(width, height) // MIN_SIDE)
    by = min(most, math.ceil(math.sqrt(width * height / WORKING_PIXELS)))
    if width * height > MAX_WORKING * by**2:
        raise InputError(
            f"{path} is a strip of {width} x {height} pixels, too long for its width. Expected a "
            "picture that is less narrow; cut it into shorter ones."
        )
    return Grey(_plane(image, by), image.size, by)


def _decode(path: Path, content: bytes | None) -> "PillowImage":
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Our own limit is below that at which Pillow warns, and names the file.
            warnings.simplefilter("ignore")
            source = path if content is None else io.BytesIO(content)
            with Image.open(source, formats=FORMATS) as file:
                _require_size(path, *file.size)
                return ImageOps.exif_transpose(file)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is not a picture that can be read. Expected {NAMES}; other formats, HEIC "
            "among them, must be converted first."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(path, "too many")) from error
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory. Expected a smaller picture.") from error
    except (OSError, *DAMAGED) as error:
        raise InputError(
            f"{path} is damaged or cut short: {error}. Expected a whole picture; copy it again."
        ) from error


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(
                f"{path} is a folder. Expected pictures; name them, such as {path}/*.png."
            )
        if not path.exists():
            raise InputError(f"{path} does not exist. Expected a picture: {NAMES}.")
        if not path.is_file():
            raise InputError(f"{path} is not a file. Expected a picture: {NAMES}.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Expected a picture that you may read."
        ) from error
    if empty:
        raise InputError(f"{path} is an empty file. Expected a picture: {NAMES}.")


def _require_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{width} x {height}"))
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{path} has {width} x {height} pixels. Expected at least {MIN_SIDE} along each side: "
            "there is no digit in so few."
        )


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path} has {size} pixels. Expected at most {MAX_PIXELS // 1_000_000} million; save it "
        "smaller, or only the part with the digits."
    )


def _plane(image: "PillowImage", by: int) -> Plane:
    """Return a picture as float32 ``[height, width]``, 0 … 1, ``by`` times smaller."""
    if image.mode.startswith(DEEP_MODES):
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        return _shrunk(_stretch(values)[..., None], by)[..., 0]
    if image.has_transparency_data:
        # The colours come multiplied by alpha: hidden ones have no share in a mean.
        return _project(_on_a_ground(_shrunk(_channels(image.convert("RGBA"), "RGBa"), by)))
    if image.mode in {"1", "L"}:
        return _shrunk(_channels(image, "L")[..., None], by)[..., 0]
    return _project(_shrunk(_channels(image, "RGB"), by))


def _channels(image: "PillowImage", mode: str) -> npt.NDArray[Any]:
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _stretch(values: npt.NDArray[np.floating]) -> Plane:
    """Return ``values`` over 0 … 1: cameras and scanners fill 16 bits to various extents."""
    values = values.astype(np.float64)  # 32-bit files may go to ±3e38, a difference beyond that
    least, most = values.min(), values.max()
    stretched = (values - least) / (most - least) if most > least else np.zeros_like(values)
    return np.asarray(stretched, np.float32)


def _shrunk(pixels: npt.NDArray[Any], by: int) -> Colours:
    """Return uint8, or 0 … 1, as float32 0 … 1: the mean of each block of ``by`` x ``by``."""
    full = 1.0 if pixels.dtype.kind == "f" else 255.0
    rows, columns = pixels.shape[0] // by, pixels.shape[1] // by
    blocks = pixels[: rows * by, : columns * by].reshape(rows, by, columns, by, -1)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32) / full, np.float32)


def _on_a_ground(colours: Colours) -> Colours:
    """Return RGB, multiplied by the alpha behind it, on a ground on which it can be seen.

    Where most of the picture is transparent, what is visible is taken for ink: dark ink comes on
    white, light ink on black. Otherwise the visible is paper and goes on behind the holes.
    """
    rgb, alpha = colours[..., :3], colours[..., 3:]
    visible = alpha[..., 0] > TRANSPARENT
    if visible.mean() < TRANSPARENT:
        is_dark = rgb.sum() < TRANSPARENT * 3 * alpha.sum()
        ground = np.full(3, float(is_dark))
    else:
        ground = np.median(rgb[visible] / alpha[visible], axis=0)
    return np.asarray(rgb + ground * (1 - alpha), np.float32)


def _project(colours: Colours) -> Plane:
    """Return RGB as grey along the axis on which it differs most from its surroundings."""
    from scipy import ndimage

    if (colours == colours[..., :1]).all():  # grey already
        return np.ascontiguousarray(colours[..., 0])
    side = max(3, min(colours.shape[:2]) // 4)
    detail = colours - ndimage.uniform_filter(colours, (side, side, 0), mode="nearest")
    flat = detail.reshape(-1, 3).astype(np.float64)
    _, axes = np.linalg.eigh(flat.T @ flat)
    axis = axes[:, -1] * (1 if axes[:, -1].sum() > 0 else -1)  # brighter stays brighter
    plane = colours @ (axis / np.abs(axis).sum())
    return np.asarray(plane - min(0.0, plane.min()), np.float32)
