"""Score probabilities against labels, and combine the probabilities of several models."""

from kaggle_digits.evaluation.metrics import (
    Bin,
    Calibration,
    Floats,
    Integers,
    Scores,
    WorstImage,
    accuracy,
    calibration,
    check_labels,
    check_probabilities,
    confusion_matrix,
    errors,
    find_worst_images,
    log_loss,
    one_hot,
    scores,
)
from kaggle_digits.evaluation.suspects import find_suspects, write_suspects

__all__ = [
    "Bin",
    "Calibration",
    "Floats",
    "Integers",
    "Scores",
    "WorstImage",
    "accuracy",
    "calibration",
    "check_labels",
    "check_probabilities",
    "confusion_matrix",
    "errors",
    "find_suspects",
    "find_worst_images",
    "log_loss",
    "one_hot",
    "scores",
    "write_suspects",
]
