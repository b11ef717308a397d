"""From what the page sends to what it shows: a drawing or a photo in, HTML out."""

import base64
import binascii
import io
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from kaggle_digits import handwriting
from kaggle_digits.app.readers import Probabilities, Reader
from kaggle_digits.errors import InputError

if TYPE_CHECKING:
    import jinja2

    from kaggle_digits.handwriting import Picture

MAX_UPLOAD = 20_000_000  # bytes of a photo
MAX_DATA = MAX_UPLOAD * 4 // 3 + 1000  # characters of a photo as a data URL
MAX_NAME = 80  # characters of a file's name that a message shows
BLANK = "Draw a digit."
DRAWING = "Your drawing"


@dataclass(frozen=True)
class ReadDigit:
    """A digit of the picture and what the models say about it.

    Attributes:
        label: name of the most probable class.
        image: the 28×28 image that the network gets, as the data URL of a PNG.
        probabilities: name and mean probability of each class.
        votes: name and number of members whose most probable class it is, most votes first.
        unsure: whether the probability is so low that `predict` marks it.

    """

    label: str
    image: str
    probabilities: tuple[tuple[str, float], ...]
    votes: tuple[tuple[str, int], ...]
    unsure: bool


@dataclass(frozen=True)
class Answer:
    """What the page shows for one picture.

    Attributes:
        numbers: the digits as they are written, one text per line of the picture.
        digits: in the same order.
        left_out: number of shapes of each kind that were not read.
        milliseconds: time to find the digits and to get the models' answers.

    """

    numbers: tuple[str, ...]
    digits: tuple[ReadDigit, ...]
    left_out: tuple[tuple[str, int], ...]
    milliseconds: tuple[float, float]


class Answerer:
    """Answer what a browser sends, one picture at a time.

    Attributes:
        reader: the models.

    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        # A photo may take 200 MB while it is decoded, and not every model may be called twice.
        self._lock = threading.Lock()

    def show(self, sent: Mapping[str, Any]) -> str:
        """Return the HTML for what the page sent.

        Args:
            sent: ``kind`` (blank, drawing, photo or too large), ``name`` of the file, and ``data``,
                the file as a data URL.

        Returns:
            The answer, or a message that explains why there is no answer. Contains no paths of
            this machine.

        """
        if sent.get("kind") == "blank":
            return show_message(BLANK)
        try:
            name, content = decode(sent)
            with self._lock:
                return _render("answer.html", answer=self.read(name, content), reader=self.reader)
        except InputError as error:
            return show_message(str(error))
        except Exception:  # noqa: BLE001 — the page goes on, and says nothing about this machine
            traceback.print_exc(file=sys.stderr)
            return show_message(
                "This picture could not be read because of an error in the program."
            )

    def read(self, name: Path, content: bytes) -> Answer:
        """Read the digits of one picture.

        Args:
            name: name of the file, for messages.
            content: its bytes, in a format that `kaggle_digits.handwriting` reads.

        Raises:
            InputError: it is no picture, or shows no digits.

        """
        started = time.perf_counter()
        picture = handwriting.read(name, content)
        found = time.perf_counter()
        members = self.reader.answer(picture.images)
        ended = time.perf_counter()
        return self._describe(picture, members, (1e3 * (found - started), 1e3 * (ended - found)))

    def _describe(
        self, picture: "Picture", members: Probabilities, milliseconds: tuple[float, float]
    ) -> Answer:
        names = self.reader.class_names
        means = members.mean(axis=0, dtype=np.float64)
        classes = means.argmax(axis=1).tolist()
        votes = members.argmax(axis=2).T.tolist() if self.reader.is_ensemble else [[]] * len(means)
        digits = tuple(
            ReadDigit(
                label=names[label],
                image=encode_image(digit.image[..., 0]),
                probabilities=tuple(zip(names, map(float, row), strict=True)),
                votes=tuple((names[said], n) for said, n in Counter(voted).most_common()),
                unsure=bool(row[label] < handwriting.SURE),
            )
            for digit, row, label, voted in zip(picture.digits, means, classes, votes, strict=True)
        )
        numbers = picture.lines([names[label] for label in classes])
        left_out = Counter(shape.kind.value for shape in picture.left_out)
        return Answer(tuple(numbers), digits, tuple(left_out.items()), milliseconds)


def decode(sent: Mapping[str, Any]) -> tuple[Path, bytes]:
    """Return the name and the bytes of the file that the page sent.

    Raises:
        InputError: it is too large, or not what the page sends.

    """
    data, name = sent.get("data", ""), sent.get("name", "")
    if not isinstance(data, str) or not isinstance(name, str):
        raise InputError("The page sent no picture. Load the page again.")
    shown = DRAWING if sent.get("kind") == "drawing" else _shorten(name)
    # The page does not send a file that is too large, but says so.
    if sent.get("kind") == "too large" or len(data) > MAX_DATA:
        raise InputError(
            f"{shown} is too large. Expected at most {MAX_UPLOAD // 1_000_000} MB; save it "
            "smaller, or only the part with the digits."
        )
    try:
        content = base64.b64decode(data.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("The page sent no picture. Load the page again.") from error
    if not content:
        raise InputError(f"{shown} is empty. Expected a picture.")
    return Path(shown), content


def _shorten(name: str) -> str:
    """Return a file's name without folders, in printable characters, not too long."""
    base = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(letter for letter in base if letter.isprintable())
    return printable[:MAX_NAME] or "The file"


def encode_image(pixels: Any) -> str:
    """Return uint8 ``[28, 28]`` as the data URL of a PNG."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def show_message(text: str) -> str:
    """Return the HTML of a message."""
    return _render("message.html", text=text)


def _render(name: str, **values: Any) -> str:
    return environment().get_template(name).render(**values)


@cache
def environment() -> "jinja2.Environment":
    """Return the templates of the page, which escape whatever they show."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("kaggle_digits.app"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
