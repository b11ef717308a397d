"""``record-width``, trained with AdamW instead of Muon, as it was first."""

from dataclasses import replace

from kaggle_digits.recipes import record_width

RECIPE = replace(
    record_width.RECIPE,
    name="record-width-adamw",
    training=replace(record_width.RECIPE.training, optimizer="adamw"),
)
