"""What the page is answered, without a browser."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from kaggle_digits.app import answers
from kaggle_digits.app.answers import Answerer
from tests import drawn


@pytest.fixture(scope="module")
def answerer(reader):
    return Answerer(reader)


def encode(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return url(content.getvalue())


def url(content):
    return "data:image/png;base64," + base64.b64encode(content).decode()


def draw_on_nothing(*digits):
    """Return RGBA of black digits on a transparent ground, as the page's paper gives them."""
    ink = drawn.page([drawn.written(digit, pen=12) for digit in digits])
    pixels = np.zeros((*ink.shape, 4), np.uint8)
    pixels[..., 3] = np.round(255 * ink)
    return pixels


def test_a_drawing_is_read_like_a_photo(answerer, tmp_path):
    sent = {"kind": "drawing", "name": "", "data": encode(draw_on_nothing(4, 0, 7))}
    shown = answerer.show(sent)
    assert "<strong>407</strong>" in shown
    assert shown.count("<img ") == 3
    assert "Votes: 2 for 4" in shown
    photo = drawn.saved(tmp_path / "p.png", drawn.photo(drawn.page([drawn.written(3)])))
    shown = answerer.show({"kind": "photo", "name": "p.png", "data": url(photo.read_bytes())})
    assert "<strong>3</strong>" in shown


def test_probabilities_are_the_members_mean(answerer, reader):
    name, content = answers.decode(
        {"kind": "drawing", "name": "", "data": encode(draw_on_nothing(8))}
    )
    (digit,) = answerer.read(name, content).digits
    assert [name for name, _ in digit.probabilities] == list(reader.class_names)
    assert sum(value for _, value in digit.probabilities) == pytest.approx(1)
    assert digit.votes == (("8", 2),)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"kind": "blank"}, "Draw a digit."),
        ({}, "The file is empty."),
        ({"kind": "photo", "name": 7, "data": 8}, "The page sent no picture."),
        ({"kind": "photo", "name": "x.png", "data": "data:,no base 64"}, "sent no picture"),
        ({"kind": "photo", "name": "x.png", "data": ""}, "x.png is empty"),
        ({"kind": "too large", "name": "x.png"}, "x.png is too large. Expected at most 20 MB"),
        (
            {"kind": "photo", "name": "x.png", "data": url(b"no picture")},
            "x.png is not a readable picture",
        ),
        (
            {"kind": "photo", "name": "../../etc/<script>", "data": url(b"no picture")},
            "&lt;script&gt; is not a readable picture",
        ),
        (
            {"kind": "drawing", "name": "", "data": encode(np.zeros((90, 90, 4), np.uint8))},
            "Your drawing shows only its background",
        ),
        (
            {"kind": "photo", "name": "x.png", "data": encode(np.zeros((4, 90), np.uint8))},
            "x.png has 90 x 4 pixels. Expected at least 8",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_words(answerer, sent, text):
    shown = answerer.show(sent)
    assert text in shown
    assert "etc" not in shown
    assert "<script" not in shown


def test_an_error_of_ours_names_no_path(reader, capfd, monkeypatch):
    def fail(*_):
        raise RuntimeError("/home/someone/secret")

    answerer = Answerer(reader)
    monkeypatch.setattr(answerer, "read", fail)
    shown = answerer.show({"kind": "drawing", "name": "", "data": encode(draw_on_nothing(1))})
    assert "because of an error in the program" in shown
    assert "secret" not in shown
    assert "secret" in capfd.readouterr().err


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(answerer):
    bomb = io.BytesIO()
    Image.new("1", (9_000, 8_000)).save(bomb, format="PNG")
    shown = answerer.show({"kind": "photo", "name": "b.png", "data": url(bomb.getvalue())})
    assert "b.png has 9000 x 8000 pixels. Expected at most 64 million" in shown
