"""Pictures of digits as users take them: rows, columns, form fields, frames, desks, letters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from tests.drawn import FONTS, Plane, ground, printed, written

Random = np.random.Generator
Source = Callable[[Random, int, int], Plane]
Place = tuple[int, int, int, int]


class Written(NamedTuple):
    """A digit and where its ink lies."""

    digit: int
    box: Place


@dataclass
class Scene:
    """A picture with what it shows.

    Attributes:
        ink: 0 is ground, 1 is ink.
        lines: the digits, line by line from left to right.
        others: how many shapes in it are no digits.
        paper: 1 is the paper, 0 is black: what surrounds the paper, or shades it.
        negative: light on dark instead.

    """

    ink: Plane
    lines: list[list[Written]] = field(default_factory=list)
    others: int = 0
    paper: Plane | None = None
    negative: bool = False

    @property
    def digits(self) -> list[Written]:
        return [digit for line in self.lines for digit in line]

    @property
    def texts(self) -> list[str]:
        return ["".join(str(one.digit) for one in line) for line in self.lines]

    def pixels(self, random: Random) -> npt.NDArray[np.uint8]:
        """Return uint8 of the scene on paper of a random kind."""
        kind = random.choice(["plain", "plain", "noise", "slope", "paper"])
        light = ground(str(kind), self.ink.shape, int(random.integers(1 << 30)))
        if kind == "noise":
            light = 0.9 + (light - 0.9) * 0.3
        dark = random.uniform(0, 0.3)
        shown = light * (1 if self.paper is None else self.paper) * (1 - self.ink * (1 - dark))
        pixels = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
        return 255 - pixels if self.negative else pixels


def by_pen(random: Random, digit: int, height: int) -> Plane:
    """Return a digit of `drawn.STROKES`, of a pen as thick as its height allows."""
    pen = max(1.5, random.uniform(0.05, 0.12) * height)
    return _cut(written(digit, round(height - pen), pen, random.uniform(-8, 8)))


def by_font(random: Random, digit: int, height: int) -> Plane:
    font = random.choice(["DejaVuSans", "DejaVuSerif", "DejaVuSans-Oblique", "STIXGeneral"])
    large = printed(digit, str(font), 2 * height, random.uniform(-5, 5))
    return _as_high(large, height)


def by_either(random: Random, digit: int, height: int) -> Plane:
    return (by_pen if random.random() < 0.6 else by_font)(random, digit, height)


def _as_high(plane: Plane, height: int) -> Plane:
    width = max(2, round(plane.shape[1] * height / plane.shape[0]))
    image = Image.fromarray(plane.astype(np.float32))
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    return _cut(np.clip(np.asarray(small, np.float64), 0, 1))


def _cut(plane: Plane) -> Plane:
    held = plane > 0.35
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    return plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _paste(ink: Plane, part: Plane, left: int, top: int) -> Place:
    height, width = part.shape
    spot = ink[top : top + height, left : left + width]
    np.maximum(spot, part, out=spot)
    return left, top, left + width, top + height


def _line(ink: Plane, parts: Sequence[tuple[int, Plane]], left: int, base: int, gaps: Sequence[int],
          *, middle: bool = False) -> list[Written]:  # fmt: skip
    """Paste the digits beside each other: they stand on ``base``, or have it as their middle."""
    pasted = []
    for (digit, part), gap in zip(parts, gaps, strict=True):
        top = base - (len(part) // 2 if middle else len(part))
        box = _paste(ink, part, left, top)
        pasted.append(Written(digit, box))
        left = box[2] + gap
    return pasted


def _choose(random: Random, source: Source, heights: Any) -> list[tuple[int, Plane]]:
    return [
        (digit, source(random, digit, round(height)))
        for digit, height in zip(
            random.integers(0, 10, len(heights)).tolist(), heights, strict=True
        )
    ]


def row(random: Random, source: Source) -> Scene:
    """Digits of about the same height: what was always read."""
    height = random.uniform(30, 110)
    parts = _choose(random, source, height * random.uniform(0.85, 1.1, random.integers(1, 7)))
    return _row(random, parts, random.uniform(0.2, 0.6, len(parts)) * height)


def _row(random: Random, parts: Sequence[tuple[int, Plane]], gaps: npt.NDArray[np.floating],
         *, middle: bool = False) -> Scene:  # fmt: skip
    most = max(len(part) for _, part in parts)
    margin = round(random.uniform(0.3, 1) * most)
    width = sum(part.shape[1] for _, part in parts) + int(gaps.sum()) + 2 * margin
    ink = np.zeros((most + 2 * margin, width))
    base = margin + most // 2 if middle else margin + most
    return Scene(ink, [_line(ink, parts, margin, base, np.floor(gaps).astype(int), middle=middle)])


def heights(random: Random, source: Source) -> Scene:
    """Digits of clearly different heights, 10 to 14 pixels between them."""
    count = int(random.integers(3, 8))
    sizes = random.permutation(np.linspace(random.uniform(38, 55), random.uniform(85, 120), count))
    gaps = random.uniform(10, 14, count)
    return _row(random, _choose(random, source, sizes), gaps, middle=random.random() < 0.5)


def zeros(random: Random, source: Source) -> Scene:
    """Small zeros between tall digits."""
    tall = random.uniform(70, 110)
    sizes = tall * random.uniform(0.85, 1.05, int(random.integers(4, 8)))
    small = random.permutation(len(sizes))[: int(random.integers(1, len(sizes) - 1))]
    sizes[small] = tall * random.uniform(0.25, 0.4, len(small))
    parts = _choose(random, source, sizes)
    for index in small:
        parts[index] = (0, source(random, 0, round(sizes[index])))
    gaps = tall * random.uniform(0.2, 0.4, len(sizes))
    return _row(random, parts, gaps, middle=random.random() < 0.6)


def column(random: Random, source: Source) -> Scene:
    """Digits below each other."""
    size = random.uniform(40, 90)
    parts = _choose(random, source, size * random.uniform(0.9, 1.1, int(random.integers(2, 7))))
    margin = round(random.uniform(0.3, 0.6) * size)
    gaps = np.floor(random.uniform(0.08, 0.5, len(parts)) * size).astype(int) + 2
    width = max(part.shape[1] for _, part in parts) + 2 * margin
    ink = np.zeros((sum(len(part) for _, part in parts) + int(gaps.sum()) + 2 * margin, width))
    top, lines = margin, []
    for (digit, part), gap in zip(parts, gaps, strict=True):
        left = margin + int(random.integers(0, width - 2 * margin - part.shape[1] + 1))
        lines.append([Written(digit, _paste(ink, part, left, top))])
        top += len(part) + int(gap)
    return Scene(ink, lines)


def rows(random: Random, source: Source) -> Scene:
    """Several rows of digits, each of a size of its own in a third of the pictures."""
    count = int(random.integers(2, 5))
    size = random.uniform(30, 80)
    alike = random.random() < 0.67
    sizes = np.full(count, size) if alike else size * random.uniform(0.5, 1.5, count)
    lines = [
        _choose(random, source, one * random.uniform(0.85, 1.1, int(random.integers(2, 7))))
        for one in sizes
    ]
    return _block(random, lines, sizes)


def _block(random: Random, lines: Sequence[Sequence[tuple[int, Plane]]],
           sizes: npt.NDArray[np.floating], margin: int | None = None) -> Scene:  # fmt: skip
    margin = round(sizes.max() * 0.5) if margin is None else margin
    gaps = [
        random.uniform(0.2, 0.5, len(line)) * one for line, one in zip(lines, sizes, strict=True)
    ]
    widths = [
        sum(part.shape[1] for _, part in line) + int(gap.sum())
        for line, gap in zip(lines, gaps, strict=True)
    ]
    tops = [max(len(part) for _, part in line) for line in lines]
    below = [int(random.uniform(0.15, 0.8) * one) + 2 for one in sizes]
    ink = np.zeros((sum(tops) + sum(below) + 2 * margin, max(widths) + 2 * margin))
    base, pasted = margin, []
    for line, gap, high, space in zip(lines, gaps, tops, below, strict=True):
        base += high
        pasted.append(_line(ink, line, margin, base, np.floor(gap).astype(int)))
        base += space
    return Scene(ink, pasted)


def _rectangle(ink: Plane, box: Place, thickness: int) -> None:
    left, top, right, bottom = box
    ink[top : top + thickness, left:right] = 1
    ink[bottom - thickness : bottom, left:right] = 1
    ink[top:bottom, left : left + thickness] = 1
    ink[top:bottom, right - thickness : right] = 1


def boxes(random: Random, source: Source) -> Scene:
    """One to six printed boxes in a row, a digit in each."""
    return _cells(random, source, 1, int(random.integers(1, 7)), round(random.uniform(6, 40)))


def touching(random: Random, source: Source) -> Scene:
    """Boxes that share their walls."""
    return _cells(random, source, 1, int(random.integers(2, 8)), None)


def grid(random: Random, source: Source) -> Scene:
    """A table, some of whose cells are empty."""
    shape = int(random.integers(2, 5)), int(random.integers(1, 5))
    return _cells(random, source, *shape, None, empty=0.2)


def crossed(random: Random, source: Source) -> Scene:
    """Boxes whose lines the digits touch or cross."""
    gap = round(random.uniform(6, 40)) if random.random() < 0.5 else None
    return _cells(random, source, 1, int(random.integers(1, 6)), gap, cross=True)


def comb(random: Random, source: Source) -> Scene:
    """A line with teeth, open above, a digit between each two."""
    size = random.uniform(40, 90)
    count = int(random.integers(2, 8))
    parts = _choose(random, source, size * random.uniform(0.85, 1.05, count))
    wide = max(part.shape[1] for _, part in parts)
    thickness = int(random.integers(1, 5))
    cell = wide + 2 * round(random.uniform(0.1, 0.3) * size) + thickness
    high = round(size * random.choice([0.3, 0.6, 1.3]))
    margin = round(size * 0.6)
    ink = np.zeros((round(1.4 * size) + 2 * margin, cell * count + thickness + 2 * margin))
    bottom = len(ink) - margin
    ink[bottom - thickness : bottom, margin : margin + cell * count + thickness] = 1
    for index in range(count + 1):
        left = margin + index * cell
        ink[bottom - high : bottom, left : left + thickness] = 1
    line = []
    base = bottom - thickness - max(3, round(random.uniform(0.06, 0.2) * size))
    for index, (digit, part) in enumerate(parts):
        left = margin + index * cell + thickness + (cell - thickness - part.shape[1]) // 2
        line.append(Written(digit, _paste(ink, part, left, base - len(part))))
    return Scene(ink, [line])


def _cells(random: Random, source: Source, down: int, across: int, gap: int | None, *,
           empty: float = 0, cross: bool = False) -> Scene:  # fmt: skip
    """Draw cells; without a ``gap`` between them, they share their walls."""
    size = random.uniform(35, 90)
    parts = _choose(random, source, size * random.uniform(0.85, 1.05, down * across))
    thickness = int(random.integers(1, 2 + max(1, round(size / 15))))
    padding = max(3, round(random.uniform(0.08, 0.3) * size))
    wide = max(part.shape[1] for _, part in parts) + 2 * padding + 2 * thickness
    wide = max(wide, round(0.5 * size))
    high = max(len(part) for _, part in parts) + 2 * padding + 2 * thickness
    step = gap if gap is not None else -thickness
    margin = round(random.uniform(0.3, 0.7) * size)
    ink = np.zeros((down * (high + step) + 2 * margin, across * (wide + step) + 2 * margin))
    lines = []
    for y in range(down):
        line = []
        for x in range(across):
            left, top = margin + x * (wide + step), margin + y * (high + step)
            _rectangle(ink, (left, top, left + wide, top + high), thickness)
            digit, part = parts[y * across + x]
            if random.random() < empty:
                continue
            spare = wide - part.shape[1], high - len(part)
            place = np.array([left + spare[0] // 2, top + spare[1] // 2])
            if cross:  # over one side of the box, by up to an eighth
                side = int(random.integers(2))
                over = spare[side] // 2 + random.uniform(-thickness / 2, size / 8)
                place[side] += round(over) * int(random.choice([-1, 1]))
            line.append(Written(digit, _paste(ink, part, *place.tolist())))
        if line:
            lines.append(line)
    return Scene(ink, lines) if lines else _cells(random, source, down, across, gap)


def tilted(random: Random, source: Source) -> Scene:
    """Boxes of all these kinds, turned by up to three degrees."""
    made = [boxes, touching, grid, comb][int(random.integers(4))](random, source)
    angle = random.uniform(1, 3) * random.choice([-1, 1])
    return _turned(made, angle)


def _turned(scene: Scene, angle: float) -> Scene:
    turned = Image.fromarray(scene.ink.astype(np.float32)).rotate(
        angle, Image.Resampling.BICUBIC, expand=True
    )
    ink = np.clip(np.asarray(turned, np.float64), 0, 1)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    centre = np.array(scene.ink.shape[::-1]) / 2
    away = np.array(ink.shape[::-1]) / 2

    def moved(box: Place) -> Place:
        corners = np.array([(x, y) for x in box[::2] for y in box[1::2]]) - centre
        ends = corners @ np.array([[cos, -sin], [sin, cos]]) + away
        (left, top), (right, bottom) = ends.min(axis=0), ends.max(axis=0)
        return round(left), round(top), round(right), round(bottom)

    lines = [[Written(one.digit, moved(one.box)) for one in line] for line in scene.lines]
    return Scene(ink, lines, scene.others)


def frame(random: Random, source: Source) -> Scene:
    """A frame around the page, sometimes doubled or with a line below a heading."""
    scene = _page(random, source)
    thickness = int(random.integers(1, 9))
    away = int(random.integers(0, 15))
    height, width = scene.ink.shape
    _rectangle(scene.ink, (away, away, width - away, height - away), thickness)
    if random.random() < 0.4:
        more = away + thickness + int(random.integers(3, 8))
        _rectangle(scene.ink, (more, more, width - more, height - more), max(1, thickness // 2))
    elif random.random() < 0.5:
        scene.ink[away + 30 : away + 30 + max(1, thickness // 2), away : width - away] = 1
    return scene


def _page(random: Random, source: Source, room: float = 1.6) -> Scene:
    """Return rows of digits somewhere on a page that is larger than they need."""
    block = rows(random, source) if random.random() < 0.6 else row(random, source)
    height, width = block.ink.shape
    size = max(len(block.ink) // 2, 60)
    page = np.zeros((round(height * room) + size, round(width * room) + size))
    left = int(random.integers(size // 3 + 10, page.shape[1] - width - size // 3 - 10))
    top = int(random.integers(size // 3 + 20, len(page) - height - size // 3 - 10))
    _paste(page, block.ink, left, top)
    lines = [
        [
            Written(digit, (box[0] + left, box[1] + top, box[2] + left, box[3] + top))
            for digit, box in line
        ]
        for line in block.lines
    ]
    return Scene(page, lines)


def window(random: Random, source: Source) -> Scene:
    """A screenshot: a thin border and a filled title bar."""
    scene = _page(random, source)
    height, width = scene.ink.shape
    away = int(random.choice([0, 0, 6, 12]))
    bar = int(random.integers(14, 20 + 1))
    _rectangle(scene.ink, (away, away, width - away, height - away), int(random.integers(1, 4)))
    scene.ink[away : away + bar, away : width - away] = random.uniform(0.5, 1)
    return scene


def desk(random: Random, source: Source) -> Scene:
    """A sheet of paper on a darker desk, turned a little."""
    scene = _page(random, source, 1.2)
    height, width = scene.ink.shape
    border = [round(random.uniform(0.08, 0.35) * min(height, width)) for _ in range(4)]
    top, bottom, left, right = border
    ink = np.pad(scene.ink, ((top, bottom), (left, right)))
    moved = [
        [
            Written(digit, (box[0] + left, box[1] + top, box[2] + left, box[3] + top))
            for digit, box in line
        ]
        for line in scene.lines
    ]
    angle = random.uniform(-3, 3)
    outer = Image.new("L", (ink.shape[1] * 2, ink.shape[0] * 2))
    sheet = (2 * left, 2 * top, 2 * (left + width), 2 * (top + height))
    ImageDraw.Draw(outer).rectangle(sheet, fill=255)
    outer = outer.rotate(angle, Image.Resampling.BICUBIC).resize(ink.shape[::-1])
    share = np.asarray(outer, np.float64) / 255
    wood = random.uniform(0.12, 0.45) + ndimage.gaussian_filter(
        random.normal(0, 1, ink.shape), (1, 12)
    ) * random.uniform(0, 0.3)
    paper = share + (1 - share) * np.clip(wood, 0, 0.7)
    return Scene(ink * (share > 0.5), moved, paper=paper)


def corner(random: Random, source: Source) -> Scene:
    """A dark corner: a finger, a vignette, the camera's frame."""
    scene = _page(random, source, 1.2)
    height, width = scene.ink.shape
    y, x = np.mgrid[:height, :width]
    reach = random.uniform(0.08, 0.16) * min(height, width)
    if random.random() < 0.5:  # soft, round
        away = np.hypot(x - width * random.choice([0, 1]), y - height * random.choice([0, 1]))
        shade = 1 / (1 + np.exp(-(away - reach) / (reach * random.uniform(0.03, 0.25))))
    elif random.random() < 0.5:  # a triangle
        away = x + y if random.random() < 0.5 else (width - x) + (height - y)
        shade = np.clip((away - 1.5 * reach) / 2, 0, 1)
    else:  # round, all four: through a tube
        away = np.hypot((x - width / 2) / width, (y - height / 2) / height)
        shade = np.clip((random.uniform(0.64, 0.68) - away) / random.uniform(0.01, 0.1), 0, 1)
    return Scene(scene.ink, scene.lines, paper=0.05 + 0.95 * shade)


def bars(random: Random, source: Source) -> Scene:
    """Black bars at one to four edges, as cameras and scanners leave them."""
    scene = _page(random, source, 1.2)
    height, width = scene.ink.shape
    thick = [round(random.uniform(0.02, 0.07) * side) for side in (height, height, width, width)]
    kept = [size * (random.random() < 0.6) for size in thick]
    kept[int(random.integers(4))] = thick[0]
    paper = np.full((height, width), 0.05)
    paper[kept[0] : height - kept[1], kept[2] : width - kept[3]] = 1
    return Scene(scene.ink * (paper > 0.5), scene.lines, paper=paper)


def minus(random: Random, source: Source) -> Scene:
    """A number with a minus sign and a point: -3.5."""
    size = random.uniform(50, 100)
    parts = _choose(random, source, size * random.uniform(0.9, 1.05, int(random.integers(2, 5))))
    gaps = random.uniform(0.25, 0.45, len(parts)) * size
    scene = _row(random, parts, gaps)
    pen = max(3, round(random.uniform(0.06, 0.11) * size))
    long = round(random.uniform(0.35, 0.6) * size)
    more = long + round(0.5 * size)
    ink = np.pad(scene.ink, ((0, 0), (more, 0)))
    lines = [
        [Written(digit, (box[0] + more, *box[1:2], box[2] + more, box[3])) for digit, box in line]
        for line in scene.lines
    ]
    middle = len(ink) // 2
    left = lines[0][0].box[0] - long - round(0.3 * size)
    ink[middle : middle + pen, left : left + long] = 1
    others = 1
    if random.random() < 0.7:
        after = int(random.integers(1, len(parts)))
        room = round(0.35 * size) + pen
        cut = lines[0][after].box[0]
        ink = np.concatenate([ink[:, :cut], np.zeros((len(ink), room)), ink[:, cut:]], axis=1)
        for index in range(after, len(parts)):
            digit, box = lines[0][index]
            lines[0][index] = Written(digit, (box[0] + room, box[1], box[2] + room, box[3]))
        point = (lines[0][after - 1].box[2] + lines[0][after].box[0]) // 2
        bottom = max(one.box[3] for one in lines[0])
        radius = pen * 0.75
        y, x = np.mgrid[: len(ink), : ink.shape[1]]
        ink[np.hypot(y - bottom + radius, x - point) < radius] = 1
        others += 1
    return Scene(ink, lines, others)


def letters(random: Random, texts: str, size: int = 70) -> Scene:
    """Printed letters, none of them a digit."""
    font = random.choice(["DejaVuSans", "DejaVuSerif", "DejaVuSans-Oblique", "DejaVuSansMono"])
    face = ImageFont.truetype(FONTS / f"{font}.ttf", size)
    width = int(sum(face.getlength(letter) for letter in texts)) + (len(texts) + 2) * size // 2
    image = Image.new("L", (width, 2 * size))
    left = size // 2
    for letter in texts:
        ImageDraw.Draw(image).text((left, size // 3), letter, font=face, fill=255)
        left += int(face.getlength(letter)) + size // 2
    return Scene(np.asarray(image, np.float64) / 255, [], len(texts))


def blot(random: Random, source: Source) -> Scene:
    """Digits and a blot below or beside them."""
    scene = row(random, source)
    height, width = scene.ink.shape
    size = round(random.uniform(0.5, 1) * height)
    y, x = np.mgrid[:size, :size]
    away = np.hypot(y - size / 2, x - size / 2)
    angle = np.arctan2(y - size / 2, x - size / 2)
    wobble = 1 + 0.08 * np.sin(3 * angle + random.uniform(0, 6)) + 0.05 * np.sin(7 * angle)
    shape = (away < 0.4 * size * wobble).astype(float)
    if random.random() < 0.5:
        ink = np.pad(scene.ink, ((0, size + 10), (0, max(0, size + 10 - width))))
        _paste(ink, shape, int(random.integers(0, ink.shape[1] - size)), height)
    else:
        ink = np.pad(scene.ink, ((0, max(0, size - height)), (0, size + 10)))
        _paste(ink, shape, width, 0)
    return Scene(ink, scene.lines, 1)


def negative(random: Random, source: Source) -> Scene:
    """Any of the others, light on dark: a blackboard, a screen."""
    others = [make for make in KINDS.values() if make is not negative]
    scene = others[int(random.integers(len(others)))](random, source)
    scene.negative = True
    return scene


KINDS: dict[str, Callable[[Random, Source], Scene]] = {
    make.__name__: make
    for make in (row, heights, zeros, column, rows, boxes, touching, comb, grid, crossed, tilted,
                 frame, window, desk, corner, bars, minus, blot, negative)
}  # fmt: skip
