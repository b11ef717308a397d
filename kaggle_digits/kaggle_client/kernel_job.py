"""Define the job in a kernel's script, and the manifest of its output.

Imports only the standard library and NumPy, because the script on Kaggle's machine starts here.
"""

import re
from dataclasses import dataclass
from typing import Literal

from kaggle_digits.runs.records import SLUG

MANIFEST = "kaggle-digits.json"  # written into the output beside the runs
RUNS = "runs"
MAX_NAME = 50  # characters of a kernel's title
MAX_SESSION = 12 * 3600  # seconds; Kaggle's limit
MIN_SESSION = 60

# The files that a run folder may contain (`runs.folder`).
RUN_FILE = re.compile(
    r"run\.json|recipe\.py|train-hashes\.npz|folds\.npy|oof\.npz|test\.npz|metrics\.json"
    r"|submission\.csv"
    r"|fold-[1-9]\d{0,4}/(checkpoint\.keras|model\.keras|history\.csv|oof\.npz|test\.npz"
    r"|finished\.json)"
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """The training to run on Kaggle's machine.

    Attributes:
        record: whether to train the members of `record` instead of one recipe.
        recipe: name of a built-in recipe, or of the Python file in the script.
        folds: number of folds; each is held out once.
        seeds: number of repetitions of the cross-validation.
        seed: the first seed.
        epochs: number of epochs; None for the recipe's.
        limit: size of the stratified subset of training images; None for all.
        precision: numeric precision; None chooses it by the GPU.
        budget: budget of `record`, such as ``2h`` or ``500T``; None for the session's length.
        session_seconds: time limit of the session in seconds.
        data: folder on Kaggle's machine to search for the data.

    """

    recipe: str = "bn20"
    record: bool = False
    folds: int = 5
    seeds: int = 1
    seed: int = 0
    epochs: int | None = None
    limit: int | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    budget: str | None = None
    session_seconds: int
    data: str = "/kaggle/input"

    @property
    def label(self) -> str:
        """A short name of the training, such as ``bn20-5-fold``."""
        parts = [
            "record" if self.record else self.recipe.removesuffix(".py"),
            (self.budget or "") if self.record else "",
            f"{self.folds}-fold",
            f"{self.seeds}-seeds" if self.seeds > 1 else "",
            f"seed{self.seed}" if self.seed else "",
            f"e{self.epochs}" if self.epochs else "",
            self.precision or "",
            f"n{self.limit}" if self.limit else "",
        ]
        return "-".join(filter(None, parts))

    @property
    def default_name(self) -> str:
        """The kernel's name in its address: lower-case letters, digits and hyphens."""
        words = re.sub(r"[^a-z0-9]+", "-", f"kaggle-digits-{self.label}".lower())
        return words[:MAX_NAME].strip("-")


@dataclass(frozen=True)
class OutputFile:
    """A file of the output.

    Attributes:
        name: path relative to the output folder, with ``/``.
        size: size in bytes.
        sha256: SHA-256 of the content.

    """

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        top, _, rest = self.name.partition("/")
        run, _, inner = rest.partition("/")
        if top != RUNS or not SLUG.fullmatch(run) or not RUN_FILE.fullmatch(inner):
            raise ValueError(f"it lists {ascii(self.name)[:80]}, which is not a file of a run")
        if self.size < 0:
            raise ValueError(f"{self.name} has {self.size} bytes")

    @property
    def run(self) -> str:
        """Name of its run folder."""
        return self.name.split("/")[1]

    @property
    def inner(self) -> str:
        """Path relative to the run folder."""
        return self.name.split("/", 2)[2]


@dataclass(frozen=True)
class Manifest:
    """``kaggle-digits.json``, which the script writes after every fold and at its end.

    Attributes:
        push: the random text that identifies the push.
        state: ``running`` (written after a fold), ``finished``, ``stopped`` (before the time
            limit) or ``failed``.
        files: the files of the runs to download.
        message: the reason of a failure; "" if it did not fail.

    """

    push: str
    state: Literal["running", "finished", "stopped", "failed"]
    files: tuple[OutputFile, ...]
    message: str = ""

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(dict.fromkeys(file.run for file in self.files))
