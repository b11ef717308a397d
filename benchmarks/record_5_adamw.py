"""``record-5``, trained with AdamW instead of Muon, as it was first."""

from dataclasses import replace

from kaggle_digits.recipes import record5

RECIPE = replace(
    record5.RECIPE,
    name="record-5-adamw",
    training=replace(record5.RECIPE.training, optimizer="adamw"),
)
