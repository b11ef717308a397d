"""Train: one model, the folds of a run, and the plan that a time budget allows."""
