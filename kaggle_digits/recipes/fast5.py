"""``fast5``: `fast` with twice the channels and more epochs, for a minute or two."""

from dataclasses import replace
from functools import partial

from kaggle_digits.recipes import fast
from kaggle_digits.recipes.recipe import SPLIT, Recipe

STAGES: tuple[fast.Stage, ...] = ((32, 5, True), (64, 3, False), (128, 3, True), (128, 3, False))
RECIPE = Recipe(
    name="fast5",
    summary="fast with twice the channels",
    source="this project: the recipe closest to 99.5 % in a tenth of bn20-original's time",
    measured=f"0.99619 ± 0.00069 on 20 % held out of {SPLIT}, five seeds",
    relative_time=0.63,
    network=partial(fast.network, STAGES),
    training=replace(fast.RECIPE.training, optimizer="adamw", epochs=8, learning_rate=1e-2),
)
