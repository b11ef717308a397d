"""The folder of a study. No other module knows its layout. Standard library only.

    study.json         what all trials share: recipe, space, folds, seed, the data's fingerprint
    trial-N.json       the settings of trial N, its state, and the accuracy of each finished fold
    trial-N.py         trial N as a recipe file; the winner's becomes winner.py
    trial-N/           the run of trial N; models are kept for the best five
    confirm-NAME-S/    the winner or the recipe's own settings with the new seed S
    confirmed.json     what these runs scored
    journal.log        Optuna's journal, made again from the trials by every command
    plots/             pictures

The trials are read from ``trial-N.json`` and the runs alone. A trial whose process was killed is
``running`` there; the next command resumes its run.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kaggle_digits import files, safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.formats import typed_json
from kaggle_digits.runs import safe_folder

KEPT = 5  # trials whose models are kept
TRIAL = re.compile(r"trial-([1-9]\d{0,5})\.json")
NO_STUDY = "`kaggle-digits search --recipe bn20` starts a study."


@dataclass(frozen=True)
class Shared:
    """What all trials of a study share.

    Attributes:
        recipe: name of the recipe.
        recipe_sha256: SHA-256 of the recipe's file; None if it is built in.
        space: the ranges, as text.
        folds: number of folds of each trial. One more part of the images is held back.
        seed: seed of the splits and of the sampler.
        epochs: number of epochs; None for the recipe's.
        precision: precision of training; None for the recipe's.
        limit: number of images; None for all.
        train_fingerprint: SHA-256 of the images.
        backend: Keras backend.

    """

    recipe: str
    recipe_sha256: str | None
    space: str
    folds: int
    seed: int
    epochs: int | None
    precision: str | None
    limit: int | None
    train_fingerprint: str
    backend: str


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        number: 1, 2, …; 1 has the recipe's own settings.
        params: values by the names in the space; empty for the recipe's own settings.
        state: ``running``, ``pruned`` (stopped after some folds) or ``finished``.
        accuracies: of the finished folds in their order, 0-1.
        seconds: training time in seconds.

    """

    number: int
    params: dict[str, Any]
    state: Literal["running", "pruned", "finished"] = "running"
    accuracies: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """Mean accuracy of the finished folds, 0-1."""
        return sum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True)
class Confirmed:
    """Scores of one recipe with new seeds.

    Attributes:
        seeds: the seeds.
        oof: out-of-fold accuracy for each seed, 0-1.
        held_back: accuracy on the held-back images of the mean over all seeds' models, 0-1.
        standard_error: binomial standard error of ``held_back``.

    """

    seeds: tuple[int, ...]
    oof: tuple[float, ...]
    held_back: float
    standard_error: float


@dataclass(frozen=True)
class Confirmation:
    """The winner against the recipe's own settings, with new seeds.

    Attributes:
        trial: number of the winner.
        images: number of held-back images.
        winner: scores of the winner.
        own: scores of the recipe's own settings.
        gain: difference in accuracy on the held-back images.
        gain_error: standard error of the difference, over the images.

    """

    trial: int
    images: int
    winner: Confirmed
    own: Confirmed
    gain: float
    gain_error: float


@dataclass(frozen=True)
class Study:
    """The folder of a study."""

    folder: Path

    @contextlib.contextmanager
    def open(self, shared: Shared) -> Iterator[None]:
        """Start the study or continue it; no other process may write to it in the block.

        Raises:
            InputError: the folder holds a study with other settings, or something else, or another
                process uses it.

        """
        safe_folder.require_ours_or_empty(self.folder, "study")
        busy = (
            f"{self.folder} is in use by another `kaggle-digits search`. Wait for it, or choose "
            "another --study."
        )
        with files.lock(self.folder / ".lock", busy=busy, seconds=0):
            if (self.folder / "study.json").exists():
                self._require_same(shared)
            else:
                files.write_json(self.folder / "study.json", asdict(shared))
            yield

    def _require_same(self, shared: Shared) -> None:
        before, now = asdict(self.shared), asdict(shared)
        different = [
            f"  {name}: the study has {before[name]!r}, this command has {now[name]!r}"
            for name in now
            if before[name] != now[name]
        ]
        if different:
            raise InputError(
                f"{self.folder} holds a study with other settings or data:\n"
                + "\n".join(different)
                + "\nUse the same settings to continue it, or start a new one with --study."
            )

    @property
    def shared(self) -> Shared:
        """What all trials share.

        Raises:
            InputError: there is no study, or its file is damaged.

        """
        if not (self.folder / "study.json").exists():
            raise InputError(f"{self.folder} holds no study: study.json is missing. {NO_STUDY}")
        shared: Shared = self._read("study.json", Shared)
        return shared

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        numbers = sorted(
            int(match[1]) for path in self.folder.iterdir() if (match := TRIAL.fullmatch(path.name))
        )
        return [self._read(f"trial-{number}.json", Trial) for number in numbers]

    @property
    def confirmation(self) -> Confirmation | None:
        """The confirmed winner; None before it is confirmed."""
        exists = (self.folder / "confirmed.json").exists()
        return self._read("confirmed.json", Confirmation) if exists else None

    def write(self, trial: Trial) -> None:
        """Record ``trial``."""
        files.write_json(self.folder / f"trial-{trial.number}.json", asdict(trial))

    def write_confirmation(self, found: Confirmation) -> None:
        """Record the confirmed winner."""
        files.write_json(self.folder / "confirmed.json", asdict(found))

    def remove_confirmation(self) -> None:
        """Remove the record of the confirmed winner."""
        (self.folder / "confirmed.json").unlink(missing_ok=True)

    def run(self, trial: Trial) -> Path:
        """Return the folder of the trial's run."""
        return self.folder / f"trial-{trial.number}"

    def recipe(self, trial: Trial) -> Path:
        """Return the trial's recipe file."""
        return self.folder / f"trial-{trial.number}.py"

    @property
    def winner(self) -> Path:
        """Path of the winner's recipe file."""
        return self.folder / "winner.py"

    def remove_models(self) -> None:
        """Remove the models of all trials but the best five; scores and out-of-fold stay."""
        trials = self.trials
        kept = best(trials)[:KEPT]
        for trial in trials:
            if trial not in kept and trial.state != "running":
                for name in ("model.keras", "checkpoint.keras"):
                    for path in self.run(trial).glob(f"fold-*/{name}"):
                        path.unlink()

    def _read(self, name: str, kind: type[Any]) -> Any:
        path = self.folder / name
        try:
            return typed_json.build(kind, typed_json.parse(safe_reading.read_bytes(path).decode()))
        except (OSError, ValueError) as error:
            advice = "Restore it" if name == "study.json" else "Remove it"  # it is made again
            raise InputError(
                f"{path} is damaged: {error}. Expected the file that `search` wrote. {advice}, or "
                "start a new study with --study."
            ) from error


OWN = Trial(1, {})  # the recipe's own settings


def best(trials: list[Trial]) -> list[Trial]:
    """Return the finished trials, the best first; of equal ones the earlier first."""
    finished = [trial for trial in trials if trial.state == "finished"]
    return sorted(finished, key=lambda trial: (-trial.accuracy, trial.number))
