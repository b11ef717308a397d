"""Record a command in a terminal of 80 columns as an animated SVG.

    python -m tests.make_recording docs/images/cv.svg kaggle-digits cv --recipe bn20 --folds 5

The command runs in the current folder. Each frame is what the terminal showed at that moment.
"""

import fcntl
import io
import math
import os
import pty
import re
import shlex
import struct
import sys
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

COLUMNS, ROWS = 80, 40
FRAMES = 12  # pictures of the running command
SECONDS = 0.8  # that each of them is shown
LAST = 5.0  # seconds that the last one is shown
REDRAWN = re.compile(r"\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)+")  # Rich draws its bars again
CODES = re.compile(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[\d*A|\r")
FONT = "font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def record(command: list[str]) -> list[str]:
    """Run ``command`` in a pseudo-terminal; return what its screen showed, the last screen last."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        time.sleep(0.2)  # until the terminal has its size
        os.execvp(command[0], command)  # noqa: S606 — the user typed it
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written = b""
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # the command has ended
            break
        if not part:
            break
        written += part
    os.waitpid(child, 0)
    return screens(written.decode("utf-8", errors="replace"))


def screens(written: str) -> list[str]:
    """Return each screen that a command drew: what stands above its bars, and the bars."""
    above, *drawn = written.split("\x1b[?25l", 1)
    if not drawn:
        return [above]
    bars, _, below = drawn[0].partition("\x1b[?25h")
    frames = [CODES.sub("", frame) for frame in REDRAWN.split(bars)]
    most = max(frame.count("\n") for frame in frames)
    whole = [frame.rstrip("\n") for frame in frames if frame.count("\n") >= most - 1]
    above = CODES.sub("", above)
    return [*(above + frame for frame in whole), f"{above}{whole[-1]}\n{CODES.sub('', below)}"]


def draw(command: list[str], shown: list[str]) -> str:
    """Return an SVG in which the screens follow each other."""
    running, last = shown[:-1], shown[-1]
    step = max(1, len(running) // FRAMES)
    chosen = [*running[step // 2 :: step][:FRAMES], last]
    prompt = f"$ {shlex.join(command)}\n"
    height = max(_lines(prompt + frame) for frame in chosen)
    pictures = [_picture(prompt + frame, height, number) for number, frame in enumerate(chosen)]
    whole = SECONDS * (len(chosen) - 1) + LAST
    styles, groups = [], []
    for number, (style, body) in enumerate(pictures):
        start, end = 100 * SECONDS * number / whole, 100 * SECONDS * (number + 1) / whole
        if number == len(pictures) - 1:
            end = 100
        steps = f"0%{{opacity:0}} {start:.2f}%{{opacity:1}} {end:.2f}%{{opacity:0}}"
        styles.append(
            f"{style}\n@keyframes k{number} {{{steps}}}\n"
            f".f{number} {{opacity: {int(number == len(pictures) - 1)}; "
            f"animation: k{number} {whole:g}s step-end infinite}}"
        )
        groups.append(f'<g class="f{number}">{body}</g>')
    width, tall = COLUMNS * 12.2 + 24, height * 24.4 + 20
    return (
        f'<svg viewBox="0 0 {width:.0f} {tall:.0f}" xmlns="http://www.w3.org/2000/svg">\n'
        f"<style>\ntext {{{FONT}; font-size: 20px}}\n" + "\n".join(styles) + "\n</style>\n"
        '<rect width="100%" height="100%" rx="10" fill="#191919"/>\n'
        '<g transform="translate(12, 10)">\n' + "\n".join(groups) + "\n</g>\n</svg>\n"
    )


def _lines(frame: str) -> int:
    """Return the number of lines that ``frame`` takes on the screen."""
    return sum(
        max(1, math.ceil(len(line) / COLUMNS)) for line in Text.from_ansi(frame).plain.splitlines()
    )


def _picture(frame: str, height: int, number: int) -> tuple[str, str]:
    """Return the styles and the shapes of one screen."""
    console = Console(
        record=True, width=COLUMNS, height=height, file=io.StringIO(), force_terminal=True
    )
    console.print(Text.from_ansi(frame))
    svg = console.export_svg(
        theme=DIMMED_MONOKAI, code_format="{styles}\x00{matrix}", unique_id=f"t{number}"
    )
    style, _, body = svg.partition("\x00")
    return style.strip(), re.sub(r' clip-path="[^"]*"', "", body)


if __name__ == "__main__":
    target, *typed = sys.argv[1:]
    Path(target).write_text(draw(typed, record(typed)), encoding="utf-8")
