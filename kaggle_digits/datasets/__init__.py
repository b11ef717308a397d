"""Where images come from: every source returns the same frozen `Dataset`."""

from kaggle_digits.datasets.checking import Report, SplitReport, check
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.datasets.getting import SOURCES, get, get_rehearsal
from kaggle_digits.datasets.loading import load
from kaggle_digits.datasets.near_copies import NEAR
from kaggle_digits.datasets.taking import DownloadResult

__all__ = [
    "NEAR",
    "SOURCES",
    "Dataset",
    "DownloadResult",
    "Report",
    "SplitReport",
    "Splits",
    "check",
    "get",
    "get_rehearsal",
    "load",
]
