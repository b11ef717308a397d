"""Check the JSON files of a run before it is used. Standard library only.

Only the fields that every reader relies on are listed: runs of other versions have more or fewer.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kaggle_digits import safe_reading
from kaggle_digits.formats import typed_json
from kaggle_digits.runs.safe_folder import DamagedRunError, unreadable

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # allowed as a part of a file name
MAX_SHOWN = 40  # characters
MAX_TEXT = 10_000  # characters
MAX_CLASSES = 1_000
MAX_SEED = 2**32 - 1  # the largest that scikit-learn takes
MAX_MEMBERS = 10_000  # models of a run; lists of runs count them one by one
# JSON takes up to 24 times its size in memory; the scores of 10,000 models have 2 MB.
MAX_JSON_BYTES = 4 << 20


@dataclass(frozen=True)
class TrainingFacts:
    """The checked fields of ``training`` in the settings."""

    epochs: int


@dataclass(frozen=True)
class SettingFacts:
    """The checked fields of ``settings`` in ``run.json``."""

    recipe: str = ""  # becomes part of a file name, like the source
    source: str | None = None
    folds: int = 1
    seeds: int = 1
    training: TrainingFacts | None = None
    test_fingerprint: str | None = None
    seed: int = 0
    limit: int | None = None
    recipe_sha256: str | None = None

    def __post_init__(self) -> None:
        if min(self.folds, self.seeds) < 1 or self.folds * self.seeds > MAX_MEMBERS:
            raise ValueError(
                f"it has {self.folds} folds and {self.seeds} seeds, expected 1 to "
                f"{MAX_MEMBERS:,} models"
            )
        if not 0 <= self.seed <= MAX_SEED or (self.limit is not None and self.limit < 1):
            raise ValueError(
                f"it has the seed {self.seed} and the limit {self.limit}, expected a seed from 0 "
                f"to {MAX_SEED:,} and a limit from 1"
            )
        for name, value in (("recipe", self.recipe), ("source", self.source)):
            if value and not SLUG.fullmatch(value):
                raise ValueError(
                    f"settings.{name} is {ascii(value)[:MAX_SHOWN]}, expected letters, digits, "
                    "'-', '.' and '_'"
                )


@dataclass(frozen=True)
class Description:
    """The checked fields of ``run.json``."""

    state: Literal["running", "finished"]
    settings: SettingFacts
    command: str = ""
    started: str = ""
    finished: str | None = None
    class_names: tuple[str, ...] = ()
    test_images_in_train: int | None = None
    environment: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.class_names and not 2 <= len(self.class_names) <= MAX_CLASSES:  # noqa: PLR2004
            raise ValueError(
                f"it has {len(self.class_names):,} classes, expected 2 to {MAX_CLASSES:,}"
            )
        for name in ("command", "started"):
            if len(getattr(self, name)) > MAX_TEXT:
                raise ValueError(f"{name} is longer than {MAX_TEXT:,} characters")


@dataclass(frozen=True)
class Scores:
    """The same fields as `evaluation.Scores`, without importing NumPy."""

    accuracy: float
    log_loss: float
    errors: int
    images: int
    standard_error: float


@dataclass(frozen=True)
class Reached:
    """The scores that lists show."""

    accuracy: float | None = None
    log_loss: float | None = None


@dataclass(frozen=True)
class Metrics:
    """The checked fields of ``metrics.json``."""

    oof: Reached | None = None
    test: Scores | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class FoldMark:
    """``finished.json`` of a fold."""

    seconds: float
    scores: Scores | None


def read(path: Path, kind: type, *, advice: str, strict: bool = False) -> dict[str, Any]:
    """Read the JSON object in the file ``path`` and check it.

    Args:
        path: the file, not a link.
        kind: the dataclass whose fields the object must have.
        advice: end of the message about a damaged file: what the user can do.
        strict: whether to reject other fields.

    Raises:
        DamagedRunError: the file cannot be read or is damaged.

    """
    try:
        value = typed_json.parse(safe_reading.read_bytes(path, MAX_JSON_BYTES).decode())
        typed_json.build(kind, value, strict=strict)
    except OSError as error:
        raise unreadable(path, error, advice) from error
    except ValueError as error:
        raise DamagedRunError(path, error, advice) from error
    return dict(value)
