"""``python -m kaggle_digits`` is ``kaggle-digits``."""

from kaggle_digits.cli import main

main()
