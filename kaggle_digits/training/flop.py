"""Count the FLOP of a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kaggle_digits.recipes import find


def count_flop(network: Any) -> float:
    """Return the FLOP of training on one image.

    That is three passes: forward, gradient of the weights, gradient of the inputs.
    """
    return 3.0 * count_forward_flop(network)


def count_forward_flop(network: Any) -> int:
    """Return the FLOP of predicting one image: two operations for each multiply-add.

    Only the layers Conv2D and Dense count, also in nested models, but not inside of custom layers.
    """
    multiply_adds, nested = 0, 0
    for layer in network.layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            nested += count_forward_flop(layer)
        elif kind == "Conv2D":
            places = int(np.prod(layer.output.shape[1:3]))
            multiply_adds += places * int(np.prod(layer.kernel.shape))
        elif kind == "Dense":
            multiply_adds += int(np.prod(layer.kernel.shape))
    return 2 * multiply_adds + nested


def count_flop_of_members(members: Sequence[str]) -> dict[str, float]:
    """Return the FLOP of training each member on one image, by the member's name."""
    find(members[0]).training.start_keras()
    return {name: count_flop(find(name).network()) for name in members}
