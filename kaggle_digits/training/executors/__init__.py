"""Executors: where the folds of a run are trained."""
