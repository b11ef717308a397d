"""The errors to expect of a plan, from plans that were measured."""

import math
from dataclasses import dataclass

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
    Measured(MEMBERS[:1], self_training=False, folds=4, epochs=8, errors=158),
    Measured(MEMBERS[:2], self_training=False, folds=4, epochs=8, errors=138),
)
MEASURED_IMAGES = 42_000


def expect_errors(plan: Plan, images: int) -> tuple[int, int] | None:
    """Return the out-of-fold errors to expect of a plan, and their binomial standard error.

    They are those of the measured plan with the same members and the most epochs, among those with
    no more folds and epochs. Epochs and folds beyond it are expected to gain nothing.

    Args:
        plan: a plan for ``images`` training images.
        images: number of training images.

    Returns:
        The errors in ``images`` images; None if no such plan was measured.

    """
    if images != MEASURED_IMAGES or plan.seeds != 1:
        return None
    smaller = [
        found
        for found in MEASURED
        if (found.members, found.self_training) == (plan.members, plan.self_training)
        and found.folds <= plan.folds
        and found.epochs <= plan.epochs
    ]
    if not smaller:
        return None
    errors = max(smaller, key=lambda found: found.epochs).errors
    return errors, round(math.sqrt(errors * (1 - errors / images)))
