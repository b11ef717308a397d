"""Plans whose errors were measured, and which of them is most like another plan."""

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

    @property
    def standard_error(self) -> float:
        """Binomial standard error of ``errors``."""
        return math.sqrt(self.errors * (1 - self.errors / MEASURED_IMAGES))


MEASURED = (
    Measured(MEMBERS[:1], self_training=False, folds=4, epochs=8, errors=145),
    Measured(MEMBERS[:2], self_training=False, folds=4, epochs=8, errors=123),
    Measured(MEMBERS[:1], self_training=False, folds=5, epochs=15, errors=129),
    Measured(MEMBERS[:2], self_training=False, folds=5, epochs=15, errors=124),
    Measured(MEMBERS[:3], self_training=False, folds=5, epochs=15, errors=118),
    Measured(MEMBERS[:4], self_training=False, folds=5, epochs=15, errors=114),
    Measured(("record-5", "record-width"), self_training=True, folds=4, epochs=8, errors=124),
)
MEASURED_IMAGES = 42_000


def find_measured(plan: Plan, images: int) -> Measured | None:
    """Return the measured plan that is most like ``plan``; None if none is.

    It has the same members and rounds, and no more folds and epochs than ``plan``. If several were
    measured, it is the one with the most epochs.

    Args:
        plan: a plan for ``images`` training images.
        images: number of training images.

    """
    if images != MEASURED_IMAGES or plan.seeds != 1:
        return None
    alike = [
        found
        for found in MEASURED
        if (found.members, found.self_training) == (plan.members, plan.self_training)
        and found.folds <= plan.folds
        and found.epochs <= plan.epochs
    ]
    return max(alike, key=lambda found: found.epochs, default=None)
