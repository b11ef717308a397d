"""Export a run's models into formats of other programs, and open such files.

One format, one file. `writing` keeps an export only if a fresh process opens it and predicts the
same; `open_model` opens any of the formats.
"""

from kaggle_digits.exporting.opening import FORMATS, find, open_model
from kaggle_digits.exporting.predictor import Predictor
from kaggle_digits.exporting.writing import Export, export

__all__ = ["FORMATS", "Export", "Predictor", "export", "find", "open_model"]
