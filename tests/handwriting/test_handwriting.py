"""From a picture to what MNIST would have made of it; no network."""

import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sklearn import datasets

from kaggle_digits import handwriting
from kaggle_digits.errors import InputError
from kaggle_digits.handwriting import pictures
from tests import drawn, product
from tests.drawn import number, page, photo, printed, saved, written

KINDS = ("plain", "noise", "slope", "vignette", "paper", "shadow")


def boxes(picture):
    return [
        (digit.box.left, digit.box.top, digit.box.right, digit.box.bottom)
        for digit in picture.digits
    ]


def expected_boxes(ink):
    """Return the boxes of what `page` made, for digits that are one piece each."""
    labels, _ = ndimage.label(ink > 0.35, np.ones((3, 3)))
    found = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(labels)
    ]
    return sorted(found)


def assert_like_mnist(image):
    """Hold an image against what MNIST's makers promise."""
    assert image.shape == (28, 28, 1)
    assert image.dtype == np.uint8
    field = image[..., 0]
    assert field.max() == 255
    assert field[0, 0] == field[0, -1] == field[-1, 0] == field[-1, -1] == 0
    rows, columns = np.flatnonzero(field.max(1)), np.flatnonzero(field.max(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (18, 19, 20)
    centre = np.array(ndimage.center_of_mass(field.astype(float)))
    assert np.abs(centre - 14).max() < 1


def overlap(a, b):
    """Return the correlation of two images: 1 for equal ones."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


# ------------------------------------------------------------------------ what is found


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("kind", KINDS)
def test_digits_on_every_ground_in_order(kind, light, plain, tmp_path):
    ink = number()
    pixels = photo(ink, kind)
    path = saved(tmp_path / "a.png", 255 - pixels if light else pixels)
    picture = handwriting.read(path)
    assert np.abs(np.subtract(boxes(picture), expected_boxes(ink))).max() <= 4
    assert {digit.line for digit in picture.digits} == {0}
    for one, other in zip(picture.images, plain.images, strict=True):
        assert_like_mnist(one)
        assert overlap(one, other) > 0.9


@pytest.mark.parametrize("size", [16, 40, 150, 500])
@pytest.mark.parametrize("thickness", [0.01, 0.05, 0.12])
def test_any_size_and_pen_gives_strokes_as_thick_as_mnists(size, thickness, tmp_path):
    ink = np.pad(written(8, size=size, pen=max(1.0, thickness * size)), size // 3)
    (image,) = handwriting.read(saved(tmp_path / "a.png", photo(ink))).images
    assert_like_mnist(image)
    mask = ndimage.zoom(image[..., 0].astype(float), 4, order=1) > 127
    depth = ndimage.distance_transform_edt(mask)
    assert 1.7 < 4 * depth[depth > 0].mean() / 4 < 5.5


@pytest.mark.parametrize("angle", [-10, 0, 10])
@pytest.mark.parametrize(
    "font",
    ["DejaVuSans", "DejaVuSans-BoldOblique", "DejaVuSerif", "STIXGeneral", "cmr10", "cmtt10"],
)
def test_fonts_upright_and_turned(font, angle, tmp_path):
    ink = page([printed(digit, font, 80, angle) for digit in range(10)], gap=25)
    picture = handwriting.read(saved(tmp_path / "a.png", photo(ink)))
    assert len(picture.digits) == 10
    assert np.abs(np.subtract(boxes(picture), expected_boxes(ink))).max() <= 2
    for image in picture.images:
        assert_like_mnist(image)


def test_a_picture_like_the_competitions_comes_back_as_it_was(tmp_path):
    (image,) = handwriting.read(saved(tmp_path / "a.png", photo(number()[:, :90]))).images
    for pixels in (image[..., 0], 255 - image[..., 0]):
        (again,) = handwriting.read(saved(tmp_path / "b.png", pixels)).images
        assert overlap(image, again) > 0.97


@pytest.mark.parametrize("kind", ["plain", "slope"])
def test_a_digit_that_fills_its_picture(kind, tmp_path):
    for digit in range(10):
        ink = printed(digit, "DejaVuSans-Bold", 120)
        picture = handwriting.read(saved(tmp_path / "a.png", photo(np.pad(ink, 2), kind)))
        assert len(picture.digits) == 1
        padded = handwriting.read(saved(tmp_path / "b.png", photo(np.pad(ink, 60))))
        assert overlap(picture.images[0], padded.images[0]) > 0.9


def test_pieces_of_one_digit_are_joined(tmp_path):
    ink = page([written(1), written(drawn.BROKEN_5, pen=6), written(7)])
    assert ndimage.label(ink > 0.35)[1] == 4
    picture = handwriting.read(saved(tmp_path / "a.png", photo(ink)))
    assert len(picture.digits) == 3
    whole = handwriting.read(saved(tmp_path / "b.png", photo(np.pad(written(5, pen=6), 30))))
    assert overlap(picture.images[1], whole.images[0]) > 0.7


def test_specks_and_rules_are_dropped(tmp_path):
    ink = number()
    clean = handwriting.read(saved(tmp_path / "a.png", photo(ink)))
    for row, column in ((10, 10), (20, 300), (140, 120)):
        ink[row : row + 4, column : column + 5] = 1
    ink[75:78] = 1
    ink[145:148] = 1
    picture = handwriting.read(saved(tmp_path / "b.png", photo(ink)))
    assert np.abs(np.subtract(boxes(picture), boxes(clean))).max() <= 1
    for one, other in zip(picture.images, clean.images, strict=True):
        assert overlap(one, other) > 0.85


def test_several_lines(tmp_path):
    ink = number()
    path = saved(tmp_path / "a.png", photo(np.concatenate([ink, ink[:, ::-1]])))
    picture = handwriting.read(path)
    assert [digit.line for digit in picture.digits] == [0] * 4 + [1] * 4
    assert picture.lines([1, 2, 3, 4, 5, 6, 7, 8]) == ["1234", "5678"]


def test_a_large_picture_is_worked_on_smaller_and_told_in_its_own_pixels(tmp_path):
    small = handwriting.read(saved(tmp_path / "a.png", photo(number())))
    pixels = np.kron(photo(number()), np.ones((8, 8), np.uint8))
    large = handwriting.read(saved(tmp_path / "b.png", pixels))
    assert large.grey.shrunk > 1
    assert np.abs(np.subtract(boxes(large), 8 * np.array(boxes(small)))).max() <= 8
    assert max(box[2] for box in boxes(large)) < pixels.shape[1]


# ---------------------------------------------------------------------- what is refused


def assert_refused(path, *texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            handwriting.read(path)
    assert str(path) in str(caught.value)
    for text in texts:
        assert text in str(caught.value)


def test_no_file_or_another_kind(tmp_path):
    assert_refused(tmp_path / "no.png", "does not exist")
    assert_refused(tmp_path, "is a folder")
    (tmp_path / "empty.png").touch()
    assert_refused(tmp_path / "empty.png", "is an empty file")
    assert_refused(tmp_path / "emtpy.png", "Did you mean", "empty.png")
    (tmp_path / "a.png").write_text("ImageId,Label\n1,7\n")
    assert_refused(tmp_path / "a.png", "is not a readable picture", "PNG, JPEG")
    Image.new("L", (40, 40)).save(tmp_path / "a.ppm")
    assert_refused(tmp_path / "a.ppm", "is not a readable picture")
    (tmp_path / "a.eps").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    )
    assert_refused(tmp_path / "a.eps", "is not a readable picture")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_cut_short_anywhere(suffix, tmp_path):
    path = saved(tmp_path / f"a.{suffix}", photo(number(), "noise"))
    whole = path.read_bytes()
    for share in (0.002, 0.05, 0.5, 0.9):
        path.write_bytes(whole[: max(4, int(share * len(whole)))])
        with pytest.raises(InputError, match=r"damaged or truncated|not a readable picture"):
            handwriting.read(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path):
    random = np.random.default_rng(0)
    for suffix in ("png", "gif", "tif"):
        path = saved(tmp_path / f"a.{suffix}", photo(written(3, size=30)))
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            try:
                handwriting.read(path)
            except InputError as error:
                assert str(path) in str(error)  # noqa: PT017 — most, but not all, are noticed


def png_of(width, height):
    """Return the head of a PNG that claims to be large: nothing follows that could be decoded."""

    def chunk(name, data):
        return (
            len(data).to_bytes(4, "big") + name + data
            + zlib.crc32(name + data).to_bytes(4, "big")
        )  # fmt: skip

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + bytes([8, 0, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_a_bomb_is_known_by_its_head(side, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(side, side))
    assert_refused(tmp_path / "a.png", "Expected at most 64 million")


def test_the_limit_itself_is_allowed(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", photo(number()))
    height, width = number().shape
    monkeypatch.setattr(pictures, "MAX_PIXELS", height * width)
    handwriting.read(path)
    monkeypatch.setattr(pictures, "MAX_PIXELS", height * width - 1)
    assert_refused(path, f"{width} x {height} pixels")


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_nothing_but_ground(kind, tmp_path):
    path = saved(tmp_path / "a.png", photo(np.zeros((300, 400)), kind))
    assert_refused(path, "Expected")


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_flat_colour(value, tmp_path):
    path = saved(tmp_path / "a.png", np.full((60, 80), value, np.uint8))
    assert_refused(path, "only its background")
    Image.new("RGBA", (60, 80), (value, value, value, 0)).save(path)
    assert_refused(path, "only its background")


def test_too_few_pixels(tmp_path):
    assert_refused(saved(tmp_path / "a.png", np.eye(7, dtype=np.uint8)), "7 x 7 pixels")


def test_a_page_of_text(tmp_path):
    image = Image.new("L", (900, 600), 255)
    face = ImageFont.truetype(drawn.FONTS / "DejaVuSerif.ttf", 22)
    text = "\n".join(["the quick brown fox jumps over the lazy dog and runs off"] * 4)
    ImageDraw.Draw(image).text((30, 30), text, font=face, fill=0)
    image.save(tmp_path / "a.png")
    assert_refused(tmp_path / "a.png", "shapes", "separate digits on a plain background")


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photo_of_something_else(name, tmp_path):
    path = saved(tmp_path / "a.jpg", datasets.load_sample_image(name))
    assert_refused(path, "separate digits on a plain background")


@pytest.mark.parametrize("shape", ["disc", "square"])
def test_a_blot_is_no_digit(shape, tmp_path):
    image = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(image)
    (draw.ellipse if shape == "disc" else draw.rectangle)((50, 50, 150, 150), fill=0)
    image.save(tmp_path / "a.png")
    assert_refused(tmp_path / "a.png", "no shape that looks like a pen stroke")


def test_a_blot_beside_digits_is_dropped(tmp_path):
    image = Image.fromarray(np.pad(photo(number()), ((0, 250), (0, 0)), constant_values=255))
    ImageDraw.Draw(image).ellipse((60, 200, 210, 350), fill=60)
    image.save(tmp_path / "a.png")
    assert len(handwriting.read(tmp_path / "a.png").digits) == 4


def test_no_keras():
    code = "import sys; from kaggle_digits.handwriting import drawing; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env=product.environment(),
    )  # fmt: skip
    assert not set(done.stdout.split()) & {"keras", "tensorflow", "scipy", "PIL", "matplotlib"}


def test_shapes_within_shapes_cost_no_more_than_they_show(tmp_path):
    side = 1200
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    ring = np.maximum(abs(x - side / 2), abs(y - side / 2)).astype(int)
    rings = np.where((ring % 24 < 3) & (ring < 0.45 * side), 0, 255).astype(np.uint8)
    path = tmp_path / "rings.png"
    Image.fromarray(rings).save(path)
    with pytest.raises(InputError, match=r"shows .* shapes"):
        handwriting.read(path)


def test_a_strip_that_cannot_be_shrunk(tmp_path):
    path = tmp_path / "strip.png"
    Image.new("L", (2_000_000, 8), 255).save(path)
    with pytest.raises(InputError, match=r"a strip of 2000000 x 8 pixels, which is too narrow"):
        handwriting.read(path)


@pytest.mark.filterwarnings("error")
def test_floats_to_the_end_of_their_range(tmp_path):
    pixels = np.full((60, 60), 3e38, np.float32)
    pixels[10:50, 28:32] = -3e38
    path = tmp_path / "range.tif"
    Image.fromarray(pixels).save(path)
    assert len(handwriting.read(path).digits) == 1


def test_what_libtiff_prints_stays_away_from_the_terminal(tmp_path, capfd):
    path = tmp_path / "a.tif"
    Image.new("L", (40, 40), "white").save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[9:20] = b"\xff" * 11
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif is damaged or truncated"):
        handwriting.read(path)
    assert capfd.readouterr() == ("", "")
