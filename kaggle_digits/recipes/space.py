"""Say between which values `search` looks for a better setting. Imports nothing heavy."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from typing import TYPE_CHECKING, Any

from kaggle_digits.transforms.affine import Affine

if TYPE_CHECKING:
    from kaggle_digits.recipes.recipe import Training

AUGMENTATION = "augmentation."
PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class Real:
    """Any number between two limits.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether to look evenly over the logarithm, as fits a learning rate.

    Example:
        >>> kd.Real(1e-4, 1e-2, log=True).log
        True

    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Integer:
    """Any whole number between two limits, both included.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether to look evenly over the logarithm.

    Example:
        >>> kd.Integer(16, 64).high
        64

    """

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values, in no order.

    Attributes:
        options: the values: numbers, texts or booleans.

    Example:
        >>> kd.Choice(("adam", "rmsprop")).options
        ('adam', 'rmsprop')

    """

    options: tuple[Any, ...]


Dimension = Real | Integer | Choice
Space = Mapping[str, Dimension]


def default_space(training: "Training") -> dict[str, Dimension]:
    """Return the space of a recipe that declares none: settings of its training."""
    rate, batch = training.learning_rate, training.batch_size
    space: dict[str, Dimension] = {
        "learning_rate": Real(rate / 5, rate * 5, log=True),
        "batch_size": Choice((batch // 2, batch, 2 * batch)),
        "label_smoothing": Real(0.0, 0.15),
        f"{AUGMENTATION}rotation": Real(0.0, 20.0),
        f"{AUGMENTATION}shift": Real(0.0, 0.2),
        f"{AUGMENTATION}zoom": Real(0.0, 0.2),
    }
    return space


def find_fault(space: Any, network: Callable[..., Any]) -> str | None:
    """Return what is wrong with a recipe's space, in words; None if nothing is.

    Args:
        space: the value of `Recipe.space`.
        network: the recipe's network, whose keyword arguments are settings too.

    """
    if not isinstance(space, Mapping):
        return f"space is a {type(space).__name__}, expected a dict of names and ranges"
    known = list_settings(network)
    for name, dimension in space.items():
        if known is not None and name not in known:
            return (
                f"space names {name!r}, expected a setting of Training (learning_rate, …), of the "
                "augmentation (augmentation.rotation, …) or a keyword argument of the network"
            )
        if fault := _find_dimension_fault(dimension):
            return f"space[{name!r}] {fault}"
    return None


def _find_dimension_fault(dimension: Any) -> str | None:
    if isinstance(dimension, Choice):
        options: Any = dimension.options
        plain = isinstance(options, list | tuple) and all(
            isinstance(value, PLAIN) for value in options
        )
        if not plain or len(set(options)) < 2:  # noqa: PLR2004 — one is no choice
            return f"needs a tuple of two or more numbers or texts, received {options!r}"
        return None
    if not isinstance(dimension, Real | Integer):
        return f"is {dimension!r}, expected Real, Integer or Choice"
    low, high = dimension.low, dimension.high
    if isinstance(dimension, Integer) and not (
        isinstance(low, Integral) and isinstance(high, Integral)
    ):
        return f"goes from {low} to {high}, expected whole numbers"
    if not -math.inf < low < high < math.inf or (dimension.log and low <= 0):
        return f"goes from {low} to {high}, expected two growing numbers, above 0 for log=True"
    return None


def list_settings(network: Callable[..., Any]) -> set[str] | None:
    """Return the names that settings may have; None if the network takes any keyword."""
    from kaggle_digits.recipes.recipe import Training

    parameters = inspect.signature(network).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {
        *(field.name for field in fields(Training) if field.name != "augmentation"),
        *(f"{AUGMENTATION}{field.name}" for field in fields(Affine)),
        *(parameter.name for parameter in parameters),
    }
