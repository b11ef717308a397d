"""What travels to Kaggle's machine and back: the job inside the script, the list of its output.

The standard library and NumPy's package alone: the script on Kaggle's machine reads this first.
"""

import re
from dataclasses import dataclass
from typing import Literal

from kaggle_digits.runs.records import SLUG

MANIFEST = "kaggle-digits.json"  # written into the output beside the runs
RUNS = "runs"
MAX_NAME = 50  # characters of a kernel's title
MAX_SESSION = 12 * 3600  # seconds; Kaggle ends no session later
MIN_SESSION = 60

# All that a run's folder may hold (`runs.folder`), and what `record` keeps beside its runs.
RUN_FILE = re.compile(
    r"run\.json|recipe\.py|train-hashes\.npz|folds\.npy|oof\.npz|test\.npz|metrics\.json"
    r"|submission\.csv"
    r"|fold-[1-9]\d{0,4}/(checkpoint\.keras|model\.keras|history\.csv|oof\.npz|test\.npz"
    r"|finished\.json)"
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained on Kaggle's machine.

    Attributes:
        record: the members of `record` instead of one recipe.
        recipe: the name of a built-in one, or the name of a Python file that is sent along.
        folds: parts of the training images; each is held out once.
        seeds: how many times the cross-validation is repeated.
        seed: the first of them.
        epochs: number of epochs; None for the recipe's.
        limit: stratified number of training images; None for all.
        precision: of the arithmetic; None chooses it for the GPU that is there.
        budget: of `record`, such as ``2h`` or ``500T``; None for what the session allows.
        session_seconds: after which Kaggle ends the session.
        data: folder on Kaggle's machine below which the data lies.

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
        """What is trained, short, for names: such as ``bn20-5-fold``."""
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
        """The kernel's name, as it stands in its address: of small letters, digits and ``-``."""
        words = re.sub(r"[^a-z0-9]+", "-", f"kaggle-digits-{self.label}".lower())
        return words[:MAX_NAME].strip("-")


@dataclass(frozen=True)
class OutputFile:
    """A file of the output.

    Attributes:
        name: its path below the output's folder, with ``/``.
        size: in bytes.
        sha256: of its content.

    """

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        top, _, rest = self.name.partition("/")
        run, _, inner = rest.partition("/")
        if top != RUNS or not SLUG.fullmatch(run) or not RUN_FILE.fullmatch(inner):
            raise ValueError(f"it lists {ascii(self.name)[:80]}, which is no file of a run")
        if self.size < 0:
            raise ValueError(f"{self.name} has {self.size} bytes")

    @property
    def run(self) -> str:
        """Name of the folder of the run that it belongs to."""
        return self.name.split("/")[1]

    @property
    def inner(self) -> str:
        """Its path below that folder."""
        return self.name.split("/", 2)[2]


@dataclass(frozen=True)
class Manifest:
    """``kaggle-digits.json``, which the script writes after every fold and at its end.

    Attributes:
        push: the text that identifies the push that ran.
        state: ``finished``, or ``stopped`` before the time limit, or ``failed``.
        files: the files of the runs that belong home.
        message: why it failed; "" if it did not.

    """

    push: str
    state: Literal["running", "finished", "stopped", "failed"]
    files: tuple[OutputFile, ...]
    message: str = ""

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(dict.fromkeys(file.run for file in self.files))
