"""Runs on the disk: their folders, their predictions and where their CSVs come from."""

from kaggle_digits.runs.folder import (
    RUNS,
    SUBMISSIONS,
    DamagedRun,
    Run,
    Settings,
    environment,
    listed,
    now,
    opened,
)

__all__ = [
    "RUNS",
    "SUBMISSIONS",
    "DamagedRun",
    "Run",
    "Settings",
    "environment",
    "listed",
    "now",
    "opened",
]
