"""The configuration of a run, and what follows from it: its name and its settings.

Functions that take the number of ``images`` adapt the recipe's training to few of them.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from kaggle_digits import runs
from kaggle_digits.backend import backend_name, cores
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import suspects
from kaggle_digits.files import RUNS
from kaggle_digits.recipes import Recipe, Training
from kaggle_digits.recipes.recipe import Precision
from kaggle_digits.runs.records import MAX_MEMBERS, MAX_SEED
from kaggle_digits.training.executors import choosing
from kaggle_digits.training.fit import resolve_precision
from kaggle_digits.training.pseudo_labels import (
    PseudoLabels,
    count_labelled,
    hash_pseudo_labels,
)

DEFAULT_SPLIT = 0.2
MIN_VALUES = {
    "folds": 1,
    "seeds": 1,
    "seed": 0,
    "epochs": 1,
    "batch_size": 1,
    "limit": 1,
    "jobs": 1,
}
MAX_VALUES = {"epochs": 10**9, "batch_size": 10**9}  # run.json holds 64-bit numbers
TEXTS = {
    "ray_address": "HOST:PORT as text, or 'auto'",
    "storage": "an address as text, such as 's3://bucket/folder', or the path of a folder",
}
OPTIONAL = {"epochs", "batch_size", "limit", "jobs"}
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
        pseudo_labels: folders of finished runs with the same data and folds. The test images that
            they give a calibrated probability of at least 0.95 are trained on as well.
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
        submission: the CSV to write; None names a file in ``submissions/`` after the run's folder.
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
    pseudo_labels: tuple[Path, ...] = ()
    on: choosing.Place | None = None
    jobs: int | None = None
    ray_address: str | None = None
    storage: str | None = None
    run: Path | None = None
    submission: Path | None = None
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InputError for a value that no run can have. The recipe and the data set others."""
        split, rate = self.validation_split, self.learning_rate
        self._require_whole_numbers()
        if split is not None and not (_is_number(split) and 0 <= split < 1):
            raise InputError(
                f"received validation_split={split!r}. Expected a number from 0 to below 1."
            )
        if split is not None and self.seeds > 1:
            raise InputError(
                f"received seeds={self.seeds} for a single model. Expected 1. To repeat a training "
                "with other splits, use cross-validation, or other seeds one by one."
            )
        if rate is not None and not _is_number(rate):
            raise InputError(f"received learning_rate={rate!r}. Expected a number, such as 0.001.")
        for name, expected in TEXTS.items():
            if not isinstance(getattr(self, name), str | None):
                raise InputError(f"received {name}={getattr(self, name)!r}. Expected {expected}.")
        if self.precision not in (None, *get_args(Precision)):
            raise InputError(
                f"received precision={self.precision!r}. Expected one of "
                f"{', '.join(get_args(Precision))}."
            )

    def _require_whole_numbers(self) -> None:
        for name, least in MIN_VALUES.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            if name == "folds" and self.validation_split is None:
                least = 2  # noqa: PLW2901 — one part is held out, another trained on
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                single = name == "folds" and value == 1
                raise InputError(
                    f"received {name}={value!r}. Expected a whole number of at least {least}"
                    f"{', or train() for a single model' if single else ''}."
                )
            if value > MAX_VALUES.get(name, value):
                raise InputError(
                    f"received {name}={value}. Expected a whole number of at most "
                    f"{MAX_VALUES[name]:,}."
                )
        require_seeds(self.seed, self.seeds)
        if self.folds * self.seeds > MAX_MEMBERS:
            raise InputError(
                f"received folds={self.folds} and seeds={self.seeds}. Expected at most "
                f"{MAX_MEMBERS:,} models: folds × seeds."
            )

    @property
    def command(self) -> str:
        """The command that trains in this way: ``cv``, or ``train`` for a single split."""
        return "cv" if self.validation_split is None else "train"


def require_seeds(first: int, count: int) -> None:
    """Raise InputError unless ``count`` seeds from ``first`` on can be used."""
    if first + count - 1 > MAX_SEED:
        several = f", the first of {count} seeds" if count > 1 else ""
        raise InputError(f"received seed={first}{several}. Expected seeds up to {MAX_SEED:,}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def name_run(config: TrainConfig, splits: Splits, settings: runs.Settings) -> str:
    """Return a name for the run: unique for its settings, short for common ones."""
    split, excluded = config.validation_split, settings.excluded_sha256
    labels = settings.pseudo_labels_sha256
    parts = [
        config.recipe.name,
        "train" if config.command == "train" else f"{config.folds}-fold",
        split is not None and split != DEFAULT_SPLIT and f"split{split:g}",
        config.seeds > 1 and f"{config.seeds}-seeds",
        config.seed and f"seed{config.seed}",
        config.epochs and f"e{config.epochs}",
        config.batch_size and f"b{config.batch_size}",
        config.learning_rate and f"lr{config.learning_rate:g}",
        config.precision,
        config.limit and f"n{config.limit}",
        excluded and f"without{settings.excluded_images}-{excluded[:6]}",
        labels and f"pseudo-{labels[:6]}",
        not splits.is_competition and splits.source,
        backend_name() != "tensorflow" and backend_name(),
    ]
    return "-".join(str(part) for part in parts if part)


def find_earlier(config: TrainConfig, name: str) -> str:
    """Return the name of the run that an earlier version started with --jobs; ``name`` if none.

    Such a name ends in the number of threads.
    """
    jobs = config.jobs or 1
    earlier = f"{name}-t{max(1, cores() // jobs)}"
    if jobs > 1 and _has_run(earlier) and not _has_run(name):
        return earlier
    return name


def _has_run(name: str) -> bool:
    return (RUNS / name / "run.json").exists()


def make_settings(
    config: TrainConfig,
    splits: Splits,
    images: int,
    excluded: tuple[int, ...],
    pseudo_labels: PseudoLabels,
) -> runs.Settings:
    """Return the settings of a new run, whose models train on at least ``images`` images."""
    recipe = config.recipe
    return runs.Settings(
        command=config.command,
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
        recipe_sha256=recipe.program_sha256,
        excluded_images=len(excluded),
        excluded_sha256=suspects.hash_ids(excluded),
        pseudo_labelled_images=int(count_labelled(pseudo_labels).min()),
        pseudo_labels_sha256=hash_pseudo_labels(pseudo_labels),
    )


def resume_settings(folder: Path, settings: runs.Settings, config: TrainConfig) -> runs.Settings:
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
    if rate is not None and not 0 < rate <= sys.float_info.max:
        raise InputError(
            f"--learning-rate {rate} is not usable. Expected a number above 0, such as 0.001."
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
