"""From train.csv to a leaderboard-ready CSV for Kaggle's digit-recognizer competition."""

__version__ = "0.2.0"
