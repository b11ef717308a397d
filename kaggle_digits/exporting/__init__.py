"""Models that travel: a run's models in the formats that other programs read, and back again.

One format, one file. What is written is opened again in a fresh process and compared before it
counts (`writing`); `open_model` takes any of the formats back.
"""

from kaggle_digits.exporting.opening import FORMATS, find, open_model
from kaggle_digits.exporting.predictor import Predictor
from kaggle_digits.exporting.writing import Export, export

__all__ = ["FORMATS", "Export", "Predictor", "export", "find", "open_model"]
