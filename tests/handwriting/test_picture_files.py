"""Every kind of picture file is read as the same digits."""

import numpy as np
import pytest
from PIL import Image

from kaggle_digits import handwriting
from tests.drawn import number, photo, saved
from tests.handwriting.test_handwriting import boxes, overlap


def assert_same(picture, other, least=0.97):
    assert np.abs(np.subtract(boxes(picture), boxes(other))).max() <= 2
    for one, two in zip(picture.images, other.images, strict=True):
        assert overlap(one, two) > least


FORMS = [
    *((suffix, mode) for suffix in ("png", "gif", "bmp", "tif") for mode in ("L", "RGB", "P", "1")),
    *((suffix, mode) for suffix in ("jpg", "webp") for mode in ("L", "RGB")),
    ("jpg", "CMYK"),
]


@pytest.mark.parametrize(("suffix", "mode"), FORMS)
def test_formats_and_modes(suffix, mode, plain, tmp_path):
    pixels = photo(number())
    if mode == "1":
        pixels = np.where(pixels > 127, np.uint8(255), np.uint8(0))  # no dots for grey
    path = saved(tmp_path / f"a.{suffix}", pixels, mode)
    assert_same(handwriting.read(path), plain, 0.9)


@pytest.mark.parametrize("full", [65_535, 4_095])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(suffix, full, plain, tmp_path):
    pixels = (photo(number()) / 255 * full).astype(np.uint16)
    path = saved(tmp_path / f"a.{suffix}", pixels)
    with Image.open(path) as image:
        assert image.mode == "I;16"
    assert_same(handwriting.read(path), plain, 0.95)


@pytest.mark.parametrize("ink_colour", [(0, 0, 0), (20, 30, 160), (255, 255, 255), (250, 220, 0)])
def test_ink_on_nothing(ink_colour, plain, tmp_path):
    ink = number()
    pixels = np.zeros((*ink.shape, 4), np.uint8)
    pixels[ink > 0, :3] = ink_colour
    pixels[..., 3] = np.round(255 * ink)
    assert_same(handwriting.read(saved(tmp_path / "a.png", pixels)), plain, 0.95)


def test_paper_with_transparent_corners(plain, tmp_path):
    pixels = np.dstack([photo(number())] * 3 + [np.full(number().shape, 255, np.uint8)])
    pixels[:20, :20] = pixels[-20:, -20:] = 0
    assert_same(handwriting.read(saved(tmp_path / "a.png", pixels)), plain)


def test_a_transparent_palette(plain, tmp_path):
    image = Image.fromarray((number() > 0.5).astype(np.uint8), "P")
    image.putpalette([9, 9, 9, 20, 20, 20])  # without its transparency there is hardly any ink
    image.save(tmp_path / "a.png", transparency=0)
    assert_same(handwriting.read(tmp_path / "a.png"), plain, 0.9)


@pytest.mark.parametrize(
    ("paper", "pen"),
    [
        ((200, 60, 60), (60, 139, 60)),
        ((255, 255, 255), (250, 220, 0)),
        ((30, 60, 40), (240, 240, 200)),
    ],
    ids=["green on red", "yellow on white", "chalk"],
)
def test_colours(paper, pen, plain, tmp_path):
    ink = number()[..., None]
    pixels = np.round(np.array(paper) * (1 - ink) + np.array(pen) * ink).astype(np.uint8)
    assert_same(handwriting.read(saved(tmp_path / "a.png", pixels)), plain)


@pytest.mark.parametrize(("orientation", "undone"), [(3, 180), (6, 90), (8, -90)])
def test_exif_says_which_way_is_up(orientation, undone, plain, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(photo(number())).rotate(undone, expand=True)
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert_same(handwriting.read(tmp_path / "a.jpg"), plain, 0.95)
