"""Runs on the disk: their folders, their predictions and where their CSVs come from."""

from kaggle_digits.runs.folder import (
    RUNS,
    SUBMISSIONS,
    DamagedRun,
    Run,
    Settings,
    environment,
    list_runs,
    now,
    open_for_training,
)

__all__ = [
    "RUNS",
    "SUBMISSIONS",
    "DamagedRun",
    "Run",
    "Settings",
    "environment",
    "list_runs",
    "now",
    "open_for_training",
]
