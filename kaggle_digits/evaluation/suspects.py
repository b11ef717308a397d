"""List training images whose label a run contradicts, and read such a list again.

The list is a CSV that one looks through and shortens by hand. `cv --exclude` trains without its
images.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from kaggle_digits import files, safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation.metrics import Floats, Integers, WorstImage, find_worst_images

ID = "id"
HEADER = (ID, "label", "predicted", "p_label", "p_predicted")
SHOWN_COLUMNS = 5  # of a wrong header
MAX_DIGITS = 18  # of an id: always fits into an int64


def find_suspects(probabilities: Floats, labels: Integers, ids: Integers) -> tuple[WorstImage, ...]:
    """Return the images whose most probable class is not their label.

    Either the models are wrong or the label is. The images with the lowest probability of their
    label, which are most likely to have a wrong label, come first.

    Args:
        probabilities: float ``[n, c]``, out-of-fold.
        labels: int ``[n]``.
        ids: int ``[n]``, the ids of the images.

    """
    images = find_worst_images(probabilities, labels, ids, len(labels))
    return tuple(image for image in images if image.predicted != image.label)


def require_target(path: Path) -> None:
    """Raise InputError unless `write_suspects` can write to ``path`` and replaces only a list."""
    files.require_replaceable(path, "a list of suspects", ",".join(HEADER).encode())


def write_suspects(path: Path, suspects: Iterable[WorstImage], names: Sequence[str]) -> None:
    """Write ``suspects`` as a CSV: ids, names of the classes, and probabilities.

    Raises:
        OutsideError: the file cannot be written.

    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for image in suspects:
        rows.writerow(
            (
                image.id,
                names[image.label],
                names[image.predicted],
                f"{image.probability_of_label:.4f}",
                f"{image.probability_of_predicted:.4f}",
            )
        )
    files.write_text(path, text.getvalue())


def read_ids(path: Path) -> tuple[int, ...]:
    """Return the ids in the column ``id`` of a CSV, in rising order, each once.

    Raises:
        InputError: the file cannot be read, or an id is not a whole number.

    """
    advice = "Expected a CSV with a column named id, such as `evaluate RUN --suspects` writes."
    try:
        text = safe_reading.read_bytes(path).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. {advice}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV: {error}. {advice}") from error
    first = [name.strip() for name in rows[0]] if rows else []
    header = [name.lower() for name in first]
    if ID not in header:
        shown = ", ".join(first[:SHOWN_COLUMNS]) or "empty"
        raise InputError(f"{path} has no column named id; its first line is {shown}. {advice}")
    column, ids = header.index(ID), set()
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        value = row[column].strip() if column < len(row) else ""
        if not value.isascii() or not value.isdecimal() or len(value) > MAX_DIGITS:
            raise InputError(
                f"{path}, line {number}: the id is {value[:40]!r}. Expected a whole number, 0 or "
                "more."
            )
        ids.add(int(value))
    return tuple(sorted(ids))


def hash_ids(ids: Sequence[int]) -> str | None:
    """Return the SHA-256 of the ids, each on a line; None for no ids."""
    if not ids:
        return None
    return hashlib.sha256("".join(f"{id_}\n" for id_ in ids).encode()).hexdigest()
