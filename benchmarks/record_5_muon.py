"""``record-5``, trained with Muon instead of AdamW."""

from dataclasses import replace

from kaggle_digits.recipes import record5

RECIPE = replace(
    record5.RECIPE,
    name="record-5-muon",
    training=replace(record5.RECIPE.training, optimizer="muon"),
)
