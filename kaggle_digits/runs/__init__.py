"""Runs on the disk: their folders, their predictions and the provenance of their CSVs."""

from kaggle_digits.runs.folder import Run
from kaggle_digits.runs.listing import DamagedRun, list_runs
from kaggle_digits.runs.opening import open_for_training
from kaggle_digits.runs.settings import Settings
from kaggle_digits.runs.versions import environment, now

__all__ = [
    "DamagedRun",
    "Run",
    "Settings",
    "environment",
    "list_runs",
    "now",
    "open_for_training",
]
