"""``record-width``: the member of ``record`` for deslanted digits of equal width."""

from dataclasses import replace

from kaggle_digits.recipes import record5
from kaggle_digits.recipes.recipe import SPLIT, Recipe
from kaggle_digits.transforms.deslanting import Deslant

RECIPE: Recipe = replace(
    record5.RECIPE,
    name="record-width",
    summary="record: equal slant, width",
    source="this project: width normalisation as of Ciresan et al. 2012",
    measured=f"0.99655 out-of-fold: 5 folds of 15 epochs on {SPLIT}, seed 0",
    relative_time=2.7,
    training=record5.DISTORTED,
    deslant=Deslant(width=14),
)
