"""The registry of recipes: one network, one file. Adding a network is adding its file to the list.

Importing this does not import Keras.
"""

import difflib

from kaggle_digits.errors import InputError
from kaggle_digits.recipes import (
    bn20,
    bn20_seed,
    bn20_selu,
    cifar_augmented,
    cifar_deep,
    cifar_simple,
    dense,
    deotte15,
    fast,
    fast5,
    one_conv,
    record5,
    record7,
    record_deslanted,
    record_width,
    three_conv,
    two_conv,
)
from kaggle_digits.recipes.recipe import Affine, Recipe, Training

__all__ = ["RECIPES", "Affine", "Recipe", "Training", "find"]

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE
    for module in (
        bn20,
        bn20_seed,
        bn20_selu,
        two_conv,
        three_conv,
        one_conv,
        dense,
        fast,
        fast5,
        record5,
        record7,
        record_deslanted,
        record_width,
        deotte15,
        cifar_simple,
        cifar_deep,
        cifar_augmented,
    )
}


def find(name: str) -> Recipe:
    """Return the recipe called ``name``.

    Raises:
        InputError: there is none; names those that there are.

    """
    if name in RECIPES:
        return RECIPES[name]
    close = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise InputError(f"unknown recipe {name!r}: expected one of {', '.join(RECIPES)}.{hint}")
