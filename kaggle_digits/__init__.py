"""From train.csv to a leaderboard-ready CSV for Kaggle's digit-recognizer competition."""

__version__ = "0.1.0"
