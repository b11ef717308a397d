"""Text from outside is escaped before it reaches a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggle_digits.terminal_text import UNSAFE, add_prefix, describe_count, escape_lines, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cv-bn20", "cv-bn20"),
        ("Größe 数字 café.png", "Größe 数字 café.png"),
        ("C:\\digits\\run", "C:\\digits\\run"),
        ("exp[red]1", "exp[red]1"),  # markup is Rich's business, not a terminal's
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("bell\x07 null\0 delete\x7f", "bell\\x07 null\\x00 delete\\x7f"),
        ("\x9b31mC1", "\\x9b31mC1"),
        ("one\ntwo\r\nthree\tfour", "one\\ntwo\\r\\nthree\\tfour"),
        ("line\u2028paragraph\u2029next\x85", "line\\u2028paragraph\\u2029next\\x85"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\u2066isolate\u2069 \u200fmark", "\\u2066isolate\\u2069 \\u200fmark"),
        ("caf\udce9", "caf\\udce9"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
    ],
)
def test_unsafe_characters_are_shown_escaped(text, expected):
    assert plain(text) == expected


def test_long_text_ends_in_an_ellipsis():
    assert plain("x" * 200) == "x" * 200
    assert plain("x" * 201) == "x" * 199 + "…"
    assert plain("abcdef", limit=4) == "abc…"
    assert len(plain("\x1b" * 90)) == 200  # counts the displayed characters


@given(st.text(st.characters(codec=None)), st.integers(1, 40))
def test_whatever_comes_is_safe_and_short(text, limit):
    shown = plain(text, limit)
    assert len(shown) <= limit
    assert not {unicodedata.category(character) for character in shown} & UNSAFE
    shown.encode("utf-8")


def test_messages_of_several_lines_keep_them():
    message = "no file a\x1bb. Run:\n  kaggle-digits data get\n"
    assert escape_lines(message) == "no file a\\x1bb. Run:\n  kaggle-digits data get\n"


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 errors"), (1, "1 error"), (2000, "2,000 errors")]
)
def test_a_number_has_its_noun(number, expected):
    assert describe_count(number, "error") == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 "), (999, "999 "), (0.5e15, "500 T"), (999.6e12, "1 P"), (1.02e15, "1.02 P")],
)
def test_numbers_of_flop_have_a_prefix(value, text):
    assert add_prefix(value) == text
