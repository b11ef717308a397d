"""Damage to files, drawn by Hypothesis, and what no reader may do with a damaged file."""

import contextlib
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from kaggle_digits.errors import KaggleDigitsError

SECONDS = 20  # a reader takes milliseconds for files as small as these
MEMORY = 200 << 20  # bytes that reading such a file may add at its peak

NUMBER = re.compile(rb"-?\d[\d.]*")
WORD = re.compile(rb"\w+")

NUMBERS = [
    *("0", "-1", "7.0", "1.5", "256", "65536", "2147483648", "-9223372036854775809", "1e400"),
    *("99999999999999999999", "9" * 5000, "NaN", "Infinity", "-Infinity", "null", "true", "[]"),
    *("{}", '""', '"7"', "0x7f", "1_0", "\u0667", "\uff17", "1e5", "1" + "0" * 17),
]
TEXTS = [
    *("", " ", "\0", "\x1b[2J", "\r", "\n", "\u2028", "\ufeff", "\u202e", "e\u0301", "\U0001f589"),
    *("ß" * 70_000, '"', "'", ",", "\\", "../../x", "/etc/passwd", "None", "\uff17"),
]
PIECES = [
    *(b"\0", b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\x80\0\0\0"),
    *(b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 4096, b"[" * 100_000, b"(" * 3000, b"{" * 100),
    *(b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08", b"\x93NUMPY\1\0", b"<html>", b"\x80\2"),
    *(b'{"a":' * 3000, b"\xe9", b"\xed\xa0\x80"),  # Latin-1, half a surrogate pair
]


def _around(content: bytes, one: int, length: int) -> tuple[bytes, bytes, bytes]:
    """Return what is before a slice, the slice, and what comes after it."""
    start = one % (len(content) + 1)
    return content[:start], content[start : start + length], content[start + length :]


def _swap(content: bytes, one: int, other: int, length: int) -> bytes:
    first, second = sorted((one % (len(content) + 1), other % (len(content) + 1)))
    second = max(second, first + length)
    between = content[first + length : second]
    moved = content[second : second + length]
    rest = content[second + length :]
    return content[:first] + moved + between + content[first : first + length] + rest


def _replace_match(content: bytes, pattern: re.Pattern[bytes], one: int, text: str) -> bytes:
    matches = [match.span() for match in pattern.finditer(content)]
    if not matches:
        return content
    start, end = matches[one % len(matches)]
    return content[:start] + text.encode() + content[end:]


@dataclass(frozen=True)
class Step:
    """One thing that is done to any bytes, so that a file can also be changed before it is packed.

    Attributes:
        kind: what is done.
        one: where; counts on from the start at the end.
        other: another place, or which of the texts or pieces.
        length: of a slice, or what is added to a byte.

    """

    kind: str
    one: int
    other: int
    length: int

    def __call__(self, content: bytes) -> bytes:
        """Return the content, damaged."""
        if self.kind == "swap":
            return _swap(content, self.one, self.other, self.length)
        if self.kind == "number":
            return _replace_match(content, NUMBER, self.one, NUMBERS[self.other % len(NUMBERS)])
        if self.kind == "text":
            return _replace_match(content, WORD, self.one, TEXTS[self.other % len(TEXTS)])
        before, slice_, after = _around(content, self.one, self.length)
        piece = PIECES[self.other % len(PIECES)]
        flipped = bytes((byte + self.length) % 256 for byte in slice_[:1])
        changed = {
            "flip": (before, flipped, slice_[1:], after),
            "cut": (before,),
            "cut the start": (slice_, after),
            "insert": (before, piece, slice_, after),
            "overwrite": (before, piece, (slice_ + after)[len(piece) :]),
            "remove": (before, after),
            "repeat": (before, slice_ * (2 + self.other % 40), after),
        }
        return b"".join(changed[self.kind])


KINDS = (
    *("flip", "flip", "cut", "cut the start", "insert", "overwrite", "remove", "repeat", "swap"),
    *("number", "number", "text"),
)


@dataclass(frozen=True)
class Change:
    """Steps, one after the other."""

    steps: tuple[Step, ...]

    def __call__(self, content: bytes) -> bytes:
        """Return the content, damaged."""
        for step in self.steps:
            content = step(content)
        return content


def changes() -> st.SearchStrategy[Change]:
    """Return a strategy of damage: one to three steps."""
    place = st.integers(0, (1 << 24) - 1)
    step = st.builds(Step, st.sampled_from(KINDS), place, place, st.integers(1, 64))
    return st.lists(step, min_size=1, max_size=3).map(tuple).map(Change)


class TookTooLongError(BaseException):
    """Not an Exception: no reader can catch it and call the file damaged."""


def _too_long(*_: object) -> None:
    raise TookTooLongError(f"a reader took longer than {SECONDS} seconds")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Fail if the block takes long, or far more memory than a small file needs."""
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    start = _start_of_peak()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert _memory("VmHWM") - start < MEMORY


def _start_of_peak() -> int:
    with contextlib.suppress(OSError):  # other systems than Linux measure nothing
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts here
    return _memory("VmRSS")


def _memory(name: str) -> int:
    """Return bytes of this process, as Linux counts them; 0 elsewhere."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) << 10
    return 0


def listing(folder: Path) -> dict[str, int]:
    """Return the size of every file below ``folder``."""
    return {str(path): path.stat().st_size for path in folder.rglob("*")}


def read_damaged(folder: Path, read: Callable[[Path], Any]) -> None:
    """Read ``folder``: an error of ours may come, and nothing else.

    Any other exception passes, and so does a file that appears, a warning, a wait, and memory out
    of proportion.
    """
    before = listing(folder)
    message = None
    with limited(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            read(folder)
        except KaggleDigitsError as error:
            message = str(error)
    assert message is None or 20 < len(message) < 2000, message
    assert not [str(warning.message) for warning in warned]
    assert listing(folder) == before
