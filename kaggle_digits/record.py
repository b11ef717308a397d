"""The record: different networks, cross-validated and averaged, as many as a budget of time allows.

A plan says which members, how many epochs and repetitions, and how long that will take by a rate
that was measured on this machine. It is made once and kept, so that the same command goes on with
it after a crash. NumPy and the files alone, but for measuring the rate.
"""

import json
import math
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import files, training
from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find

# By what each adds to the others: the first alone is the best alone.
MEMBERS = ("record-5", "record-3", "record-7")
FEWEST_EPOCHS = 4  # below, the recipe `fast` is the better one
SECONDS_A_MODEL = 12.0  # its graph, its predictions and its files
RESERVE = 0.9  # of the budget is planned: the rate was measured for seconds and holds for hours
UNITS = {"s": 1, "m": 60, "h": 3600}
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
        rate: FLOP a second, measured before.
        seconds: what it is estimated to take.

    """

    members: tuple[str, ...]
    folds: int
    seeds: int
    epochs: int
    flop: float
    rate: float
    seconds: float


def seconds_of(text: str) -> float:
    """Return the seconds in ``90s``, ``30m`` or ``8h``.

    Raises:
        InputError: it is none of these.

    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip().lower())
    if match is None or not float(match[1]):
        raise InputError(
            f"--budget {text!r} is no time. Expected a number and s, m or h, such as 30m or 8h."
        )
    return float(match[1]) * UNITS[match[2]]


def flop_of(network: Any) -> float:
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


def flop_of_members() -> dict[str, float]:
    """Return `flop_of` each member's network."""
    start_keras(2)
    return {name: flop_of(find(name).network()) for name in MEMBERS}


def measured_rate(folder: Path) -> float:
    """Return the FLOP a second of training the first member, for some seconds.

    Args:
        folder: where its files may lie meanwhile.

    """
    recipe = find(MEMBERS[0])
    start_keras(recipe.training.parts)
    random = np.random.default_rng(0)
    count = MEASURED_BATCHES * recipe.training.batch_size
    images = random.integers(0, 256, (count, *recipe.image_shape), np.uint8)
    labels = random.integers(0, 10, count).astype(np.uint8)
    data = Dataset(images, labels, np.arange(count))
    _, history = training.fit(
        recipe,
        replace(recipe.training, epochs=2),
        data,
        None,
        seed=(0,),
        folder=folder,
        watcher=training.Unwatched(),
    )
    return flop_of(recipe.network()) * history[-1].images_per_second  # the first built the graph


def planned(
    budget: float | None, images: int, folds: int, rate: float, flop: dict[str, float]
) -> Plan:
    """Return the largest plan whose estimate fits.

    The first member's full epochs come first: they gain more than other members with few epochs
    (docs/LOG.md). Then come the other members, then repetitions with other splits.

    Args:
        budget: seconds; None asks for every member, its recipe's epochs, three repetitions.
        images: in the training data.
        folds: of each cross-validation.
        rate: FLOP a second.
        flop: of an image, by member.

    Raises:
        InputError: not even one member of four epochs fits.

    """
    most = find(MEMBERS[0]).training.epochs

    def plan(members: tuple[str, ...], seeds: int, epochs: int) -> Plan:
        seen = images * (folds - 1) * seeds * epochs  # every fold trains on all but its part
        total = seen * sum(flop[name] for name in members)
        models = folds * seeds * len(members)
        return Plan(
            members, folds, seeds, epochs, total, rate, total / rate + models * SECONDS_A_MODEL
        )

    if budget is None:
        return plan(MEMBERS, 3, most)
    fits = [
        plan(MEMBERS[:count], seeds, epochs)
        for count in range(1, len(MEMBERS) + 1)
        for epochs in range(FEWEST_EPOCHS, most + 1)
        for seeds in ([1] if epochs < most else range(1, 21))
        if plan(MEMBERS[:count], seeds, epochs).seconds <= RESERVE * budget
    ]
    if not fits:
        least = plan(MEMBERS[:1], 1, FEWEST_EPOCHS).seconds / RESERVE
        raise InputError(
            f"--budget {budget:.0f}s is too short: on this machine {folds} folds of "
            f"{FEWEST_EPOCHS} epochs take {math.ceil(least / 60)}m. Give that, or take the recipe "
            "`fast`."
        )
    return max(fits, key=lambda one: (one.epochs, len(one.members), one.seeds))


def kept_plan(path: Path) -> Plan | None:
    """Return the plan that an earlier call left at ``path``, None if there is none.

    Raises:
        InputError: the file is damaged.

    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["plan"]
        return Plan(**values | {"members": tuple(values["members"])})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged: {error}. Expected the plan that `record` wrote; remove it to plan "
            "anew."
        ) from error


def keep_plan(path: Path, plan: Plan) -> None:
    """Write ``plan`` to ``path``."""
    files.write_json(path, {"plan": asdict(plan), "made": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
