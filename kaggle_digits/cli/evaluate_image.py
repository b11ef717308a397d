"""Show one image and its ten probabilities, for ``evaluate --show``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kaggle_digits.cli import printing
from kaggle_digits.terminal_text import escape_lines, plain

if TYPE_CHECKING:
    from kaggle_digits.datasets.dataset import Images
    from kaggle_digits.runs import Run
    from kaggle_digits.runs.predictions import Prediction


def show(run: "Run", split: str, image_id: int, data: Path, *, as_json: bool) -> None:
    """Print one image and the run's prediction; draw both into the run's plots/."""
    from kaggle_digits import plots
    from kaggle_digits.runs import predictions

    prediction = predictions.find_image(run, split, image_id)
    image = _image(run, split, image_id, data)
    path = None
    if image is not None:
        path = plots.draw_answer(run, prediction, image, split)
    names = run.class_names
    label = None if prediction.label is None else names[prediction.label]
    if as_json:
        printing.print_json(
            {
                "id": prediction.id,
                "split": split,
                "label": label,
                "predicted": names[prediction.predicted],
                "probabilities": dict(zip(names, prediction.probabilities.tolist(), strict=True)),
                "picture": path and str(path),
            }
        )
        return
    if image is not None:
        from kaggle_digits.cli import terminal_image

        print(terminal_image.picture(image, sys.stdout))
    for line in _bars(prediction, tuple(map(plain, run.class_names))):
        print(line)
    if path is not None:
        print(f"\ndrawn      {path}")


def _image(run: "Run", split: str, image_id: int, data: Path) -> "Images | None":
    """Return the image's pixels; None, with a note on stderr, if the run's data is missing."""
    import numpy as np

    from kaggle_digits import datasets
    from kaggle_digits.errors import InputError
    from kaggle_digits.training import run_images

    try:
        images = run_images.select_run_images(run, datasets.load(data), split)
    except InputError as error:
        typer.echo(f"No picture: {escape_lines(str(error))}", err=True)
        return None
    return images.take(np.flatnonzero(images.ids == image_id)).images[0, ...]


def _bars(prediction: "Prediction", names: tuple[str, ...]) -> Iterator[str]:
    from kaggle_digits.cli import terminal_image

    label = "unknown" if prediction.label is None else names[prediction.label]
    verdict = {True: ", correct", False: ", wrong"}.get(prediction.predicted == prediction.label)
    yield f"image      {prediction.id}"
    yield f"label      {label}"
    verdict = "" if prediction.label is None else verdict
    yield f"predicted  {names[prediction.predicted]}{verdict}\n"
    width = max(map(len, names))
    for number, (name, share) in enumerate(zip(names, prediction.probabilities, strict=True)):
        notes = [
            note
            for note, at in (("label", prediction.label), ("predicted", prediction.predicted))
            if at == number
        ]
        bar = terminal_image.bar(float(share))
        yield f"{name:>{width}}  {share:.4f}  {bar}  {', '.join(notes)}".rstrip()
