"""``bn20-original``: the code of the source, unchanged.

It normalises over axis 1, which is the row and not the channel of channels-last images. Its text
promises SELU, its code uses ReLU. This recipe keeps what the code does, because it is the baseline
of the other recipes.
"""

from functools import partial

from kaggle_digits.recipes import bn20
from kaggle_digits.recipes.recipe import SPLIT, Recipe, Training

RECIPE = Recipe(
    name="bn20-original",
    summary="the source, unchanged",
    source=bn20.RECIPE.source,
    measured=f"0.99071 on 20 % held out of {SPLIT}, one seed",
    relative_time=8.0,
    network=partial(bn20.network, normalised_axis=1, momentum=0.99),
    training=Training(
        optimizer="rmsprop", learning_rate=1e-3, schedule="constant", batch_size=64, epochs=50
    ),
)
