"""Runs on the disk: their folders, their predictions and the provenance of their CSVs."""

from kaggle_digits.runs.folder import (
    DamagedRun,
    Run,
    Settings,
    environment,
    list_runs,
    now,
    open_for_training,
)

__all__ = [
    "DamagedRun",
    "Run",
    "Settings",
    "environment",
    "list_runs",
    "now",
    "open_for_training",
]
