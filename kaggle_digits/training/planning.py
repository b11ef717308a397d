"""The record: different networks, cross-validated and averaged, as many as a budget of time allows.

A plan says which members, how many epochs and repetitions, and how long that will take by a rate
that was measured on this machine. It is made once and kept, so that the same command goes on with
it after a crash. NumPy and the files alone, but for measuring the rate.
"""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kaggle_digits import files
from kaggle_digits.backend import backend_name, start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.recipes import Recipe, Training, find, rename_old_settings
from kaggle_digits.recipes.checking import check_network
from kaggle_digits.recipes.recipe import Precision
from kaggle_digits.training import cross_validation, fit

# By what each was found to add to those before it; the last not beside deslanted ones.
MEMBERS = ("record-5", "record-width", "record-deslanted", "record-7")
ENOUGH_EPOCHS = 12  # from here on another member gains more than further epochs of the first
FEWEST_EPOCHS = 4  # below, the recipe `fast` is the better one
SECONDS_A_MODEL = 12.0  # its graph, its predictions and its files
RESERVE = 0.9  # of the budget is planned: the rate was measured for seconds and holds for hours
SECONDS = {"s": 1, "m": 60, "h": 3600}
FLOP = {"t": 1e12, "p": 1e15}
MEASURED_BATCHES = 40


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        members: recipes.
        folds: of each cross-validation.
        seeds: repetitions of each, with other splits.
        epochs: of each model.
        flop: of the whole training.
        rate: FLOP a second of the training, by what was measured before.
        seconds: what it is estimated to take.

    """

    members: tuple[str, ...]
    folds: int
    seeds: int
    epochs: int
    flop: float
    rate: float
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What a plan may take.

    Attributes:
        amount: seconds or FLOP; infinite if it does not matter.
        unit: which of them.

    """

    amount: float
    unit: Literal["s", "FLOP"]

    def holds(self, plan: Plan) -> bool:
        """Tell whether ``plan`` fits: with a reserve of time, to the letter of FLOP."""
        if self.unit == "FLOP":
            return plan.flop <= self.amount
        return plan.seconds <= RESERVE * self.amount


def parse_budget(text: str) -> Budget:
    """Return the budget in ``90s``, ``30m``, ``8h``, ``500T`` or ``2P``: 10¹² and 10¹⁵ FLOP.

    Raises:
        InputError: it is none of these.

    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|t|p)(?:flop)?", text.strip().lower())
    if match is None or not float(match[1]) or (match[0].endswith("flop") and match[2] in SECONDS):
        raise InputError(
            f"--budget {text!r} is neither a time nor an amount of work. Expected a number and s, "
            "m or h, such as 30m or 8h; or T or P for 10¹² or 10¹⁵ FLOP, such as 500T."
        )
    if match[2] in SECONDS:
        return Budget(float(match[1]) * SECONDS[match[2]], "s")
    return Budget(float(match[1]) * FLOP[match[2]], "FLOP")


def count_flop(network: Any) -> float:
    """Return the floating-point operations that training on one image takes.

    Convolutions and dense layers alone: two for each multiply-add, three passes (forward, gradient
    of the weights, gradient of the inputs).
    """
    multiply_adds = 0
    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            places = int(np.prod(layer.output.shape[1:3]))
            multiply_adds += places * int(np.prod(layer.kernel.shape))
        elif kind == "Dense":
            multiply_adds += int(np.prod(layer.kernel.shape))
    return 6.0 * multiply_adds


def count_flop_of_members(members: Sequence[str]) -> dict[str, float]:
    """Return the FLOP that training each member on one image takes, by its name."""
    start_keras(2)
    return {name: count_flop(find(name).network()) for name in members}


def configure_members(
    images: int, folds: int, precision: Precision | None, members: Sequence[str] = MEMBERS
) -> dict[str, Training]:
    """Return how each member is trained on this machine, by its name.

    Args:
        images: in the training data; batches of few images are smaller, and slower.
        folds: of the cross-validation.
        precision: overrides the recipes' precision; None keeps it.
        members: names or files of recipes.

    """
    kept = _images_of_a_fold(images, folds)
    trainings = {name: find(name).training.for_images(kept) for name in members}
    return {
        name: fit.resolve_precision(replace(one, precision=precision or one.precision))
        for name, one in trainings.items()
    }


def _images_of_a_fold(images: int, folds: int) -> int:
    return images * (folds - 1) // folds


def measure_seconds(trainings: dict[str, Training], folds: int, folder: Path) -> dict[str, float]:
    """Return the seconds that an image takes an epoch, by member, each tried for some seconds.

    Augmentation and the judgement of what is held out are in it, by their shares.

    Args:
        trainings: as of `configure_members`.
        folds: of the cross-validation.
        folder: where their files may lie meanwhile.

    """
    return {
        name: _measure_member(find(name), one, folds, folder / find(name).name)
        for name, one in trainings.items()
    }


def _measure_member(recipe: Recipe, how: Training, folds: int, folder: Path) -> float:
    start_keras(how.batch_splits)
    folder.mkdir()
    random = np.random.default_rng(0)
    count = MEASURED_BATCHES * how.batch_size
    images = random.integers(0, 256, (count, *recipe.image_shape), np.uint8)
    labels = random.integers(0, 10, count).astype(np.uint8)
    train = Dataset(images, labels, np.arange(count))
    _, history = fit.train_model(
        recipe,
        how.over(2),
        train,
        train.take(np.arange(count // (folds - 1))),
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
) -> Plan:
    """Return the largest plan whose estimate fits.

    Enough epochs of the first member come first: they gain more than other members with few epochs
    (docs/LOG.md). Then come the other members, then the recipes' full epochs, then repetitions with
    other splits.

    Args:
        budget: None asks for every member, its recipe's epochs, three repetitions.
        images: in the training data.
        folds: of each cross-validation.
        seconds: of training on an image, by member; those that help most come first.
        flop: of the same.

    Raises:
        InputError: not even one member of four epochs fits.

    """
    all_members = tuple(seconds)
    most = find(all_members[0]).training.for_images(_images_of_a_fold(images, folds)).epochs

    def plan(members: tuple[str, ...], seeds: int, epochs: int) -> Plan:
        seen = images * (folds - 1) * seeds * epochs  # every fold trains on all but its part
        total = seen * sum(flop[name] for name in members)
        trained = seen * sum(seconds[name] for name in members)
        whole = trained + folds * seeds * len(members) * SECONDS_A_MODEL
        return Plan(members, folds, seeds, epochs, total, total / trained, whole)

    if budget is None:
        return plan(all_members, 3, most)
    fits = [
        plan(all_members[:count], seeds, epochs)
        for count in range(1, len(all_members) + 1)
        for epochs in range(FEWEST_EPOCHS, most + 1)
        for seeds in ([1] if epochs < most else range(1, 21))
        if budget.holds(plan(all_members[:count], seeds, epochs))
    ]
    if not fits:
        raise InputError(_describe_too_short(budget, plan(all_members[:1], 1, FEWEST_EPOCHS)))
    return max(
        fits,
        key=lambda one: (
            min(one.epochs, ENOUGH_EPOCHS),
            len(one.members),
            one.epochs,
            one.seeds,
        ),
    )


def _describe_too_short(budget: Budget, least: Plan) -> str:
    if budget.unit == "FLOP":
        given, needed = f"{budget.amount / 1e12:g}T", f"{math.ceil(least.flop / 1e12)}T"
    else:
        given, needed = f"{budget.amount:g}s", f"{math.ceil(least.seconds / RESERVE / 60)}m"
    return (
        f"--budget {given} is too short: on this machine {least.folds} folds of {least.epochs} "
        f"epochs take {needed}. Give that, or take the recipe `fast`."
    )


def circumstances(train: Dataset, trainings: dict[str, Training]) -> dict[str, Any]:
    """Return what a plan was made for: other images, members or arithmetic need another one."""
    made_for: dict[str, Any] = {
        "train_fingerprint": train.fingerprint,
        "backend": backend_name(),
        "members": {name: asdict(one) for name, one in trainings.items()},
    }
    own = {name: file for name in trainings if (file := find(name).file) is not None}
    if own:
        made_for["recipe_sha256"] = {name: files.sha256_of(file) for name, file in own.items()}
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
        cross_validation.require_shape(recipe, train.images)
        if recipe.file is not None:
            start_keras(recipe.training.batch_splits)
            check_network(recipe, len(train.class_names))


@dataclass(frozen=True)
class _Kept:
    """The file that keeps a plan."""

    plan: Plan
    made_for: dict[str, Any]


def load_plan(path: Path, made_for: dict[str, Any]) -> Plan | None:
    """Return the plan that an earlier call left at ``path``, None if there is none for this.

    Args:
        path: of the file.
        made_for: as of `circumstances`.

    Raises:
        InputError: the file is damaged.

    """
    if not path.exists():
        return None
    try:
        text = files.read_bytes(path).decode()
        kept = typed_json.build(_Kept, typed_json.parse(text), strict=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: {error}. Expected the plan that `record` wrote; remove it to plan "
            "anew."
        ) from error
    return kept.plan if _add_defaults(kept.made_for) == _add_defaults(made_for) else None


def _add_defaults(made_for: dict[str, Any]) -> dict[str, Any]:
    """Return what a plan of an earlier version was made for, settings since added at defaults."""
    defaults = {f.name: f.default for f in fields(Training) if f.default is not MISSING}
    members = made_for.get("members", {})
    trainings = {name: rename_old_settings(dict(members[name])) for name in members}
    return made_for | {"members": {name: defaults | trainings[name] for name in trainings}}


def save_plan(path: Path, plan: Plan, made_for: dict[str, Any]) -> None:
    """Write ``plan`` and what it was made for to ``path``."""
    made = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    files.write_json(path, {"plan": asdict(plan), "made_for": made_for, "made": made})
