"""The errors to expect of a plan, from plans that were measured."""

import math
from dataclasses import dataclass

import numpy as np

from kaggle_digits.training.planning import MEMBERS, Plan


@dataclass(frozen=True)
class Measured:
    """Errors of a plan, out-of-fold on the images of `SPLIT` with seed 0 (docs/results.md).

    Attributes:
        members: names of the recipes.
        self_training: whether the second round of them was measured.
        folds: number of folds.
        epochs: number of epochs.
        errors: number of errors in `MEASURED_IMAGES`.

    """

    members: tuple[str, ...]
    self_training: bool
    folds: int
    epochs: int
    errors: int


MEASURED = (
    Measured(MEMBERS[:1], self_training=False, folds=4, epochs=8, errors=178),
    Measured(MEMBERS[:1], self_training=False, folds=5, epochs=16, errors=152),
    Measured(MEMBERS[:2], self_training=False, folds=4, epochs=8, errors=145),
    Measured(MEMBERS[:2], self_training=False, folds=5, epochs=16, errors=132),
    Measured(MEMBERS[:2], self_training=True, folds=4, epochs=8, errors=141),
    Measured(MEMBERS[:3], self_training=False, folds=8, epochs=15, errors=137),
)
MEASURED_IMAGES = 42_000


def expect_errors(plan: Plan, images: int) -> tuple[int, int] | None:
    """Return the out-of-fold errors to expect of a plan, and their binomial standard error.

    They are interpolated over the epochs between measured plans with the same members and as many
    folds or fewer. Epochs beyond the measured ones are expected to gain nothing.

    Args:
        plan: a plan for ``images`` training images.
        images: number of training images.

    Returns:
        The errors in ``images`` images; None if no such plan was measured.

    """
    measured = sorted(
        (
            found
            for found in MEASURED
            if (found.members, found.self_training) == (plan.members, plan.self_training)
            and found.folds <= plan.folds
        ),
        key=lambda found: found.epochs,
    )
    if images != MEASURED_IMAGES or plan.seeds != 1 or not measured:
        return None
    if plan.epochs < measured[0].epochs:
        return None
    epochs = [found.epochs for found in measured]
    errors = float(np.interp(plan.epochs, epochs, [found.errors for found in measured]))
    return round(errors), round(math.sqrt(errors * (1 - errors / images)))
