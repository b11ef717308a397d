"""Read and write ``history.csv``, the finished epochs of a model. Standard library only."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from kaggle_digits import files, safe_reading
from kaggle_digits.errors import InputError

MAX_SHOWN = 40  # characters of a cell that a message shows


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: one row of ``history.csv``. ``val_*`` are NaN without held-out images."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


def write_history(path: Path, history: list[Epoch]) -> None:
    """Write one row per epoch, with the fields of `Epoch` as columns."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(Epoch))
    table.writerows(astuple(epoch) for epoch in history)
    files.write_text(path, text.getvalue())


def read_history(path: Path) -> list[Epoch]:
    """Return the rows that `write_history` wrote.

    Raises:
        InputError: the file is missing or damaged.

    """
    try:
        text = safe_reading.read_bytes(path).decode()
        return _history(list(csv.reader(io.StringIO(text, newline=""), strict=True)))
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be read: {reason}. Expected the rows that `train` or `cv` wrote. To "
            f"train this fold again, remove {path.parent} and run the same command again."
        ) from error


def _history(rows: list[list[str]]) -> list[Epoch]:
    names = [field.name for field in fields(Epoch)]
    if not rows or rows[0] != names:
        raise ValueError(f"its columns are not {', '.join(names)}")
    history = []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names) or row[0] != str(number):
            raise ValueError(f"epoch {number} is missing or has other columns")
        history.append(Epoch(number, *map(_number, row[1:])))
    return history


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError(f"{ascii(cell)[:MAX_SHOWN]} is not a number") from error
