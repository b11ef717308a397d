"""Images and bars as characters."""

import io

import numpy as np
import pytest

from kaggle_digits.cli import terminal_image


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_shades_are_two_characters_a_pixel():
    image = np.array([[0, 60, 120], [160, 255, 0]], np.uint8)[..., None]
    assert terminal_image.picture(image, io.StringIO()) == "  ░░▒▒\n▓▓██"


def test_colours_are_shaded_by_their_luminance():
    image = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255]]], np.uint8)
    assert terminal_image.picture(image, io.StringIO()) == "░░▒▒██"


@pytest.mark.parametrize(
    ("environment", "stream"),
    [
        ({"COLORTERM": "truecolor"}, io.StringIO()),
        ({"COLORTERM": ""}, Terminal()),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, Terminal()),
    ],
    ids=["piped", "no colours", "not wanted"],
)
def test_no_escapes_where_they_do_not_belong(environment, stream, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in terminal_image.picture(np.full((4, 4, 3), 200, np.uint8), stream)


def test_on_a_terminal_with_colours_two_pixels_are_a_character(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    image = np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]], np.uint8)
    first, second = terminal_image.picture(image, Terminal()).split("\n")
    assert first == "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m"
    assert second == "\x1b[38;2;7;8;9;48;2;0;0;0m▀\x1b[0m"
    grey = terminal_image.picture(np.full((1, 1, 1), 9, np.uint8), Terminal())
    assert grey.startswith("\x1b[38;2;9;9;9;")


def test_bars_to_an_eighth():
    assert terminal_image.bar(0) == ""
    assert terminal_image.bar(1) == "█" * 40
    assert terminal_image.bar(0.5 + 1 / 80) == "█" * 20 + "▌"
    assert terminal_image.bar(0.001) == ""
