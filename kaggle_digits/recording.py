"""Train the best ensemble that fits a budget: plan → cross-validate the members → blend."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaggle_digits import datasets, files, pipeline, submissions, trackers, training_api
from kaggle_digits.blending import Blend, ensemble
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError
from kaggle_digits.files import RUNS, SUBMISSIONS
from kaggle_digits.recipes import find
from kaggle_digits.terminal_text import plain
from kaggle_digits.training import planning, splitting
from kaggle_digits.training.budget import parse_budget
from kaggle_digits.training.configuration import TrainConfig, require_seeds
from kaggle_digits.training.cross_validation import TrainingCallback
from kaggle_digits.training.flop import count_flop_of_members
from kaggle_digits.training.planning import Plan

# What a plan leaves to the user; it chooses the other settings itself.
SETTINGS = {"seed", "precision", "limit", "on", "jobs", "ray_address", "storage", "log"}


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """Configuration of an ensemble within a budget.

    Attributes:
        train: what all runs share. Recipe, epochs, seed and pseudo-labels are the plan's.
        budget: time, such as ``30m``, or work, such as ``500T`` (FLOP); None for no limit.
        members: recipes to choose from, the most useful first; none for `planning.MEMBERS`.
        self_training: whether a second round learns pseudo-labels of the first.

    """

    train: TrainConfig
    budget: str | None = None
    members: tuple[str, ...] = ()
    self_training: bool = False

    def __post_init__(self) -> None:
        """Raise InputError for a value that cannot be used, before data are loaded."""
        if self.budget is not None:
            parse_budget(self.budget)
        if not isinstance(self.self_training, bool):
            raise InputError(
                f"received self_training={self.self_training!r}. Expected True or False."
            )

    def name_plan(self, splits: Splits) -> str:
        """Return a name for the plan's folder and the CSV: unique for the settings and the data."""
        train = self.train
        parts = [
            "record",
            (self.budget or "").strip().lower(),
            f"{train.folds}-fold",
            train.seed and f"seed{train.seed}",
            train.precision,
            train.limit and f"n{train.limit}",
            self.self_training and "self-training",
            *(find(member).name for member in self.members),
            not splits.is_competition and splits.source,
        ]
        return "-".join(str(part) for part in parts if part)

    def name_plan_file(self, splits: Splits) -> Path:
        """Return the path of the kept plan."""
        return RUNS / self.name_plan(splits) / "plan.json"


def record(
    data: Splits | str | Path = "input",
    *,
    budget: str | None = None,
    members: Sequence[str | Path] | str | Path | None = None,
    folds: int = 5,
    self_training: bool = False,
    submission: str | Path | None = None,
    callback: TrainingCallback | None = None,
    **settings: Any,
) -> Blend:
    """Train the best ensemble that fits a budget.

    The machine is measured for half a minute, and the plan is kept: the same call resumes it.

    Args:
        data: the result of `load`, or the folder with the data.
        budget: time, such as ``30m`` or ``8h``, or work, such as ``500T`` (FLOP); None trains every
            member with three seeds.
        members: names or files of the recipes to choose from, the most useful first; None for the
            built-in ones.
        folds: number of folds; each is held out once.
        self_training: whether every member is trained a second time, with pseudo-labels from the
            first round; only the second round is blended.
        submission: the CSV to write; None names it after the budget, in ``submissions/``.
        callback: `TrainingCallback` that receives the progress of each run. None shows progress
            bars in Jupyter and nothing elsewhere.
        settings: seed, precision, limit, on, jobs, ray_address, storage or log, as for
            `cross_validate`.

    Returns:
        The mean of the runs that the plan names.

    Raises:
        InputError: a setting does not fit, or nothing fits the budget.

    Example:
        >>> blend = kd.record("input", budget="0.003T", members=["dense"], folds=2, limit=200)
        >>> blend.scores.images, blend.method
        (200, 'mean')

    """
    training_api.require_data("record", data)
    chosen = _list_members(members)
    first = (chosen or planning.MEMBERS)[0]
    if budget is not None:
        budget = str(budget)  # a number gets the message for its text
    train = training_api.configure("record", first, {"folds": folds}, settings, SETTINGS)
    trackers.require_trackers(train.log)
    config = RecordConfig(
        train=train,
        budget=budget,
        members=chosen,
        self_training=self_training,
    )
    splits = data if isinstance(data, Splits) else datasets.load(files.expand_home(data))
    csv = files.expand_home(submission or SUBMISSIONS / f"{config.name_plan(splits)}.csv")
    submissions.require_target(csv)  # fail before hours of work
    plan = find_plan(config, splits)

    def cross_validate(member: TrainConfig) -> Path:
        command = f"kaggle_digits.record(…, budget={config.budget!r})"
        return training_api.train_in_python("record", member, data, callback, command).folder

    blend = ensemble(train_members(config, plan, cross_validate))
    blend.write_submission(csv)
    return blend


def _list_members(members: Sequence[str | Path] | str | Path | None) -> tuple[str, ...]:
    """Return the names and files of the members; no names for the built-in ones."""
    if members is None:
        return ()
    listed = [members] if isinstance(members, str | Path) else members
    chosen = list(listed) if isinstance(listed, Iterable) else []
    if not chosen or not all(isinstance(member, str | Path) for member in chosen):
        raise InputError(
            f"record received members={plain(repr(members))}. Expected names or files of "
            "recipes, such as ['record-5', 'my_net.py'], or None for the built-in ones."
        )
    return tuple(map(str, chosen))


def find_plan(
    config: RecordConfig, splits: Splits, measuring: Callable[[], object] = lambda: None
) -> Plan:
    """Return the kept plan for ``config``. Without one, measure the machine, plan and keep it.

    Args:
        config: what to plan.
        splits: the images.
        measuring: called before the machine is measured, which takes half a minute.

    Raises:
        InputError: a member does not fit the images, a class has fewer images than folds, or no
            plan fits.

    """
    members = config.members or planning.MEMBERS
    budget = None if config.budget is None else parse_budget(config.budget)
    planning.require_members(members, splits.train)
    splitting.require_all_classes(splits.train)
    shared = config.train
    train = splitting.subsample(splits.train, shared.limit, shared.seed)
    assert train.labels is not None  # noqa: S101 — training data is labelled by contract
    splitting.require_images_for_folds(train.labels, shared.folds)
    pseudo_labelled = len(splits.test) if config.self_training else 0
    trainings = planning.configure_members(len(train), shared.folds, shared.precision, members)
    jobs = shared.jobs if budget is not None and budget.unit == "s" else None
    made_for = planning.circumstances(train, trainings, pseudo_labelled, jobs)
    path = config.name_plan_file(splits)
    if plan := planning.load_plan(path, made_for):
        return plan
    measuring()
    with tempfile.TemporaryDirectory() as folder:
        seconds = planning.measure_seconds(trainings, shared.folds, Path(folder))
    plan = planning.make_plan(
        budget,
        len(train),
        shared.folds,
        seconds,
        count_flop_of_members(members),
        pipeline.count_jobs(shared, train),
        pseudo_labelled,
    )
    planning.save_plan(path, plan, made_for)
    return plan


def train_members(
    config: RecordConfig, plan: Plan, train: Callable[[TrainConfig], Path]
) -> list[Path]:
    """Cross-validate the members of a plan; return their runs' folders: those of the last round.

    Each member has its own run, so that a larger budget reuses what a smaller one trained.

    Args:
        config: the configuration that the plan was made for.
        plan: from `find_plan`.
        train: trains a run, or finds it finished, and returns its folder.

    """
    shared = replace(config.train, folds=plan.folds, epochs=plan.epochs)
    require_seeds(shared.seed, plan.seeds)

    def train_round(seed: int, pseudo_labels: tuple[Path, ...]) -> list[Path]:
        return [
            train(replace(shared, recipe=find(member), seed=seed, pseudo_labels=pseudo_labels))
            for member in plan.members
        ]

    runs = []
    for repeat in range(plan.seeds):
        seed = shared.seed + repeat
        found = train_round(seed, ())
        runs += train_round(seed, tuple(found)) if plan.self_training else found
    return runs
