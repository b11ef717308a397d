"""``record-width``, trained with Muon instead of AdamW."""

from dataclasses import replace

from kaggle_digits.recipes import record_width

RECIPE = replace(
    record_width.RECIPE,
    name="record-width-muon",
    training=replace(record_width.RECIPE.training, optimizer="muon"),
)
