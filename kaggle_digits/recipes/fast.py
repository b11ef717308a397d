"""``fast``: four narrow convolutions that reach the source notebook's accuracy in seconds."""

from collections.abc import Sequence
from typing import Any

from kaggle_digits.backend import start_keras
from kaggle_digits.recipes.recipe import SPLIT, Recipe, Training, sequential
from kaggle_digits.transforms.affine import Affine

Stage = tuple[int, int, bool]  # channels, kernel size, pooled
STAGES: tuple[Stage, ...] = ((16, 5, True), (32, 3, False), (64, 3, True), (64, 3, False))


def network(stages: Sequence[Stage] = STAGES, dropout: float = 0.0) -> Any:
    """Build convolutions without padding, with pooling before the normalisation.

    Pooling first leaves a quarter of the numbers to normalise and to activate.

    Args:
        stages: channels, kernel size and whether it is pooled, of each convolution.
        dropout: rate before the last layer.

    """
    layers = start_keras().layers

    def convolution(channels: int, size: int, *, pooled: bool) -> list[Any]:
        return [
            layers.Conv2D(channels, size, use_bias=False),
            *([layers.MaxPooling2D(2)] if pooled else []),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]

    inner = [layer for c, size, pooled in stages for layer in convolution(c, size, pooled=pooled)]
    rest = [layers.Dropout(dropout)] if dropout else []
    answer = layers.Dense(10, activation="softmax")
    return sequential((28, 28, 1), [*inner, layers.Flatten(), *rest, answer])


RECIPE = Recipe(
    name="fast",
    summary="four narrow convolutions",
    source="this project: what comes nearest to 99.2 % in a fiftieth of bn20-original's time",
    measured=f"0.99331 ± 0.00034 on 20 % held out of {SPLIT}, five seeds",
    relative_time=0.07,
    network=network,
    training=Training(
        optimizer="muon",
        learning_rate=3e-2,
        schedule="cosine",
        warmup_epochs=0.5,
        batch_size=128,
        epochs=2,
        augmentation=Affine(rotation=8, shift=0.07, zoom=0.08, shear=4),
        label_smoothing=0.05,
        precision="auto",
        batch_splits=2,
    ),
)
