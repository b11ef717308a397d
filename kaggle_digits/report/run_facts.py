"""Gather the facts about one run. Starts Keras only to count FLOP."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kaggle_digits import evaluation
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Bin, Scores, WorstImage
from kaggle_digits.formats.arrays import read_array
from kaggle_digits.kaggle_client.ledger import find_best_score
from kaggle_digits.runs import Run
from kaggle_digits.runs.predictions import read_out_of_fold
from kaggle_digits.training import run_images, splitting
from kaggle_digits.training.history import Epoch, read_history

if TYPE_CHECKING:
    from kaggle_digits.evaluation import Floats, Integers
    from kaggle_digits.kaggle_client.ledger import Entry

MAX_WORST = 24  # images
MAX_CELL_IMAGES = 24  # images per cell of the confusion matrix


@dataclass(frozen=True)
class CellImage:
    """An image in a cell of the confusion matrix, and the probability of its label."""

    id: int
    probability_of_label: float


@dataclass(frozen=True)
class Cell:
    """The images with one label and one prediction.

    Attributes:
        label: index of the class.
        predicted: index of the class.
        count: number of images.
        images: the least certain images, at most `MAX_CELL_IMAGES`.

    """

    label: int
    predicted: int
    count: int
    images: tuple[CellImage, ...]


@dataclass(frozen=True)
class Answer:
    """The prediction of a run for an image that it held out."""

    run: str
    predicted: int
    probability: float


@dataclass(frozen=True)
class HeldOut:
    """The evaluation of a run on its held-out images.

    Attributes:
        scores: accuracy, log loss, errors.
        calibration_error: expected calibration error, 0-1.
        bins: bins of the calibration.
        class_counts: number of held-out images of each class.
        cells: the non-empty cells of the confusion matrix.
        worst: the images with the lowest probability of their label.

    """

    scores: Scores
    calibration_error: float
    bins: tuple[Bin, ...]
    class_counts: tuple[int, ...]
    cells: tuple[Cell, ...]
    worst: tuple[WorstImage, ...]


@dataclass(frozen=True)
class RunFacts:
    """All facts about one finished run.

    Attributes:
        run: its folder, as the user gave it.
        recipe: name of its recipe.
        source: source of its data.
        models: number of models: folds × seeds.
        epochs: number of epochs of each model.
        started: time of its start, UTC, ISO 8601.
        seconds: training time in seconds, without interruptions; None if unknown.
        flop: FLOP of training, forward and backward; None if the models cannot be opened.
        train_images: number of training images; None if unknown.
        test_images: number of test images.
        test_fingerprint: SHA-256 of the test images.
        test_images_in_train: number of test images among the training images; None if unknown.
        pseudo_labelled_images: smallest number of test images that a model is trained on.
        class_counts: training images of each class; None without the data.
        class_names: class names in the order of the labels.
        public_score: best public leaderboard score; None if there is none.
        gap: leaderboard score minus out-of-fold accuracy; None if one of them is missing.
        held_out: evaluation on the held-out images; None if there are none.
        histories: the epochs of each model.
        command: the command that repeats the run.
        environment: versions and machine at its start.
        has_images: whether its training images are shown.
        left_out: what could not be shown, each with the reason.

    """

    run: str
    recipe: str
    source: str | None
    models: int
    epochs: int
    started: str
    seconds: float | None
    flop: float | None
    train_images: int | None
    test_images: int
    test_fingerprint: str
    test_images_in_train: int | None
    pseudo_labelled_images: int
    class_counts: tuple[int, ...] | None
    class_names: tuple[str, ...]
    public_score: float | None
    gap: float | None
    held_out: HeldOut | None
    histories: tuple[tuple[Epoch, ...], ...]
    command: str
    environment: dict[str, Any]
    has_images: bool
    left_out: tuple[str, ...]


def gather_run(
    run: Run, splits: Splits | None, entries: "Sequence[Entry]", *, count_flop: bool
) -> RunFacts:
    """Return the facts about ``run``.

    Args:
        run: a finished run.
        splits: the data; None if there is none. Ignored unless the run was trained on it.
        entries: entries of the ledger of submissions.
        count_flop: whether to count FLOP, which opens a model and starts Keras.

    Raises:
        InputError: the run is not finished or damaged.

    """
    run.require_finished()
    facts, settings = run.facts, run.settings
    left_out = []
    held_out = _gather_held_out(run) if run.has("oof.npz") else None
    if held_out is None:
        left_out.append(
            "Its out-of-fold scores are not shown: oof.npz is missing. Repeat its command."
            if (run.metrics or {}).get("oof")
            else "The run has no held-out images, so it has no out-of-fold scores."
        )
    counts, reason = _count_classes(run, splits)
    if reason:
        left_out.append(reason)
    histories: tuple[tuple[Epoch, ...], ...] = ()
    try:
        histories = _read_histories(run)
    except InputError as error:
        left_out.append(f"No learning curves: {error}")
    score = find_best_score(run, entries)
    accuracy = held_out.scores.accuracy if held_out else None
    trained = _count_trained_images(run)
    return RunFacts(
        run=str(run.folder),
        recipe=settings.recipe,
        source=settings.source,
        models=settings.members,
        epochs=settings.training.epochs,
        started=facts.started,
        seconds=(run.metrics or {}).get("seconds"),
        flop=_count_flop(run, trained * settings.training.epochs) if count_flop else None,
        train_images=_count_images(run),
        test_images=len(run.arrays("test")["ids"]),
        test_fingerprint=settings.test_fingerprint,
        test_images_in_train=run.test_images_in_train,
        pseudo_labelled_images=settings.pseudo_labelled_images,
        class_counts=counts,
        class_names=run.class_names,
        public_score=score,
        gap=None if score is None or accuracy is None else score - accuracy,
        held_out=held_out,
        histories=histories,
        command=facts.command,
        environment=facts.environment,
        has_images=counts is not None,
        left_out=tuple(left_out),
    )


def find_answers(runs: Sequence[Run], ids: Sequence[int]) -> dict[int, tuple[Answer, ...]]:
    """Return the predictions of all runs that held out an image, by the image's id.

    Args:
        runs: runs on the same data.
        ids: ids of the images.

    """
    found: dict[int, tuple[Answer, ...]] = {}
    for run in runs:
        oof = read_out_of_fold([run]) if run.has("oof.npz") else None
        if oof is None:
            continue
        rows = {image_id: row for row, image_id in enumerate(oof.ids.tolist())}
        for image_id in ids:
            if (row := rows.get(image_id)) is not None:
                predicted = int(oof.probabilities[0, row].argmax())
                probability = round(float(oof.probabilities[0, row, predicted]), 4)
                answer = Answer(str(run.folder), predicted, probability)
                found[image_id] = (*found.get(image_id, ()), answer)
    return found


def _gather_held_out(run: Run) -> HeldOut | None:
    oof = read_out_of_fold([run])
    if oof is None:
        return None
    probabilities, labels = oof.probabilities[0], oof.labels
    calibration = evaluation.calibration(probabilities, labels)
    return HeldOut(
        scores=evaluation.scores(probabilities, labels),
        calibration_error=calibration.error,
        bins=calibration.bins,
        class_counts=tuple(np.bincount(labels, minlength=len(run.class_names)).tolist()),
        cells=_find_cells(probabilities, labels, oof.ids),
        worst=evaluation.find_worst_images(probabilities, labels, oof.ids, MAX_WORST),
    )


def _find_cells(probabilities: "Floats", labels: "Integers", ids: "Integers") -> tuple[Cell, ...]:
    """Return the non-empty cells of the confusion matrix, the least certain images first."""
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    places = labels.astype(np.intp) * classes + probabilities.argmax(axis=1)
    cells = []
    for place in np.unique(places).tolist():
        rows = np.flatnonzero(places == place)
        first = rows[np.argsort(own[rows], kind="stable")[:MAX_CELL_IMAGES]]
        images = tuple(CellImage(int(ids[row]), round(float(own[row]), 4)) for row in first)
        cells.append(Cell(place // classes, place % classes, len(rows), images))
    return tuple(cells)


def _count_classes(run: Run, splits: Splits | None) -> tuple[tuple[int, ...] | None, str]:
    """Return the number of training images of each class; or None and the reason."""
    if splits is None:
        return None, ""
    try:
        return run_images.select_run_images(run, splits, "train").class_counts, ""
    except InputError as error:
        return None, f"Its images are not shown: {error}"


def _read_histories(run: Run) -> tuple[tuple[Epoch, ...], ...]:
    histories = tuple(
        tuple(read_history(run.fold(number) / "history.csv"))
        for number in range(1, run.members + 1)
    )
    if len({len(history) for history in histories}) != 1 or not histories[0]:
        raise InputError("the folds' history.csv have different numbers of epochs, or none")
    return histories


def _count_images(run: Run) -> int | None:
    """Return the number of training images; None if ``folds.npy`` is missing or damaged."""
    try:
        if not run.has("folds.npy"):
            return None
        path = run.inside("folds.npy")
        return int(read_array(path, splitting.FOLD_IDS, advice="").shape[1])
    except InputError:
        return None


def _count_trained_images(run: Run) -> int:
    """Return the images of one epoch, summed over the models; 0 if unknown."""
    try:
        return sum(run_images.count_run_images(run))
    except InputError:
        return 0


def _count_flop(run: Run, images: int) -> float | None:
    """Return the FLOP of training on ``images`` images, from the layers of the first model."""
    from kaggle_digits.backend import start_keras
    from kaggle_digits.training.flop import count_flop
    from kaggle_digits.training.predicting import load_model

    if not images:
        return None
    try:
        start_keras()
        if run.facts.settings.recipe_sha256:
            run.recipe()  # registers its custom layers
        return count_flop(load_model(run.models()[0], to_train=False)) * images
    except (InputError, OSError, zipfile.BadZipFile):
        return None
