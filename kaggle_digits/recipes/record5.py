"""``record-5``: the record's member with kernels of 5 where the digit comes in."""

from dataclasses import replace
from functools import partial

from kaggle_digits.recipes import fast, fast5
from kaggle_digits.recipes.recipe import Affine, Recipe

RECIPE = Recipe(
    name="record-5",
    summary="a member of the record: fast5's layers, dropout, more epochs",
    source="this project: kernels of 3, 5 and 7 side by side, as An et al. 2020 combined them",
    measured="",
    network=partial(fast.network, fast5.STAGES, dropout=0.3),
    training=replace(
        fast.RECIPE.training,
        epochs=20,
        augmentation=Affine(rotation=10, shift=0.08, zoom=0.1, shear=6),
    ),
)
