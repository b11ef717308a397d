"""The pipeline: load → check the recipe → split → open the run → train → gather → write.

The command line and notebooks call the same function with the same frozen configuration. Nothing
here prints: progress goes to the callback.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from kaggle_digits import datasets, runs, submissions, trackers
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import suspects
from kaggle_digits.files import RUNS, SUBMISSIONS
from kaggle_digits.recipes.checking import check_network, require_classes, require_shape
from kaggle_digits.training import cross_validation, run_images, splitting
from kaggle_digits.training.configuration import (
    TrainConfig,
    describe_few_images,
    find_earlier,
    make_settings,
    name_run,
    resume_settings,
)
from kaggle_digits.training.cross_validation import TrainingCallback
from kaggle_digits.training.executors import Executor, choosing
from kaggle_digits.training.executors.in_process import InProcess
from kaggle_digits.training.fit import NullFoldCallback
from kaggle_digits.training.gathering import Result
from kaggle_digits.training.pseudo_labels import (
    PseudoLabels,
    describe_pseudo_labels,
    make_pseudo_labels,
)

MOMENT = 0.3  # seconds

# Called with the open run before training; the context manager yields the callback.
Watching = Callable[[runs.Run], AbstractContextManager[TrainingCallback]]


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
    watching: Watching = lambda _: nullcontext(NullCallback()),
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
    _choose_executor(config)  # reports a wrong --on or --jobs first
    require_shape(recipe, splits.train.images)
    require_classes(recipe, splits.train)
    splitting.require_all_classes(splits.train)
    if recipe.file is not None:
        recipe.training.start_keras()
        check_network(recipe, len(splits.train.class_names))
    train = splitting.subsample(splits.train, config.limit, config.seed)
    excluded = _read_excluded(config.exclude, splits.train, train) if config.exclude else ()
    splits = replace(splits, train=train)
    assignment = _assign_folds(config, train, excluded)
    labels = _make_pseudo_labels(config, splits, assignment, excluded)
    images = min(run_images.count_images(assignment, config.folds, labels))
    new = make_settings(config, splits, images, excluded, labels)
    name = find_earlier(config, name_run(config, splits, new))
    folder = config.run or RUNS / name
    settings = resume_settings(folder, new, config)
    csv = config.submission or SUBMISSIONS / f"{folder.resolve().name}.csv"
    submissions.require_target(csv)
    with runs.open_for_training(
        folder, settings, class_names=train.class_names, command=command
    ) as run:
        tell(describe_few_images(settings.training, config, images))
        tell(describe_pseudo_labels(labels))
        run.keep_recipe(recipe)
        run.note_leaks(splits)
        threads = cross_validation.count_threads(settings)
        executor = _choose_executor(config, threads, train.images.nbytes)
        with (
            watching(run) as watcher,
            trackers.tracking(run, config.log, watcher, data) as tracked,
        ):
            result = cross_validation.train_run(run, splits, assignment, tracked, executor, labels)
    test = run.arrays("test")
    submissions.write(csv, test["ids"], test["probabilities"].argmax(axis=1))
    return result, csv


def _read_excluded(path: Path, whole: Dataset, train: Dataset) -> tuple[int, ...]:
    """Return the ids of the images to exclude: those of ``train``, a subset of ``whole``."""
    ids = suspects.read_ids(path)
    if unknown := sorted(set(ids) - set(whole.ids.tolist())):
        raise InputError(
            f"--exclude {path}: there is no training image with the id {unknown[0]}. Expected ids "
            f"from {whole.ids.min()} to {whole.ids.max()}."
        )
    chosen = set(train.ids.tolist())
    return tuple(id_ for id_ in ids if id_ in chosen)


def _assign_folds(
    config: TrainConfig, train: Dataset, excluded: tuple[int, ...]
) -> splitting.FoldIds:
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    if config.validation_split is not None:
        assigned = splitting.assign_holdout(train.labels, config.validation_split, config.seed)
    else:
        assigned = splitting.assign_folds(train.labels, config.folds, config.seeds, config.seed)
    if not excluded:
        return assigned
    rows = np.flatnonzero(np.isin(train.ids, excluded))
    assigned = splitting.exclude(assigned, rows, config.folds)
    for fold in range(1, config.folds + 1):
        for trained in splitting.select_trained(assigned, fold):
            if missing := set(train.labels.tolist()) - set(train.labels[trained].tolist()):
                raise InputError(
                    f"--exclude {config.exclude} leaves a model without training images of class "
                    f"{train.class_names[min(missing)]}. Exclude fewer images."
                )
    return assigned


def _make_pseudo_labels(
    config: TrainConfig,
    splits: Splits,
    assignment: splitting.FoldIds,
    excluded: tuple[int, ...],
) -> PseudoLabels:
    teachers = [path.resolve() for path in config.pseudo_labels]
    if config.run is not None and config.run.resolve() in teachers:
        raise InputError(
            f"--run and --pseudo-labels both name {config.run}. Expected a new run, which gets its "
            "labels from a finished one."
        )
    members = range(1, config.folds * config.seeds + 1)
    held_out = [splitting.split_rows(assignment, config.folds, number)[1] for number in members]
    return make_pseudo_labels(
        [runs.Run(path) for path in config.pseudo_labels],
        splits,
        held_out,
        suspects.hash_ids(excluded),
    )


class NullCallback:
    """Ignore the progress of a run."""

    def run_started(self, members: int, epochs: int, images: tuple[int, ...]) -> None:
        """Do nothing."""

    def fold_started(self, number: int) -> NullFoldCallback:
        """Return a callback that does nothing."""
        del number
        return NullFoldCallback()

    def fold_done(self, number: int, judged: object, *, skipped: bool) -> None:
        """Do nothing."""
