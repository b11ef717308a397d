"""What ``train`` and ``cv`` share: from the parsed options to a finished run and its CSV."""

import math
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kaggle_digits import cross_validation, datasets, runs, submissions
from kaggle_digits.backend import backend_name, cores, start_keras
from kaggle_digits.cli import display, options
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import Recipe, Training, find
from kaggle_digits.training import on_this_machine

MOMENT = 0.3  # seconds
MANY = sys.maxsize  # images: so many that a recipe is trained as it stands


@dataclass(frozen=True)
class Order:
    """The options of ``train`` and ``cv`` as they were given; None where the default rules."""

    command: str
    recipe: str
    folds: int
    seeds: int
    validation_split: float | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    limit: int | None
    seed: int
    jobs: int
    input: Path
    run: Path | None
    submission: Path | None
    json: bool


def carry_out(order: Order) -> Path:
    """Train, resume or find finished what ``order`` asks for, print what came of it.

    Returns:
        the run's folder.

    """
    recipe = find(order.recipe)
    splits = _loaded(order, recipe)
    cross_validation.require_shape(recipe, splits.train.images)
    external = splits.has_external_images
    splits = replace(splits, train=cross_validation.limited(splits.train, order.limit, order.seed))
    assignment = _assignment(order, splits.train)
    images = cross_validation.fewest_images(assignment, order.folds)
    settings = _settings(order, recipe, splits, images, external=external)
    name = _name(order, recipe, splits)
    folder = order.run or options.RUNS / name
    settings = _as_started(folder, settings, order, recipe)
    csv = order.submission or options.SUBMISSIONS / f"{name}.csv"
    submissions.require_target(csv)
    command = shlex.join([options.program(), *sys.argv[1:]])
    names = splits.train.class_names
    with runs.opened(folder, settings, class_names=names, command=command) as run:
        _warn_of_other_versions(run)
        _note_few_images(settings.training, order, recipe, images)
        result = _result(run, splits, assignment, order.jobs, command)
    test = run.arrays("test")
    submissions.write(csv, test["ids"], test["probabilities"].argmax(axis=1))
    _report(result, csv, splits, as_json=order.json)
    return folder


def _loaded(order: Order, recipe: Recipe) -> Splits:
    """Return the data; what takes longer than a moment to read is read while Keras starts.

    A cache and most mistakes are known within that moment.
    """
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(datasets.load, order.input)
        done, _ = wait([reading], timeout=MOMENT)
        if not done and order.jobs == 1:
            start_keras(recipe.training.parts)
        return reading.result()


def _warn_of_other_versions(run: runs.Run) -> None:
    changes = run.other_versions()
    if changes and run.description["state"] != "finished":
        print(
            f"Note: {run.folder} was started with other versions ({', '.join(changes)}): what is "
            "left of it may come out differently than undisturbed. For a run that can be repeated "
            "to the byte, start a new one with --run.",
            file=sys.stderr,
        )


def _assignment(order: Order, train: Dataset) -> cross_validation.Assignment:
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    if order.validation_split is None:
        return cross_validation.folds_of(train.labels, order.folds, order.seeds, order.seed)
    return cross_validation.holdout_of(train.labels, order.validation_split, order.seed)


def _result(
    run: runs.Run,
    splits: Splits,
    assignment: cross_validation.Assignment,
    jobs: int,
    command: str,
) -> cross_validation.Result:
    try:
        with display.watching(sys.stderr) as watcher:
            return cross_validation.trained(run, splits, assignment, watcher, jobs)
    except KeyboardInterrupt:
        print(
            f"\nInterrupted. Every finished epoch is kept in {run.folder}; go on with:\n"
            f"  {command}",
            file=sys.stderr,
        )
        raise


def _settings(
    order: Order, recipe: Recipe, splits: Splits, images: int, *, external: bool
) -> runs.Settings:
    return runs.Settings(
        command=order.command,
        recipe=recipe.name,
        training=_training(order, recipe.training, images),
        deslant=recipe.deslant,
        folds=order.folds,
        seeds=order.seeds,
        seed=order.seed,
        validation_split=order.validation_split,
        limit=order.limit,
        source=splits.source,
        train_fingerprint=splits.train.fingerprint,
        test_fingerprint=splits.test.fingerprint,
        backend=backend_name(),
        threads=None if order.jobs == 1 else _threads(order.jobs),
        external=external,
    )


def _as_started(
    folder: Path, settings: runs.Settings, order: Order, recipe: Recipe
) -> runs.Settings:
    """Return the settings with which the run in ``folder`` resumes.

    Earlier versions trained on few images as on many: a run that one of them started resumes so.
    """
    earlier = replace(settings, training=_training(order, recipe.training, MANY))
    if (folder / "run.json").exists() and runs.Run(folder).settings == earlier:
        return earlier
    return settings


def _note_few_images(training: Training, order: Order, recipe: Recipe, images: int) -> None:
    """Say what is not as the recipe has it, or would not be if the run were started now."""
    many = _training(order, recipe.training, MANY)
    few = _training(order, recipe.training, images)
    changes = ", ".join(
        f"{name.replace('_', ' ')} {getattr(few, name):g} instead of {getattr(many, name):g}"
        for name in ("batch_size", "learning_rate", "epochs")
        if getattr(few, name) != getattr(many, name)
    )
    if not changes:
        return
    text = f"few images, {images:,} for each model: {changes}."
    if training == many:
        text = (
            "the run was started by a version that did not adapt to few images, and keeps its "
            f"settings. A new one, with --run, has {changes}."
        )
    print(f"Note: {text}", file=sys.stderr)


def _training(order: Order, training: Training, images: int) -> Training:
    if order.learning_rate is not None and not 0 < order.learning_rate < math.inf:
        raise InputError(
            f"--learning-rate {order.learning_rate:g} trains nothing: expected more than 0, such "
            "as 0.001."
        )
    batch_size = order.batch_size or training.batch_size
    if batch_size < training.parts:
        raise InputError(
            f"--batch-size {batch_size} is too small: {order.recipe} computes a batch in "
            f"{training.parts} parts. Expected at least {training.parts}."
        )
    return on_this_machine(training).for_images(
        images,
        epochs=order.epochs,
        batch_size=order.batch_size,
        learning_rate=order.learning_rate,
    )


def _threads(jobs: int) -> int:
    """Return the threads of each of ``jobs`` folds that are trained at the same time."""
    return max(1, cores() // jobs)


def _name(order: Order, recipe: Recipe, splits: Splits) -> str:
    """Return a name that differs wherever the settings do, short for the common ones."""
    parts = [
        recipe.name,
        f"{order.folds}-fold" if order.validation_split is None else "train",
        order.validation_split is not None
        and order.validation_split != 0.2  # noqa: PLR2004 — the default
        and f"split{order.validation_split:g}",
        order.seeds > 1 and f"{order.seeds}-seeds",
        order.seed and f"seed{order.seed}",
        order.epochs and f"e{order.epochs}",
        order.batch_size and f"b{order.batch_size}",
        order.learning_rate and f"lr{order.learning_rate:g}",
        order.limit and f"n{order.limit}",
        order.jobs > 1 and f"t{_threads(order.jobs)}",
        not splits.is_competition and splits.source,
        backend_name() != "tensorflow" and backend_name(),
    ]
    return "-".join(str(part) for part in parts if part)


def _report(result: cross_validation.Result, csv: Path, splits: Splits, *, as_json: bool) -> None:
    if as_json:
        options.print_json(
            {
                "run": str(result.run.folder),
                "submission": str(csv),
                "seconds": result.seconds,
                "oof": result.oof and asdict(result.oof),
                "folds": [fold and asdict(fold) for fold in result.folds],
                "test": result.test and asdict(result.test),
            }
        )
        return
    print(f"Run          {result.run.folder}")
    for name, judged in (("Held out", result.oof), ("Test", result.test)):
        if judged:
            print(
                f"{name:12} accuracy {judged.accuracy:.5f} ± {judged.standard_error:.5f}, "
                f"log loss {judged.log_loss:.5f}, "
                f"{judged.errors:,} errors in {judged.images:,} images"
            )
    print(f"Training     {result.seconds:,.0f} s")
    print(f"Submission   {csv} ({len(splits.test):,} rows)")
    if result.run.description["settings"].get("external"):
        print("             rests on other images than train.csv's: marked as external")
    if splits.source == "sample":
        print("             made from the embedded sample: it is no entry for the competition")
