"""The finished epochs of a model, as ``history.csv`` keeps them. Standard library alone."""

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from kaggle_digits import files


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: one row of ``history.csv``. ``val_*`` are nan without held-out images."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


def write_history(path: Path, history: list[Epoch]) -> None:
    """Write one row an epoch, columns as in `Epoch`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(Epoch))
    table.writerows(astuple(epoch) for epoch in history)
    files.write_text(path, text.getvalue())


def read_history(path: Path) -> list[Epoch]:
    """Return the rows that `write_history` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [
            Epoch(int(row.pop("epoch")), **{k: float(v) for k, v in row.items()}) for row in rows
        ]
