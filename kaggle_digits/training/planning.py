"""Plan ``record``: as many cross-validated networks as a budget of time or work allows.

A plan holds the members, the epochs, the repetitions and the estimated time, from a speed measured
on this machine. It is made once and kept, so that the same command resumes it after a crash.
Only measuring the speed needs Keras.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import files, safe_reading
from kaggle_digits.backend import backend_name
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.recipes import Recipe, Training, find, rename_old_settings
from kaggle_digits.recipes.checking import check_network, require_classes, require_shape
from kaggle_digits.recipes.recipe import Precision
from kaggle_digits.training import fit
from kaggle_digits.training.budget import RESERVE, Budget

# The best member alone, then the one that adds most to it, and so on.
MEMBERS = ("record-deslanted", "record-5", "record-width", "record-7")
# What gains more than the next thing in this list: so many epochs of the first member, a second
# member, so many epochs of both, the other members, all epochs of the recipes, repetitions.
FIRST_EPOCHS, FIRST_MEMBERS, LATER_EPOCHS = 8, 2, 15
MIN_EPOCHS = 4  # with fewer, the recipe `fast` is better
SHOWN_SECONDS = 120  # longer times are shown in minutes
SECONDS_A_MODEL = 12.0  # for building the graph, predicting and writing files
MEASURED_BATCHES = 40


@dataclass(frozen=True)
class Plan:
    """The models that ``record`` trains.

    Attributes:
        members: names of the recipes.
        folds: number of folds of each cross-validation.
        seeds: number of repetitions of each cross-validation, with other splits.
        epochs: number of epochs of each model.
        flop: FLOP of the whole training.
        rate: training speed in FLOP per second, from the measurement.
        seconds: estimated time in seconds.
        self_training: whether every member is trained a second time, also on the test images that
            the first round labels.

    """

    members: tuple[str, ...]
    folds: int
    seeds: int
    epochs: int
    flop: float
    rate: float
    seconds: float
    self_training: bool = False


def configure_members(
    images: int, folds: int, precision: Precision | None, members: Sequence[str] = MEMBERS
) -> dict[str, Training]:
    """Return the training settings of each member on this machine, by the member's name.

    Args:
        images: number of training images. With few images, batches are smaller and slower.
        folds: number of folds of the cross-validation.
        precision: overrides the recipes' precision; None keeps it.
        members: names or files of recipes.

    """
    kept = _images_of_a_fold(images, folds)
    trainings = {name: find(name).training.for_images(kept) for name in members}
    return {
        name: fit.resolve_precision(replace(training, precision=precision or training.precision))
        for name, training in trainings.items()
    }


def _images_of_a_fold(images: int, folds: int) -> int:
    return images * (folds - 1) // folds


def measure_seconds(trainings: dict[str, Training], folds: int, folder: Path) -> dict[str, float]:
    """Measure the seconds per image and epoch of each member, training each for some seconds.

    The time includes augmentation and the validation on held-out images.

    Args:
        trainings: settings from `configure_members`.
        folds: number of folds of the cross-validation.
        folder: existing folder for temporary files.

    """
    return {
        name: _measure_member(find(name), training, folds, folder / find(name).name)
        for name, training in trainings.items()
    }


def _measure_member(recipe: Recipe, training: Training, folds: int, folder: Path) -> float:
    training.start_keras()
    folder.mkdir()
    random = np.random.default_rng(0)
    count = MEASURED_BATCHES * training.batch_size
    images = random.integers(0, 256, (count, *recipe.image_shape), np.uint8)
    labels = random.integers(0, 10, count).astype(np.uint8)
    train = Dataset(images, labels, np.arange(count))
    _, history = fit.train_model(
        recipe,
        training.over(2),
        train,
        train.take(np.arange(math.ceil(count / (folds - 1)))),
        seed=(0,),
        folder=folder,
        watcher=fit.NullFoldCallback(),
    )
    return history[-1].seconds / count  # the first epoch built the graphs


def make_plan(
    budget: Budget | None,
    images: int,
    folds: int,
    seconds: dict[str, float],
    flop: dict[str, float],
    jobs: int = 1,
    pseudo_labelled: int = 0,
) -> Plan:
    """Return the largest plan that fits the budget.

    The budget is spent in the order of the measured gain (docs/LOG.md): `FIRST_EPOCHS` of the first
    member; a second member; `LATER_EPOCHS` of both; the other members; the recipes' full number of
    epochs; repetitions with other splits.

    Args:
        budget: None plans every member, its recipe's epochs and three repetitions.
        images: number of training images.
        folds: number of folds of each cross-validation.
        seconds: seconds per image and epoch, by member, the most useful member first.
        flop: FLOP per image and epoch, by member.
        jobs: number of folds trained at the same time.
        pseudo_labelled: number of test images that a second round is also trained on; 0 plans one
            round.

    Raises:
        InputError: not even one member of four epochs fits.

    """
    all_members = tuple(seconds)
    most = find(all_members[0]).training.for_images(_images_of_a_fold(images, folds)).epochs

    def plan(members: tuple[str, ...], seeds: int, epochs: int) -> Plan:
        # In each round, every fold trains on all training images but its own.
        rounds = 2 if pseudo_labelled else 1
        seen = (rounds * images * (folds - 1) + folds * pseudo_labelled) * seeds * epochs
        total = seen * sum(flop[name] for name in members)
        share = math.ceil(folds / jobs) / folds  # of the time of folds in turn
        trained = share * seen * sum(seconds[name] for name in members)
        models = rounds * folds * seeds * len(members)
        whole = trained + share * models * SECONDS_A_MODEL
        return Plan(members, folds, seeds, epochs, total, total / trained, whole, rounds > 1)

    if budget is None:
        return plan(all_members, 3, most)
    plans = (
        plan(all_members[:count], seeds, epochs)
        for count in range(1, len(all_members) + 1)
        for epochs in range(MIN_EPOCHS, most + 1)
        for seeds in ([1] if epochs < most else range(1, 21))
    )
    fits = [found for found in plans if budget.holds(seconds=found.seconds, flop=found.flop)]
    if not fits:
        raise InputError(_describe_too_short(budget, plan(all_members[:1], 1, MIN_EPOCHS)))
    return max(
        fits,
        key=lambda plan: (
            min(plan.epochs, FIRST_EPOCHS),
            min(len(plan.members), FIRST_MEMBERS),
            min(plan.epochs, LATER_EPOCHS),
            len(plan.members),
            plan.epochs,
            plan.seeds,
        ),
    )


def _describe_too_short(budget: Budget, smallest: Plan) -> str:
    if budget.unit == "FLOP":
        given, needed = f"{budget.amount / 1e12:g}T", f"{math.ceil(smallest.flop / 1e12)}T"
    else:
        seconds = math.ceil(smallest.seconds / RESERVE)
        given = f"{budget.amount:g}s"
        needed = f"{seconds}s" if seconds < SHOWN_SECONDS else f"{math.ceil(seconds / 60)}m"
    return (
        f"--budget {given} is too short: on this machine {smallest.folds} folds of "
        f"{smallest.epochs} epochs take {needed}. Use --budget {needed} or more, or run "
        "`kaggle-digits cv --recipe fast`."
    )


def circumstances(
    train: Dataset,
    trainings: dict[str, Training],
    pseudo_labelled: int = 0,
    jobs: int | None = None,
) -> dict[str, Any]:
    """Return what a plan depends on: other images, members or settings need another plan.

    Args:
        train: the training images.
        trainings: settings from `configure_members`.
        pseudo_labelled: number of test images that a second round is also trained on; 0 for none.
        jobs: the given number of folds trained at the same time, if the budget is a time.

    """
    made_for: dict[str, Any] = {
        "train_fingerprint": train.fingerprint,
        "backend": backend_name(),
        "members": {name: asdict(training) for name, training in trainings.items()},
        "jobs": jobs,
    }
    if pseudo_labelled:
        made_for["pseudo_labelled"] = pseudo_labelled
    found = {name: find(name).program_sha256 for name in trainings}
    if own := {name: sha256 for name, sha256 in found.items() if sha256 is not None}:
        made_for["recipe_sha256"] = own
    return made_for


def require_members(members: Sequence[str], train: Dataset) -> None:
    """Raise an InputError unless ``members`` are different recipes that take these images."""
    names = [find(member).name for member in members]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"--members names {repeated[0]!r} more than once. Expected different recipes; "
            "`kaggle-digits recipes` lists them."
        )
    for member in members:
        recipe = find(member)
        require_shape(recipe, train.images)
        require_classes(recipe, train)
        if recipe.file is not None:
            recipe.training.start_keras()
            check_network(recipe, len(train.class_names))


@dataclass(frozen=True)
class _Kept:
    """The content of the file that keeps a plan."""

    plan: Plan
    made_for: dict[str, Any]


def load_plan(path: Path, made_for: dict[str, Any]) -> Plan | None:
    """Load the plan that an earlier call saved.

    Args:
        path: the file.
        made_for: the current `circumstances`.

    Returns:
        The plan; None if the file is missing or its plan was made for something else.

    Raises:
        InputError: the file is damaged.

    """
    if not path.exists():
        return None
    try:
        text = safe_reading.read_bytes(path).decode()
        kept = typed_json.build(_Kept, typed_json.parse(text), strict=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: {error}. Expected the plan that `record` wrote. Remove the file "
            "to make a new plan."
        ) from error
    before = {"jobs": made_for.get("jobs")} | kept.made_for  # earlier versions did not record them
    return kept.plan if _add_defaults(before) == _add_defaults(made_for) else None


def _add_defaults(made_for: dict[str, Any]) -> dict[str, Any]:
    """Add the settings that an earlier version did not know, with their defaults."""
    defaults = {f.name: f.default for f in fields(Training) if f.default is not MISSING}
    members = made_for.get("members", {})
    trainings = {name: rename_old_settings(dict(members[name])) for name in members}
    return made_for | {"members": {name: defaults | trainings[name] for name in trainings}}


def save_plan(path: Path, plan: Plan, made_for: dict[str, Any]) -> None:
    """Write ``plan`` and its circumstances to ``path``."""
    made = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    files.write_json(path, {"plan": asdict(plan), "made_for": made_for, "made": made})
