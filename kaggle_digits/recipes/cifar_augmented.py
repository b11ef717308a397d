"""``cifar-augmented``: `cifar-deep` fed with turned, shifted, zoomed and mirrored images."""

from dataclasses import replace

from kaggle_digits.recipes import cifar_deep
from kaggle_digits.recipes.recipe import Affine, Recipe

RECIPE = Recipe(
    name="cifar-augmented",
    summary="cifar-deep fed with turned, shifted, zoomed and mirrored images",
    source=cifar_deep.RECIPE.source.replace("more than 80 %", "cifar-deep with augmentation"),
    measured="",
    network=cifar_deep.network,
    image_shape=cifar_deep.RECIPE.image_shape,
    training=replace(
        cifar_deep.RECIPE.training,
        augmentation=Affine(rotation=40, shift=0.2, zoom=0.2, flip=True, fill="nearest"),
    ),
)
