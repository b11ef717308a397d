"""Submission CSVs, ``ImageId,Label``: write, read, check, compare. Neither pandas nor Keras."""

from kaggle_digits.submissions.csv_file import (
    CLASSES,
    Submission,
    check,
    parse,
    parse_lines,
    parse_plain,
    read,
    read_bytes,
    require_target,
    to_text,
    write,
)

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
