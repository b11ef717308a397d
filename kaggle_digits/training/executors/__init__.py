"""Where the folds of a run are trained."""
