"""A small network with the settings of many a tutorial, for `search` to improve.

kaggle-digits search --recipe benchmarks/small_net.py --folds 3 --trials 40
"""

from typing import Any

import kaggle_digits as kd


def network(first: int = 16, second: int = 32, units: int = 64, dropout: float = 0.0) -> Any:
    """Build two convolutions of 5×5, each with pooling, and two dense layers."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(first, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(second, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(units, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )


RECIPE = kd.Recipe(
    name="small-net",
    summary="two convolutions of 5×5",
    network=network,
    training=kd.Training(optimizer="adam", learning_rate=1e-3, batch_size=128, epochs=8),
    space={
        "learning_rate": kd.Real(3e-4, 1e-2, log=True),
        "schedule": kd.Choice(("constant", "cosine")),
        "batch_size": kd.Choice((64, 128, 256)),
        "label_smoothing": kd.Real(0.0, 0.15),
        "augmentation.rotation": kd.Real(0.0, 15.0),
        "augmentation.shift": kd.Real(0.0, 0.12),
        "augmentation.zoom": kd.Real(0.0, 0.15),
        "units": kd.Integer(32, 256, log=True),
        "dropout": kd.Real(0.0, 0.5),
    },
)
