"""Submission CSVs, ``ImageId,Label``: write, read, check, compare. Neither pandas nor Keras."""

from kaggle_digits.submissions.csv_file import read, read_bytes, require_target, to_text, write
from kaggle_digits.submissions.csv_parsing import parse, parse_lines, parse_plain
from kaggle_digits.submissions.submission import CLASSES, Submission, check

__all__ = [
    "CLASSES",
    "Submission",
    "check",
    "parse",
    "parse_lines",
    "parse_plain",
    "read",
    "read_bytes",
    "require_target",
    "to_text",
    "write",
]
