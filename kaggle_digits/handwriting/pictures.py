"""Open a picture file as grey, of any size, bit depth, colours, transparency and rotation."""

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
from kaggle_digits.errors import InputError, suggest_path
from kaggle_digits.handwriting.planes import Plane

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Colours = npt.NDArray[np.float32]

# Common formats with mature decoders. Only the first frame or page of a file is read.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
NAMES = "PNG, JPEG, GIF, BMP, TIFF or WebP"
MAX_PIXELS = 64_000_000  # the largest photos of phones; 192 MB when decoded
WORKING_PIXELS = 3_000_000  # at a higher resolution the fibres of paper become visible
MAX_WORKING = 4 * WORKING_PIXELS  # for a strip that is too narrow to be reduced
MIN_SIDE = 8

DEEP_MODES = ("I", "F")  # prefixes of modes with 16 or 32 bits per pixel, such as I;16
TRANSPARENT = 0.5

# The errors besides OSError that Pillow raises for truncated or damaged files.
DAMAGED = (SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error,
           zlib.error, OverflowError)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Grey:
    """The brightness of a picture.

    Attributes:
        pixels: float32 ``[height, width]``, 0 … 1; ink may be dark or light.
        size: width and height of the displayed picture in pixels.
        shrunk: factor by which each side of the picture was reduced.

    """

    pixels: Plane
    size: tuple[int, int]
    shrunk: int


def open_picture(path: Path, content: bytes | None = None) -> Grey:
    """Return the picture at ``path`` in grey, rotated as its EXIF data say.

    Colours are projected onto the axis along which they differ most from their surroundings, so
    that red on green is as visible as black on white.

    Args:
        path: the file; only its name, for messages, if ``content`` is given.
        content: the bytes of the file, if they are not on the disk.

    Raises:
        InputError: the file is missing, damaged, too large, or not a picture of a known format. The
            size is checked before the picture is decoded.

    """
    if content is None:
        _require_file(path)
    with quiet_stderr():  # libtiff prints warnings about damaged files
        image = _decode(path, content)
    width, height = image.size
    # A strip of few rows is not reduced.
    most = max(1, min(width, height) // MIN_SIDE)
    by = min(most, math.ceil(math.sqrt(width * height / WORKING_PIXELS)))
    if width * height > MAX_WORKING * by**2:
        raise InputError(
            f"{path} is a strip of {width} x {height} pixels, which is too narrow for its length. "
            "Cut it into shorter pictures."
        )
    return Grey(_plane(image, by), image.size, by)


def _decode(path: Path, content: bytes | None) -> "PillowImage":
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Our limit is lower than Pillow's, and its message names the file.
            warnings.simplefilter("ignore")
            source = path if content is None else io.BytesIO(content)
            with Image.open(source, formats=FORMATS) as file:
                _require_size(path, *file.size)
                return ImageOps.exif_transpose(file)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is not a readable picture. Expected {NAMES}. Convert other formats, such as "
            "HEIC, first."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(path, "too many")) from error
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory. Expected a smaller picture.") from error
    except (OSError, *DAMAGED) as error:
        raise InputError(
            f"{path} is damaged or truncated: {error}. Expected a complete picture; copy it again."
        ) from error


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder. Expected picture files, such as {path}/*.png.")
        if not path.exists():
            raise InputError(
                f"{path} does not exist.{suggest_path(path)} Expected a picture: {NAMES}."
            )
        if not path.is_file():
            raise InputError(f"{path} is not a file. Expected a picture: {NAMES}.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Expected a readable picture."
        ) from error
    if empty:
        raise InputError(f"{path} is an empty file. Expected a picture: {NAMES}.")


def _require_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{width} x {height}"))
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{path} has {width} x {height} pixels. Expected at least {MIN_SIDE} pixels along each "
            "side."
        )


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path} has {size} pixels. Expected at most {MAX_PIXELS // 1_000_000} million. Reduce it, "
        "or crop it to the digits."
    )


def _plane(image: "PillowImage", by: int) -> Plane:
    """Return a picture as float32 ``[height, width]``, 0 … 1, each side reduced by ``by``."""
    if image.mode.startswith(DEEP_MODES):
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        return _shrunk(_stretch(values)[..., None], by)[..., 0]
    if image.has_transparency_data:
        # The colours are multiplied by alpha, so that transparent pixels do not affect means.
        return _project(_on_a_ground(_shrunk(_channels(image.convert("RGBA"), "RGBa"), by)))
    if image.mode in {"1", "L"}:
        return _shrunk(_channels(image, "L")[..., None], by)[..., 0]
    return _project(_shrunk(_channels(image, "RGB"), by))


def _channels(image: "PillowImage", mode: str) -> npt.NDArray[Any]:
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _stretch(values: npt.NDArray[np.floating]) -> Plane:
    """Return ``values`` stretched to 0 … 1, because 16-bit files rarely use their full range."""
    values = values.astype(np.float64)  # differences of float32 values up to ±3e38 overflow
    least, most = values.min(), values.max()
    stretched = (values - least) / (most - least) if most > least else np.zeros_like(values)
    return np.asarray(stretched, np.float32)


def _shrunk(pixels: npt.NDArray[Any], by: int) -> Colours:
    """Return the means of blocks of ``by`` x ``by`` pixels as float32, 0 … 1."""
    full = 1.0 if pixels.dtype.kind == "f" else 255.0
    rows, columns = pixels.shape[0] // by, pixels.shape[1] // by
    blocks = pixels[: rows * by, : columns * by].reshape(rows, by, columns, by, -1)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32) / full, np.float32)


def _on_a_ground(colours: Colours) -> Colours:
    """Return premultiplied RGB on a background that makes it visible.

    If most of the picture is transparent, the visible part is ink: dark ink is put on white, light
    ink on black. Otherwise the visible part is paper, and the holes are filled with its colour.
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
    """Return RGB as grey, along the colour axis with the largest local differences."""
    from scipy import ndimage

    if (colours == colours[..., :1]).all():  # grey already
        return np.ascontiguousarray(colours[..., 0])
    side = max(3, min(colours.shape[:2]) // 4)
    detail = colours - ndimage.uniform_filter(colours, (side, side, 0), mode="nearest")
    flat = detail.reshape(-1, 3).astype(np.float64)
    _, axes = np.linalg.eigh(flat.T @ flat)
    axis = axes[:, -1] * (1 if axes[:, -1].sum() > 0 else -1)  # keeps the order of brightness
    plane = colours @ (axis / np.abs(axis).sum())
    return np.asarray(plane - min(0.0, plane.min()), np.float32)
