"""Run a model for `comparing`: ``-m kaggle_digits.exporting MODEL IMAGES ANSWERS [RECIPE]``."""

import sys
from pathlib import Path

import numpy as np

from kaggle_digits.backend import reserve_process
from kaggle_digits.errors import KaggleDigitsError
from kaggle_digits.exporting.opening import open_model
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.recipes.loading import load_file

IMAGES = Form("uint8", ("images", "height", "width", "channels"))


def main(model: str, images: str, answers: str, recipe: str | None = None) -> None:
    """Write the probabilities of the exported ``model`` for ``images`` to ``answers`` (.npy).

    ``recipe`` is a trusted Python file that registers the model's custom layers.
    """
    if recipe is not None:
        load_file(Path(recipe))
    received = read_array(Path(images), IMAGES, advice="Run `export` again.")
    # Trusted, because the parent process has just written it.
    predictor = open_model(Path(model), trust=True)
    np.save(answers, predictor.probabilities(received), allow_pickle=False)


if __name__ == "__main__":
    reserve_process()
    try:
        main(*sys.argv[1:])
    except KaggleDigitsError as failure:
        sys.exit(str(failure))
