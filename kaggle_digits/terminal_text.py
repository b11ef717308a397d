r"""Make text from outside safe for a terminal, and count in words. Imports nothing of this package.

Names of files, classes and runs, and Kaggle's answers, may contain anything: escape sequences that
clear the screen, line breaks that imitate our output, overrides of the reading direction, bytes
that are not UTF-8. They are shown as escapes, such as ``\x1b``.
"""

import math
import unicodedata

MAX_LENGTH = 200  # characters
# Controls (C0, DEL and C1), invisible formats (bidi among them), lone surrogates, line and
# paragraph separators.
UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def plain(text: str, limit: int = MAX_LENGTH) -> str:
    r"""Return ``text`` on one line, safe to print: unsafe characters escaped, shortened to a limit.

    Args:
        text: text from outside, such as a name or an answer.
        limit: the largest number of characters to return; longer text ends in an ellipsis.

    Returns:
        Text without control characters, line breaks (``\n``), bidirectional overrides and
        surrogates. Text that has none of them and is short enough is returned unchanged.

    """
    return cut(escape(text), limit)


def cut(text: str, limit: int) -> str:
    """Return ``text``; if it has more than ``limit`` characters, shortened and with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str) -> str:
    r"""Return ``text`` with every unsafe character as its Python escape, such as ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in UNSAFE
        else character
        for character in text
    )


def escape_lines(text: str) -> str:
    """Return ``text`` with unsafe characters escaped, but keep its line breaks."""
    return "\n".join(map(escape, text.split("\n")))


def describe_count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 error", "2,000 errors"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def add_prefix(value: float) -> str:
    """Return a number of FLOP with three digits and an SI prefix: "960 T", "1.02 P"."""
    rounded = float(f"{value:.2e}")
    power = int(math.log10(rounded)) // 3 * 3 if rounded >= 1 else 0
    prefixes = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
    return f"{value / 10**power:.3g} {prefixes[power]}"
