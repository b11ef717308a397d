"""Judge probabilities against labels, and combine the probabilities of several models."""

from kaggle_digits.evaluation.metrics import (
    Bin,
    Calibration,
    Floats,
    Integers,
    Scores,
    WorstImage,
    accuracy,
    calibration,
    certain,
    check_labels,
    check_probabilities,
    cross_table,
    errors,
    log_loss,
    scores,
    worst,
)

__all__ = [
    "Bin",
    "Calibration",
    "Floats",
    "Integers",
    "Scores",
    "WorstImage",
    "accuracy",
    "calibration",
    "certain",
    "check_labels",
    "check_probabilities",
    "cross_table",
    "errors",
    "log_loss",
    "scores",
    "worst",
]
