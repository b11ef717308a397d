"""What the JSON files of a run must say before anything is done with it. Standard library alone.

Only what is used without asking for more is listed here: runs of other versions hold more, or less.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaggle_digits import typed_json
from kaggle_digits.errors import InputError

MAX_MEMBERS = 10_000  # models of a run; lists of runs count them one by one


@dataclass(frozen=True)
class TrainingFacts:
    """Of ``training`` in the settings."""

    epochs: int


@dataclass(frozen=True)
class SettingFacts:
    """Of ``settings`` in ``run.json``."""

    recipe: str = ""
    source: str | None = None
    folds: int = 1
    seeds: int = 1
    training: TrainingFacts | None = None
    test_fingerprint: str | None = None

    def __post_init__(self) -> None:
        if min(self.folds, self.seeds) < 1 or self.folds * self.seeds > MAX_MEMBERS:
            raise ValueError(
                f"it has {self.folds} folds and {self.seeds} seeds, expected 1 to "
                f"{MAX_MEMBERS:,} models"
            )


@dataclass(frozen=True)
class Description:
    """``run.json``."""

    state: str
    settings: SettingFacts
    command: str = ""
    started: str = ""
    finished: str | None = None
    class_names: tuple[str, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """As of `evaluation`, which needs NumPy."""

    accuracy: float
    log_loss: float
    errors: int
    images: int
    standard_error: float


@dataclass(frozen=True)
class Reached:
    """What lists show of scores."""

    accuracy: float | None = None
    log_loss: float | None = None


@dataclass(frozen=True)
class Metrics:
    """``metrics.json``."""

    oof: Reached | None = None
    test: Scores | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class FoldMark:
    """``finished.json`` of a fold."""

    seconds: float
    scores: Scores | None


def read(path: Path, kind: type, *, advice: str, strict: bool = False) -> dict[str, Any]:
    """Return the JSON object at ``path``.

    Args:
        path: of the file.
        kind: the dataclass that it must fit.
        advice: the end of the message about a damaged file: what the user can do.
        strict: whether it may hold nothing else.

    Raises:
        InputError: it cannot be read or is damaged.

    """
    try:
        value = typed_json.parse(path.read_text(encoding="utf-8"))
        typed_json.build(kind, value, strict=strict)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. {advice}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}. {advice}") from error
    return dict(value)
