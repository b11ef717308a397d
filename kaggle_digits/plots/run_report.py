"""Draw all plots of a finished run into its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import datasets, evaluation
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Floats, Integers, WorstImage
from kaggle_digits.plots import canvas, diagnostics, learning_curves
from kaggle_digits.runs import Run
from kaggle_digits.runs.predictions import Prediction, read_out_of_fold
from kaggle_digits.training import run_images
from kaggle_digits.training.history import read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

FOLDER = "plots"
WORST = 24  # images
MAX_SUSPECTS = 60  # images in their plot


@dataclass(frozen=True)
class Drawn:
    """The plots of a run.

    Attributes:
        written: the written files, PNG and SVG of each plot.
        left_out: the plots that could not be drawn, each with the reason.

    """

    written: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...]


def draw_run(run: Run, data: Path) -> Drawn:
    """Write the plots of ``run`` as PNG and SVG into its ``plots/``.

    Args:
        run: a finished run.
        data: the folder with its training images.

    Returns:
        The written files, and the plots that could not be drawn.

    Raises:
        InputError: the run is not finished, or a plot cannot be written.

    """
    run.require_finished()
    figures: dict[str, Callable[[], Figure]] = {
        "learning-curves": lambda: _learning_curves(run),
        "confusion": lambda: _confusion(run),
        "reliability": lambda: _reliability(run),
        "worst-images": lambda: _worst_images(run, data),
    }
    written, left_out = [], []
    for name, figure_of in figures.items():
        try:
            figure = figure_of()
        except InputError as error:
            left_out.append((name, str(error)))
            continue
        for suffix in (".png", ".svg"):
            written.append(run.inside(f"{FOLDER}/{name}{suffix}"))
            canvas.save(written[-1], figure)
    return Drawn(tuple(written), tuple(left_out))


def _held_out(run: Run) -> tuple[Floats, Integers, Integers]:
    """Return probabilities, labels and ids of the held-out images."""
    oof = read_out_of_fold([run])
    if oof is None:
        raise InputError("the run has no held-out images")
    return oof.probabilities[0], oof.labels, oof.ids


def _learning_curves(run: Run) -> "Figure":
    settings = run.settings
    paths = [run.fold(number) / "history.csv" for number in range(1, settings.members + 1)]
    histories = [read_history(path) for path in paths]
    if len(set(map(len, histories))) != 1 or not histories[0]:
        raise InputError("the folds' history.csv have different numbers of epochs, or none")
    harder = {
        "augmented images": settings.training.augmentation is not None,
        "blended images": settings.training.mixup > 0,
        "smoothed labels": settings.training.label_smoothing > 0,
    }
    words = " and ".join(name for name, is_so in harder.items() if is_so)
    note = words and (
        f"Training uses {words}, validation does not, so the training loss is usually higher."
    )
    return learning_curves.learning_curves(histories, note)


def _confusion(run: Run) -> "Figure":
    probabilities, labels, _ = _held_out(run)
    table = evaluation.confusion_matrix(probabilities, labels, run.class_names)
    return diagnostics.confusion(table.to_numpy(), run.class_names, "held-out images")


def _reliability(run: Run) -> "Figure":
    probabilities, labels, _ = _held_out(run)
    calibration = evaluation.calibration(probabilities, labels)
    return diagnostics.reliability(calibration, f"{len(labels):,} held-out images")


def _worst_images(run: Run, data: Path) -> "Figure":
    probabilities, labels, ids = _held_out(run)
    worst = evaluation.find_worst_images(probabilities, labels, ids, WORST)
    return _images(run, data, worst, f"{len(ids):,} held-out images")


def _images(run: Run, data: Path, scored: "Sequence[WorstImage]", what: str) -> "Figure":
    images = run_images.select_run_images(run, datasets.load(data), "train")
    shown = [(image, images.images[images.ids == image.id][0]) for image in scored]
    return diagnostics.worst_images(shown, run.class_names, what)


def draw_suspects(run: Run, suspects: "Sequence[WorstImage]", data: Path, path: Path) -> None:
    """Write a plot of the first of ``suspects``, at most `MAX_SUSPECTS`, to ``path``.

    Args:
        run: a finished run.
        suspects: from `evaluation.find_suspects` on the run, at least one.
        data: the folder with the run's training images.
        path: a PNG or SVG file.

    Raises:
        InputError: the data is not the run's, or the file cannot be written.

    """
    what = f"{len(suspects):,} images whose label is contradicted"
    canvas.save(path, _images(run, data, suspects[:MAX_SUSPECTS], what))


def draw_answer(run: Run, prediction: Prediction, image: canvas.Pixels, split: str) -> Path:
    """Write a plot of one image and the prediction of ``run``; return its path.

    Raises:
        InputError: it cannot be written.

    """
    path = run.inside(f"{FOLDER}/{split}-image-{prediction.id}.png")
    kind = "held-out image" if split == "train" else "test image"
    what = f"Prediction of the run {run.folder.resolve().name} for a {kind}"
    canvas.save(path, diagnostics.answer(prediction, image, run.class_names, what))
    return path
