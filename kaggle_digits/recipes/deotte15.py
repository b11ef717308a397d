"""``deotte15``: the network of the best public score, an ensemble of fifteen. A baseline.

Fifteen of them are ``cv --recipe deotte15 --folds 5 --seeds 3``. The source trains each on 90 % of
the images and draws one zoom for the width and another for the height; here it is one for both.
"""

from typing import Any

from kaggle_digits.backend import start_keras
from kaggle_digits.recipes.recipe import SPLIT, Recipe, Training, sequential
from kaggle_digits.transforms.affine import Affine


def network() -> Any:
    """Build the model, 327,242 parameters, with strided convolutions instead of pooling."""
    layers = start_keras().layers

    def convolution(filters: int, size: int, **options: Any) -> list[Any]:
        return [
            layers.Conv2D(filters, size, activation="relu", **options),
            layers.BatchNormalization(),
        ]

    def stage(filters: int) -> list[Any]:
        return [
            *convolution(filters, 3),
            *convolution(filters, 3),
            *convolution(filters, 5, strides=2, padding="same"),
            layers.Dropout(0.4),
        ]

    return sequential(
        (28, 28, 1),
        [
            *stage(32),
            *stage(64),
            *convolution(128, 4),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ],
    )


RECIPE = Recipe(
    name="deotte15",
    summary="the reference of the record",
    source="a public Kaggle notebook by Chris Deotte: 0.99757 on the leaderboard with 15 of them",
    measured=f"0.99633 out-of-fold: 5 folds on {SPLIT}, seed 0",
    relative_time=12.0,
    network=network,
    training=Training(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.95,
        batch_size=64,
        epochs=45,
        augmentation=Affine(rotation=10, shift=0.1, zoom=0.1),
    ),
)
