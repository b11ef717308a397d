"""Train stratified folds × seeds: skip finished folds, resume others, gather the probabilities.

The single split of ``train`` is the same with one fold, whose held-out images are the validation
split.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kaggle_digits import files, submissions
from kaggle_digits.backend import share_cores, start_keras
from kaggle_digits.datasets.dataset import Dataset, Images, Rows, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import Scores, ensembling, scores
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.recipes import Recipe
from kaggle_digits.runs import Run, Settings, now
from kaggle_digits.runs.folder import REWRITTEN
from kaggle_digits.runs.safe_folder import MISSING, DamagedRunError
from kaggle_digits.training import fit, predicting
from kaggle_digits.training.executors import Executor, FoldsCallback, Task
from kaggle_digits.training.pseudo_labels import (
    PSEUDO_LABELS,
    PseudoLabels,
    add_pseudo_labelled,
    count_labelled,
    read_pseudo_labels,
)
from kaggle_digits.training.splitting import (
    FOLD_IDS,
    FoldIds,
    split_rows,
    subsample,
)


@runtime_checkable
class TrainingCallback(FoldsCallback, Protocol):
    """Receive the progress of a run."""

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Receive the number of models, the epochs of each and each model's training images."""

    def fold_started(self, number: int) -> fit.FoldCallback:
        """Return the callback for the model ``number`` (1 … members), which is trained next."""

    def fold_done(self, number: int, judged: Scores | None, *, skipped: bool) -> None:
        """Receive a saved model's scores on its held-out images; None without held-out images."""


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        run: its folder.
        oof: scores over the held-out images, None if nothing was held out.
        folds: scores of each fold over its held-out images.
        test: scores of the averaged models on the test images, None where they have no labels.
        seconds: training time in seconds, without interruptions.

    """

    run: Run
    oof: Scores | None
    folds: tuple[Scores | None, ...]
    test: Scores | None
    seconds: float


def count_images(assignment: FoldIds, folds: int, pseudo_labels: PseudoLabels) -> tuple[int, ...]:
    """Return the number of images that each model is trained on.

    Args:
        assignment: int16 ``[seeds, n]``, from `assign_folds`, `assign_holdout` or `exclude`.
        folds: number of folds per seed.
        pseudo_labels: int16 ``[models, test images]``, from `make_pseudo_labels`.

    """
    labelled = count_labelled(pseudo_labels)
    return tuple(
        len(split_rows(assignment, folds, number)[0]) + int(more)
        for number, more in enumerate(labelled, start=1)
    )


def count_run_images(run: Run) -> tuple[int, ...]:
    """Return the number of images that each model of a finished run was trained on.

    Raises:
        InputError: the run is not finished, or one of its files is missing or damaged.

    """
    settings = run.settings
    form = Form("int16", (settings.seeds, "images"))
    assignment = read_array(run.inside("folds.npy"), form, advice=REWRITTEN)
    labels = read_pseudo_labels(run, len(run.arrays("test")["ids"]))
    return count_images(assignment, settings.folds, labels)


def select_run_images(run: Run, splits: Splits, split: str) -> Dataset:
    """Return the images of ``split`` (``train`` or ``test``) that ``run`` was made with.

    Raises:
        InputError: ``splits`` are not the data of the run.

    """
    settings = run.settings
    if split == "train":
        found = subsample(splits.train, settings.limit, settings.seed)
        expected = settings.train_fingerprint
    else:
        found, expected = splits.test, settings.test_fingerprint
    if found.fingerprint != expected:
        raise InputError(
            f"{run.folder} was made with other {split} images. Received the {splits.source} data "
            f"with the fingerprint {found.fingerprint[:12]}…, expected {expected[:12]}…. Name the "
            "folder of the run's data with --input."
        )
    return found


def require_shape(recipe: Recipe, images: Images) -> None:
    """Raise an InputError unless ``recipe`` takes images of this shape."""
    shape = images.shape[1:]
    if shape != recipe.image_shape:
        raise InputError(
            f"recipe {recipe.name!r} takes images of {recipe.image_shape}; the data has {shape}. "
            "Choose a recipe for this shape: `kaggle-digits recipes` lists them."
        )


def train_run(
    run: Run,
    splits: Splits,
    assignment: FoldIds,
    watcher: TrainingCallback,
    executor: Executor,
    pseudo_labels: PseudoLabels,
) -> Result:
    """Train the unfinished folds of ``run``, gather the predictions and return the finished run.

    Args:
        run: opened by `runs.open_for_training`; its settings say what to train.
        splits: the images. ``train`` has the ``n`` images of ``assignment``.
        assignment: int16 ``[seeds, n]``, from `assign_folds` or `assign_holdout`.
        watcher: called after every step.
        executor: where the models are trained.
        pseudo_labels: int16 ``[members, test images]``, from `make_pseudo_labels`.

    Returns:
        The result, with all files of the run written.

    """
    settings = run.settings
    _save(run.folder / "folds.npy", assignment)
    if settings.pseudo_labelled_images:
        _save(run.folder / PSEUDO_LABELS, pseudo_labels)
    members = range(1, settings.members + 1)
    watcher.run_started(
        settings.members,
        settings.training.epochs,
        count_images(assignment, settings.folds, pseudo_labels),
    )
    finished = {number: run.is_fold_finished(number) for number in members}
    for number in members:
        if finished[number]:
            _finish_fold(run, number, watcher, skipped=True)
    left = [number for number in members if not finished[number]]
    for number in executor.train_folds(_task(run, splits), left, watcher):
        _finish_fold(run, number, watcher, skipped=False)
    return _gather(run, settings, splits)


def _save(path: Path, array: npt.NDArray[np.int16]) -> None:
    with files.replacing(path) as new:
        np.save(new, array, allow_pickle=False)


def _finish_fold(run: Run, number: int, watcher: TrainingCallback, *, skipped: bool) -> None:
    # A crash may have left the checkpoint of a fold that is already marked as finished.
    (run.fold(number) / "checkpoint.keras").unlink(missing_ok=True)
    watcher.fold_done(number, _scores(_read_mark(run, number)), skipped=skipped)


def _read_mark(run: Run, number: int) -> dict[str, Any]:
    if mark := run.fold_scores(number):
        return mark
    path = run.fold(number) / "finished.json"
    raise DamagedRunError(path, MISSING, "Run the same command again: it trains this fold.")


def count_threads(settings: Settings) -> int:
    """Return the number of threads per split of a batch; earlier versions did not record it."""
    return settings.threads or share_cores(settings.training.batch_splits)


def _task(run: Run, splits: Splits) -> Task:
    settings = run.settings
    batch_splits = settings.training.batch_splits
    return Task(train_fold, run.folder, splits, batch_splits, count_threads(settings))


def train_fold(folder: Path, splits: Splits, number: int, watcher: fit.FoldCallback) -> None:
    """Train one fold and save its model, its predictions and ``finished.json``.

    Args:
        folder: the run's folder, with its ``run.json`` and ``folds.npy``.
        splits: the images of the run.
        number: number of the model, 1 … members.
        watcher: called after every step.

    """
    run = Run(folder)
    settings = run.settings
    start_keras(settings.training.batch_splits, settings.threads)
    assignment = read_array(folder / "folds.npy", FOLD_IDS, advice=REWRITTEN)
    kept, held_out = split_rows(assignment, settings.folds, number)
    labels = read_pseudo_labels(run, len(splits.test))
    train = add_pseudo_labelled(splits.train.take(kept), splits.test, labels[number - 1])
    repeat, fold = divmod(number - 1, settings.folds)
    model, history = fit.train_model(
        run.recipe(trusted=True),
        settings.training,
        train,
        splits.train.take(held_out) if len(held_out) else None,
        seed=(settings.seed + repeat, fold),
        folder=run.fold(number),
        watcher=watcher,
    )
    started = time.perf_counter()
    fold_scores = _save_predictions(run.fold(number), model, splits, held_out)
    with files.replacing(run.fold(number) / "model.keras") as path:
        model.network.save(path, include_optimizer=False)
    seconds = sum(epoch.seconds for epoch in history) + time.perf_counter() - started
    mark = {"seconds": round(seconds, 1), "scores": fold_scores and asdict(fold_scores)}
    files.write_json(run.fold(number) / "finished.json", mark)


def _save_predictions(
    folder: Path, model: predicting.Predictor, splits: Splits, held_out: Rows
) -> Scores | None:
    test = model.predict(splits.test.images)
    files.write_npz(folder / "test.npz", probabilities=test)
    images = splits.train.take(held_out)
    if not len(held_out) or images.labels is None:
        return None
    oof = model.predict(images.images)
    files.write_npz(folder / "oof.npz", rows=held_out, probabilities=oof)
    return scores(oof, images.labels)


def _gather(run: Run, settings: Settings, splits: Splits) -> Result:
    members = range(1, settings.members + 1)
    finished = [_read_mark(run, number) for number in members]
    images = len(splits.test)
    test = ensembling.blend(
        np.stack([run.fold_arrays(k, "test", images)["probabilities"] for k in members]), "mean"
    )
    answers = {} if splits.test.labels is None else {"labels": splits.test.labels}
    files.write_npz(run.folder / "test.npz", ids=splits.test.ids, probabilities=test, **answers)
    tested = scores(test, answers["labels"]) if answers else None
    oof = _gather_oof(run, settings, splits.train)
    folds = tuple(map(_scores, finished))
    seconds = round(sum(fold["seconds"] for fold in finished), 1)
    result = Result(run, oof, folds, tested, seconds)
    metrics = {
        "oof": oof and asdict(oof),
        "folds": [fold and asdict(fold) for fold in folds],
        "test": tested and asdict(tested),
        "seconds": seconds,
    }
    files.write_json(run.folder / "metrics.json", metrics)
    submissions.write(run.submission, splits.test.ids, test.argmax(axis=1))
    run.update(state="finished", finished=run.facts.finished or now())
    return result


def _gather_oof(run: Run, settings: Settings, train: Dataset) -> Scores | None:
    """Write ``oof.npz``: the probabilities of each held-out image, averaged over the seeds."""
    total = np.zeros((len(train), len(train.class_names)), np.float64)
    times = np.zeros(len(train), np.int64)
    for number in range(1, settings.members + 1):
        if run.has(f"fold-{number}/oof.npz"):
            fold = run.fold_arrays(number, "oof")
            if not 0 <= fold["rows"].min() <= fold["rows"].max() < len(train):
                path = run.fold(number) / "oof.npz"
                raise DamagedRunError(path, f"it has rows beyond the {len(train):,} images")
            total[fold["rows"]] += fold["probabilities"]
            times[fold["rows"]] += 1
    rows = np.flatnonzero(times)
    if not len(rows) or train.labels is None:
        return None
    probabilities = (total[rows] / times[rows, None]).astype(np.float32)
    labels = train.labels[rows]
    files.write_npz(
        run.folder / "oof.npz",
        rows=rows,
        ids=train.ids[rows],
        labels=labels,
        probabilities=probabilities,
    )
    return scores(probabilities, labels)


def _scores(finished: dict[str, Any]) -> Scores | None:
    return Scores(**finished["scores"]) if finished["scores"] else None


def predict(run: Run, images: Images) -> ensembling.Probabilities:
    """Predict with all models of a finished run and average their probabilities.

    Args:
        run: a finished run.
        images: uint8 ``[n, height, width, channels]``.

    Returns:
        float64 ``[n, classes]``.

    Raises:
        InputError: the run is not finished, a model cannot be read, or the recipe takes images of
            another shape.

    """
    paths = run.models()
    require_shape(run.recipe(), images)
    start_keras(predicting.PREDICTION_SPLITS)
    # One graph serves all folds: they differ only in their weights.
    network = predicting.load_model(paths[0], to_train=False)
    if predicting.require_classifier(network, paths[0], len(run.class_names)) != images.shape[1:]:
        raise InputError(
            f"{paths[0]} takes images of {network.input_shape[1:]}. Expected {images.shape[1:]}, "
            "as in the run's recipe."
        )
    model = predicting.Predictor(network)
    answers = []
    for path in paths:
        predicting.load_weights(model.network, path)
        answers.append(model.predict(images))
    return ensembling.blend(np.stack(answers), "mean")
