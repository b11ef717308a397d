"""Refuse settings of a new training that cannot train: shifts of three images, no epochs.

Only what a user names is checked, not the recipes that finished runs keep.
"""

from collections.abc import Callable, Iterator

from kaggle_digits.recipes.recipe import Recipe
from kaggle_digits.recipes.space import Choice

Limits = dict[str, tuple[Callable[[float], bool], str]]

AT_LEAST_0 = (lambda value: value >= 0, "0 or more")
AT_LEAST_1 = (lambda value: value >= 1, "1 or more")
ABOVE_0 = (lambda value: value > 0, "a number above 0")
BELOW_1 = (lambda value: 0 <= value < 1, "0 to below 1")
TRAINING_LIMITS: Limits = {
    "learning_rate": ABOVE_0,
    "warmup_epochs": AT_LEAST_0,
    "batch_size": AT_LEAST_1,
    "epochs": AT_LEAST_1,
    "final_epochs_without_augmentation": AT_LEAST_0,
    "mixup": AT_LEAST_0,
    "label_smoothing": BELOW_1,
    "weight_decay": AT_LEAST_0,
    "batch_splits": AT_LEAST_1,
    "batch_norm_momentum": BELOW_1,
}
AFFINE_LIMITS: Limits = {
    "shift": (lambda value: abs(value) <= 1, "at most 1, a share of the image"),
    "zoom": (lambda value: abs(value) < 1, "below 1, a share of the scale"),
    "shear": (lambda value: abs(value) < 90, "below 90 degrees"),  # noqa: PLR2004
}


def find_fault(recipe: Recipe) -> str | None:
    """Return which setting of the recipe or end of its space cannot train; None if all can."""
    for found in (recipe, *_list_ends(recipe)):
        training = found.training
        for part, limits in ((training, TRAINING_LIMITS), (training.augmentation, AFFINE_LIMITS)):
            for name, (is_usable, expected) in limits.items():
                value = getattr(part, name, None)
                # No number: no augmentation, no upper limit, or texts in a space.
                if isinstance(value, int | float) and not is_usable(value):
                    return (
                        f"in {type(part).__name__}(…){' or space' if recipe.space else ''}, {name} "
                        f"is {value:g}. Expected {expected}. Change that value."
                    )
    return None


def _list_ends(recipe: Recipe) -> Iterator[Recipe]:
    """Return the recipe with the smallest and with the largest value of each setting in its space.

    Args:
        recipe: a recipe whose space has passed `space.find_fault`.

    """
    for name, dimension in recipe.space.items():
        if isinstance(dimension, Choice):
            values = dimension.options
        else:
            values = (dimension.low, dimension.high)
        for value in values:
            yield recipe.with_settings({name: value})
