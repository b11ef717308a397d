"""Plots: one family, one file. matplotlib is imported inside the functions."""

from kaggle_digits.plots.canvas import require_png, save
from kaggle_digits.plots.data import augmentation, classes, first_images
from kaggle_digits.plots.disputed import disputed_digits
from kaggle_digits.plots.run_report import Drawn, draw_answer, draw_run, draw_suspects

__all__ = [
    "Drawn",
    "augmentation",
    "classes",
    "disputed_digits",
    "draw_answer",
    "draw_run",
    "draw_suspects",
    "first_images",
    "require_png",
    "save",
]
