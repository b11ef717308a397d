"""The pipeline: load → check the recipe → split → open the run → train → gather → write.

The command line and notebooks call the same function with the same frozen configuration. Nothing
here prints: progress goes to the callback.
"""

import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import datasets, files, runs, submissions, trackers
from kaggle_digits.backend import backend_name, cores
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import suspects
from kaggle_digits.recipes import Recipe, Training, find
from kaggle_digits.recipes.checking import check_network
from kaggle_digits.recipes.recipe import Precision
from kaggle_digits.results import FinishedRun
from kaggle_digits.runs import RUNS, SUBMISSIONS
from kaggle_digits.training import cross_validation
from kaggle_digits.training.cross_validation import Result, TrainingCallback
from kaggle_digits.training.executors import Executor, choosing
from kaggle_digits.training.executors.in_process import InProcess
from kaggle_digits.training.fit import NullFoldCallback as UnwatchedFold
from kaggle_digits.training.fit import resolve_precision
from kaggle_digits.training.notebook_progress import NotebookBars, in_notebook

DEFAULT_SPLIT = 0.2
MOMENT = 0.3  # seconds
MANY = sys.maxsize  # images: enough to train a recipe without adapting it


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Configuration of a run. None keeps the recipe's value or the default.

    Attributes:
        recipe: network and training settings.
        folds: number of folds; each is held out once. 1 with ``validation_split``.
        seeds: number of repetitions of the whole cross-validation, with other splits.
        seed: the first seed.
        validation_split: share of images that a single model holds out, 0-1; None cross-validates.
        epochs: number of epochs.
        batch_size: images per step.
        learning_rate: initial learning rate, or the peak of the schedule.
        precision: precision of training: auto, float32, bfloat16 or float16.
        limit: size of the stratified subset of training images; None uses all.
        exclude: CSV with the ids of images that no model is trained on, in its column ``id``. They
            are held out and scored like the others, so that runs can be compared.
        on: where to train: ``here`` (in this process), ``processes`` or ``ray``. None trains here
            if one fold is trained at a time, else in processes.
        jobs: number of folds trained at the same time. None chooses it from the cores and the
            free memory; on Ray the cluster decides.
        ray_address: ``HOST:PORT`` of a Ray cluster's head, or ``auto``; None starts Ray on this
            machine.
        storage: folder on a disk that all nodes of the Ray cluster share, or an address of fsspec
            such as ``s3://bucket/folder``, for the files of folds in training. None sends them to
            this machine.
        run: the run's folder; None names a folder in ``runs/`` after the settings.
        submission: the CSV to write; None names a file in ``submissions/`` after the settings.
        log: names of the trackers that the run is also written to: tensorboard, mlflow.

    """

    recipe: Recipe
    folds: int = 5
    seeds: int = 1
    seed: int = 0
    validation_split: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: Precision | None = None
    limit: int | None = None
    exclude: Path | None = None
    on: choosing.Place | None = None
    jobs: int | None = None
    ray_address: str | None = None
    storage: str | None = None
    run: Path | None = None
    submission: Path | None = None
    log: tuple[str, ...] = ()


def cross_validate(
    recipe: str | Recipe,
    data: Splits | str | Path = "input",
    *,
    folds: int = 5,
    callback: TrainingCallback | None = None,
    **settings: Any,
) -> FinishedRun:
    """Train a recipe by stratified k-fold cross-validation.

    The same call resumes an interrupted run after its last finished epoch. It returns at once if
    the run is finished.

    Args:
        recipe: a recipe, its name, or the path of a Python file that defines ``RECIPE``.
        data: the result of `load`, or the folder with the data: images uint8
            ``[n, height, width, channels]``, labels uint8 ``[n]``.
        folds: number of folds; each is held out once.
        callback: `TrainingCallback` that receives the progress. None shows progress bars in
            Jupyter and nothing elsewhere.
        settings: any other attribute of `TrainConfig` by name: seeds, seed, epochs, batch_size,
            learning_rate, precision, limit, exclude, on, jobs, ray_address, storage, run,
            submission, log.

    Returns:
        The finished run. Its CSV is also written to ``submissions/``.

    Raises:
        InputError: a setting does not fit the recipe or the data, or the run's folder holds a run
            with other settings.

    Example:
        >>> run = kd.cross_validate("dense", kd.load("input"), folds=3, epochs=3)
        >>> run.scores.accuracy > 0.6
        True
        >>> run.oof.probabilities.shape, run.test.probabilities.dtype
        ((1442, 10), dtype('float32'))

    """
    return _run(recipe, data, callback, folds=folds, **settings)


def train(
    recipe: str | Recipe,
    data: Splits | str | Path = "input",
    *,
    validation_split: float = DEFAULT_SPLIT,
    callback: TrainingCallback | None = None,
    **settings: Any,
) -> FinishedRun:
    """Train one model on one stratified split.

    The same call resumes an interrupted run. It returns at once if the run is finished.

    Args:
        recipe: a recipe, its name, or the path of a Python file that defines ``RECIPE``.
        data: the result of `load`, or the folder with the data.
        validation_split: share of the training images to hold out, 0 to below 1.
        callback: `TrainingCallback` that receives the progress. None shows progress bars in
            Jupyter and nothing elsewhere.
        settings: as for `cross_validate`.

    Returns:
        The finished run. Its CSV is also written to ``submissions/``.

    Raises:
        InputError: as for `cross_validate`.

    Example:
        >>> run = kd.train("dense", "input", validation_split=0.25, epochs=1, limit=200)
        >>> run.scores.images
        50
        >>> run.history[["epoch", "val_accuracy"]].shape
        (1, 2)

    """
    chosen = {"folds": 1, "validation_split": validation_split}
    return _run(recipe, data, callback, **chosen, **settings)


def _run(
    recipe: str | Recipe,
    data: Splits | str | Path,
    callback: TrainingCallback | None,
    **settings: Any,
) -> FinishedRun:
    found = find(recipe) if isinstance(recipe, str) else recipe
    for name in ("run", "submission", "exclude"):
        if settings.get(name) is not None:
            settings[name] = files.expand_home(settings[name])
    known = {field.name for field in fields(TrainConfig)}
    if unknown := sorted(set(settings) - known):
        raise InputError(
            f"received the setting {unknown[0]!r}. Expected one of {', '.join(sorted(known))}."
        )
    if isinstance(settings.get("log"), str):
        settings["log"] = (settings["log"],)
    config = TrainConfig(recipe=found, **settings)
    splits = data if isinstance(data, Splits) else load_data(files.expand_home(data), config)
    if callback is None and in_notebook():
        callback = NotebookBars()
    function = "cross_validate" if config.validation_split is None else "train"
    result, _ = run_training(
        config,
        splits,
        command=f"kaggle_digits.{function}({found.name!r}, …)",
        watching=None if callback is None else lambda _: nullcontext(callback),
        data=None if isinstance(data, Splits) else files.expand_home(data),
    )
    return FinishedRun(result.run.folder)


def load_data(folder: Path, config: TrainConfig) -> Splits:
    """Load the data set in ``folder``. A large one is read while Keras starts.

    Raises:
        InputError: the data set is missing, damaged or incomplete.

    """
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(datasets.load, folder)
        done, _ = wait([reading], timeout=MOMENT)
        if not done and isinstance(_choose_executor(config), InProcess):
            config.recipe.training.start_keras()
        return reading.result()


def count_jobs(config: TrainConfig, train: Dataset) -> int:
    """Return how many folds a run of ``config`` on ``train`` trains at the same time."""
    return _choose_executor(config, image_bytes=train.images.nbytes).jobs or 1


def _choose_executor(
    config: TrainConfig, threads: int | None = None, image_bytes: int = 0
) -> Executor:
    """Return where to train; ``threads`` and ``image_bytes`` are of the run, once it is open."""
    training = config.recipe.training
    return choosing.choose(
        config.on,
        config.jobs,
        config.ray_address,
        config.storage,
        members=config.folds * config.seeds,
        cpus=training.batch_splits * (threads or training.threads_per_split),
        image_bytes=image_bytes,
    )


def run_training(
    config: TrainConfig,
    splits: Splits,
    *,
    command: str,
    watching: Callable[[runs.Run], AbstractContextManager[TrainingCallback]] | None = None,
    tell: Callable[[str | None], object] = lambda _: None,
    data: Path | None = None,
) -> tuple[Result, Path]:
    """Train or resume the run of ``config`` and write its submission.

    Args:
        config: what to train.
        splits: the images.
        command: the command that resumes the run; kept in ``run.json``.
        watching: called with the open run before training; returns a context manager that yields
            the callback.
        tell: called with a note on the settings, or None if there is nothing to note.
        data: folder that ``splits`` were loaded from, if known; trackers draw the worst images.

    Returns:
        The finished run with its scores, and the path of the written CSV.

    Raises:
        InputError: a setting does not fit the data, or the run's folder holds something else.

    """
    trackers.require_trackers(config.log)
    recipe = config.recipe
    _choose_executor(config)  # what is wrong with --on or --jobs is said first
    cross_validation.require_shape(recipe, splits.train.images)
    cross_validation.require_all_classes(splits.train)
    if recipe.file is not None:
        recipe.training.start_keras()
        check_network(recipe, len(splits.train.class_names))
    excluded = _read_excluded(config.exclude, splits.train) if config.exclude else ()
    name = _find_earlier(config, name_run(config, splits, excluded))
    train = cross_validation.subsample(splits.train, config.limit, config.seed)
    splits = replace(splits, train=train)
    assignment = _assign_folds(config, train, excluded)
    images = cross_validation.fewest_images(assignment, config.folds)
    folder = config.run or RUNS / name
    settings = _resume_settings(folder, _settings(config, splits, images, excluded), config)
    csv = config.submission or SUBMISSIONS / f"{name}.csv"
    submissions.require_target(csv)
    with runs.open_for_training(
        folder, settings, class_names=train.class_names, command=command
    ) as run:
        tell(describe_few_images(settings.training, config, images))
        run.keep_recipe(recipe)
        run.note_leaks(splits)
        threads = cross_validation.count_threads(settings)
        executor = _choose_executor(config, threads, train.images.nbytes)
        with (
            watching(run) if watching else nullcontext(NullCallback()) as watcher,
            trackers.tracking(run, config.log, watcher, data) as tracked,
        ):
            result = cross_validation.train_run(run, splits, assignment, tracked, executor)
    test = run.arrays("test")
    submissions.write(csv, test["ids"], test["probabilities"].argmax(axis=1))
    return result, csv


def _read_excluded(path: Path, train: Dataset) -> tuple[int, ...]:
    """Return the ids of the images to exclude."""
    ids = suspects.read_ids(path)
    if unknown := sorted(set(ids) - set(train.ids.tolist())):
        raise InputError(
            f"--exclude {path}: there is no training image with the id {unknown[0]}. Expected ids "
            f"from {train.ids.min()} to {train.ids.max()}."
        )
    return ids


def name_run(config: TrainConfig, splits: Splits, excluded: tuple[int, ...]) -> str:
    """Return a name for the run: unique for its settings, short for common ones."""
    split = config.validation_split
    parts = [
        config.recipe.name,
        f"{config.folds}-fold" if split is None else "train",
        split is not None and split != DEFAULT_SPLIT and f"split{split:g}",
        config.seeds > 1 and f"{config.seeds}-seeds",
        config.seed and f"seed{config.seed}",
        config.epochs and f"e{config.epochs}",
        config.batch_size and f"b{config.batch_size}",
        config.learning_rate and f"lr{config.learning_rate:g}",
        config.precision,
        config.limit and f"n{config.limit}",
        excluded and f"without{len(excluded)}-{suspects.hash_ids(excluded)[:6]}",
        not splits.is_competition and splits.source,
        backend_name() != "tensorflow" and backend_name(),
    ]
    return "-".join(str(part) for part in parts if part)


def _settings(
    config: TrainConfig, splits: Splits, images: int, excluded: tuple[int, ...]
) -> runs.Settings:
    recipe = config.recipe
    return runs.Settings(
        command="cv" if config.validation_split is None else "train",
        recipe=recipe.name,
        training=adapt_training(config, images),
        deslant=recipe.deslant,
        folds=config.folds,
        seeds=config.seeds,
        seed=config.seed,
        validation_split=config.validation_split,
        limit=config.limit,
        source=splits.source,
        train_fingerprint=splits.train.fingerprint,
        test_fingerprint=splits.test.fingerprint,
        backend=backend_name(),
        threads=recipe.training.threads_per_split,
        recipe_sha256=recipe.file_sha256,
        excluded_images=len(excluded),
        excluded_sha256=suspects.hash_ids(excluded) if excluded else None,
    )


def _resume_settings(folder: Path, settings: runs.Settings, config: TrainConfig) -> runs.Settings:
    """Return the settings with which to resume the run in ``folder``.

    Earlier versions did not adapt the training to few images, and chose the number of threads from
    cores and jobs. Their runs resume as they were started.
    """
    if not (folder / "run.json").exists():
        return settings
    before = runs.Run(folder).settings
    unadapted = replace(settings, training=adapt_training(config, MANY))
    same = (replace(found, threads=before.threads) for found in (settings, unadapted))
    return before if before in same else replace(settings, threads=before.threads)


def _find_earlier(config: TrainConfig, name: str) -> str:
    """Return the name of the run that an earlier version started with --jobs; ``name`` if none.

    Such a name ends in the number of threads.
    """
    if config.jobs is None or config.jobs == 1 or (RUNS / name / "run.json").exists():
        return name
    earlier = f"{name}-t{max(1, cores() // config.jobs)}"
    return earlier if (RUNS / earlier / "run.json").exists() else name


def describe_few_images(training: Training, config: TrainConfig, images: int) -> str | None:
    """Describe how the recipe's training is adapted to few images; None if it is not."""
    many, few = adapt_training(config, MANY), adapt_training(config, images)
    changes = ", ".join(
        f"{name.replace('_', ' ')} {getattr(few, name):g} instead of {getattr(many, name):g}"
        for name in ("batch_size", "learning_rate", "epochs")
        if getattr(few, name) != getattr(many, name)
    )
    if not changes:
        return None
    if training == many:
        return (
            "the run was started by a version that did not adapt to few images, and keeps its "
            f"settings. A new run (--run) uses {changes}."
        )
    return f"few images, {images:,} for each model: {changes}."


def adapt_training(config: TrainConfig, images: int) -> Training:
    """Return the recipe's training settings for ``images`` images, with the overrides."""
    training = config.recipe.training
    rate = config.learning_rate
    if rate is not None and not 0 < rate < math.inf:
        raise InputError(
            f"--learning-rate {rate:g} is not usable. Expected a number above 0, such as 0.001."
        )
    batch_size = config.batch_size or training.batch_size
    if batch_size < training.batch_splits:
        raise InputError(
            f"--batch-size {batch_size} is too small: {config.recipe.name} computes a batch in "
            f"{training.batch_splits} splits. Expected at least {training.batch_splits}."
        )
    if config.precision is not None:
        training = replace(training, precision=config.precision)
    return resolve_precision(training).for_images(
        images, epochs=config.epochs, batch_size=config.batch_size, learning_rate=rate
    )


def _assign_folds(
    config: TrainConfig, train: Dataset, excluded: tuple[int, ...]
) -> cross_validation.FoldIds:
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    if config.validation_split is not None:
        assigned = cross_validation.assign_holdout(
            train.labels, config.validation_split, config.seed
        )
    else:
        assigned = cross_validation.assign_folds(
            train.labels, config.folds, config.seeds, config.seed
        )
    if not excluded:
        return assigned
    rows = np.flatnonzero(np.isin(train.ids, excluded))
    assigned = cross_validation.exclude(assigned, rows, config.folds)
    for fold in range(1, config.folds + 1):
        for trained in cross_validation.select_trained(assigned, fold):
            if missing := set(train.labels.tolist()) - set(train.labels[trained].tolist()):
                raise InputError(
                    f"--exclude {config.exclude} leaves a model without training images of class "
                    f"{train.class_names[min(missing)]}. Exclude fewer images."
                )
    return assigned


class NullCallback:
    """Ignore the progress of a run."""

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Do nothing."""

    def fold_started(self, number: int) -> UnwatchedFold:
        """Return a callback that does nothing."""
        del number
        return UnwatchedFold()

    def fold_done(self, number: int, judged: object, *, skipped: bool) -> None:
        """Do nothing."""
