"""Record the kernels that were pushed to Kaggle. Imports only the standard library."""

from dataclasses import asdict, dataclass, field
from typing import Any

from kaggle_digits.kaggle_client.json_lines import JsonLines

NAME = "kernels.jsonl"
UNKNOWN = "UNKNOWN"  # being sent, or sent without an answer; resolved by the source on Kaggle


@dataclass(frozen=True)
class PushedKernel:
    """One push.

    Attributes:
        time: time of the push, UTC, ISO 8601.
        kernel: ``user/name``.
        push: the unique random text in its script.
        sha256: SHA-256 of everything that determines the training.
        label: short name of the training.
        accelerator: Kaggle's name of the accelerator, or ``none``.
        session_seconds: time limit of the session in seconds.
        version: Kaggle's number of this version of the kernel; None while it is unknown.
        status: Kaggle's status, or UNKNOWN.
        url: the kernel's address; "" while it is unknown.
        runs: folders of the runs that were fetched.
        extra: unknown fields, written by a later version.

    """

    time: str
    kernel: str
    push: str
    sha256: str
    label: str
    accelerator: str
    session_seconds: int
    version: int | None = None
    status: str = UNKNOWN
    url: str = ""
    runs: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The random text, which identifies the push."""
        return self.push

    def to_json(self) -> dict[str, Any]:
        """Return the entry's JSON object, including unknown fields."""
        values = asdict(self)
        extra: dict[str, Any] = values.pop("extra")
        return values | extra


class KernelLedger(JsonLines[PushedKernel]):
    """The ledger file, which may be missing."""

    kind = PushedKernel
    content = "kernels"
