"""The registry of recipes: one file per network. Add a network by adding its file to the list.

Importing this module does not import Keras.
"""

from pathlib import Path

from kaggle_digits.errors import InputError
from kaggle_digits.recipes import (
    bn20,
    bn20_original,
    bn20_selu,
    cifar_augmented,
    cifar_deep,
    cifar_simple,
    dense,
    deotte15,
    fast,
    fast5,
    finding,
    limits,
    loading,
    one_conv,
    record5,
    record7,
    record_deslanted,
    record_width,
    three_conv,
    trust,
    two_conv,
)
from kaggle_digits.recipes.recipe import Recipe, Training, rename_old_settings
from kaggle_digits.recipes.space import Choice, Integer, Real
from kaggle_digits.transforms.affine import Affine

__all__ = [
    "ALIASES",
    "RECIPES",
    "Affine",
    "Choice",
    "Integer",
    "Real",
    "Recipe",
    "Training",
    "find",
    "find_built_in",
    "finding",
    "loading",
    "rename_old_settings",
    "require_reproducible",
    "trust",
]

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE
    for module in (
        bn20,
        bn20_original,
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


# Names that a recipe had in earlier versions; runs and scripts still use them.
ALIASES = {"bn20-seed": "bn20-original"}


def find(name: str | Path) -> Recipe:
    """Find a recipe by its name, in a Python file, or in an installed package.

    Args:
        name: the name of a recipe that is built in or that an installed package registers; the path
            of a Python file that defines ``RECIPE``; or ``package.module:NAME``.

    Raises:
        InputError: there is no such recipe, or its file is wrong. The message lists the recipes.

    Example:
        >>> kd.find_recipe("bn20").training.optimizer
        'rmsprop'

    """
    if not isinstance(name, str | Path):
        raise InputError(
            f"received {type(name).__name__} instead of a recipe's name. Expected one of "
            f"{', '.join(RECIPES)}, or the path of a Python file that defines RECIPE."
        )
    name = str(name)
    return finding.find(ALIASES.get(name, name), RECIPES)


def find_built_in(name: str) -> Recipe:
    """Return the built-in recipe called ``name``, without importing or running any file.

    Use it for names read from a file, and `find` for names that the user typed.

    Raises:
        InputError: no built-in recipe has that name.

    """
    name = ALIASES.get(name, name)
    if name not in RECIPES:
        raise InputError(
            f"the recipe {name!r} is not built in. Expected one of {', '.join(RECIPES)}, or a run "
            "with the recipe's own Python file."
        )
    return RECIPES[name]


def require_reproducible(recipe: Recipe) -> None:
    """Raise unless a run can find the network of ``recipe`` again: built in, or by its program.

    Raises:
        InputError: the recipe was put together in Python, with another network, deslanting or name
            than a built-in recipe or a recipe's file, or its settings are wrong.

    """
    original = RECIPES.get(recipe.name)
    if recipe.program is not None and recipe.file is not None:
        original = loading.run_program(recipe.program, recipe.file)
    kept = ("name", "network", "deslant", "image_shape")
    if not original or any(getattr(recipe, of) != getattr(original, of) for of in kept):
        raise InputError(
            f"the recipe {recipe.name!r} was put together in Python, so a run could not find "
            "its network again. Expected the name of a recipe, or a Python file that defines "
            "RECIPE. In a notebook, write one with %%writefile my_net.py and pass 'my_net.py'."
        )
    if fault := loading.find_training_fault(recipe.training) or limits.find_fault(recipe):
        raise InputError(f"the recipe {recipe.name!r}: {fault}")
