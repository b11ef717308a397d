"""The headers of CSVs of digits, and what is wrong with another header."""

from dataclasses import dataclass

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.csv_text import SEPARATORS, CsvText

SIDE = 28
PIXELS = tuple(f"pixel{i}" for i in range(SIDE * SIDE))


@dataclass(frozen=True)
class Columns:
    """The expected columns of a file.

    Attributes:
        names: the expected names.
        others: other accepted headers.
        needs_header: whether a header is required.

    """

    names: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    needs_header: bool = True

    @property
    def labelled(self) -> bool:
        """Whether the first column holds the labels."""
        return self.names[0] == "label"


TRAIN = Columns(("label", *PIXELS))
TEST = Columns(PIXELS)

# MNIST's CSVs name each pixel by row and column, or have no header.
GRID = tuple(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))
IF_MNIST = "If both files are MNIST's, rename them to mnist_train.csv and mnist_test.csv"
FROM_ONE = tuple(f"pixel{i}" for i in range(1, SIDE * SIDE + 1))
MNIST = Columns(("label", *GRID), (("label", *PIXELS), ("label", *FROM_ONE)), needs_header=False)


def is_number(cell: str) -> bool:
    """Return whether a cell of the first line is a number: the file may have no header."""
    return cell.isascii() and cell.replace(".", "", 1).isdigit()


def check_header(text: CsvText, columns: Columns) -> None:
    """Raise DataError unless the first line has the expected columns."""
    if text.cells == columns.names or text.cells in columns.others:
        return
    names = columns.names
    raise DataError(
        f"{text.name}, line {text.first_line}: received {_describe_header(text, names)}. "
        f"Expected {len(names)} columns, separated by commas: {names[0]}, {names[1]}, … "
        f"{names[-1]}."
    )


def _describe_header(text: CsvText, expected: tuple[str, ...]) -> str:
    """Return a description of a wrong header."""
    names = text.cells
    known = {
        TRAIN.names: "a header with a label column: a train file under the name of a test file",
        TEST.names: "a header without a label column: a test file under the name of a train file",
        MNIST.names: f"MNIST's header, label, 1x1, … 28x28. {IF_MNIST}",
    }
    if names in known:
        return known[names]
    if names[1:] == expected:
        return (
            f"the column {names[0][:60]!r} before the expected ones, such as pandas' index, "
            "which to_csv(…, index=False) leaves out"
        )
    if len(names) > 1 and all(map(is_number, names)):
        return f"{len(names)} numbers without a header. {IF_MNIST}"
    if len(names) != len(expected):
        separated = f" separated by {SEPARATORS[text.separator]}" if len(names) > 1 else ""
        first = ", ".join(names[:3])[:60]
        return f"a header with {len(names)} columns{separated}, the first ones {first!r}"
    if sorted(names) == sorted(expected):
        return "a header with the right columns in another order"
    at = next(i for i, column in enumerate(expected) if names[i] != column)
    return f"a header with {names[at][:60]!r} in column {at + 1} instead of {expected[at]!r}"
