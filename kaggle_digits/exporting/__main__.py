"""The fresh process of `comparing`: ``python -m kaggle_digits.exporting MODEL IMAGES ANSWERS``."""

import sys
from pathlib import Path

import numpy as np

from kaggle_digits.errors import KaggleDigitsError
from kaggle_digits.exporting.opening import opened


def main(model: str, images: str, answers: str) -> None:
    """Write the probabilities that the exported ``model`` gives for the ``images``, both .npy."""
    received = np.load(images, allow_pickle=False)
    np.save(answers, opened(Path(model)).probabilities(received), allow_pickle=False)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KaggleDigitsError as failure:
        sys.exit(str(failure))
