"""The kernels that were pushed to Kaggle. Standard library alone: listing starts at once."""

from dataclasses import asdict, dataclass, field
from typing import Any

from kaggle_digits.kaggle_client.json_lines import JsonLines

NAME = "kernels.jsonl"
UNKNOWN = "UNKNOWN"  # being sent, or sent without an answer: the kernel's source on Kaggle tells


@dataclass(frozen=True)
class PushedKernel:
    """One push.

    Attributes:
        time: when it was sent, UTC, ISO 8601.
        kernel: ``user/name``.
        push: the text in its script that no other push has.
        sha256: of all that decides what is trained.
        label: what is trained, short.
        accelerator: Kaggle's name of it, or ``none``.
        session_seconds: after which Kaggle ends the session.
        version: Kaggle's number of this version of the kernel; None while it is unknown.
        status: Kaggle's, or UNKNOWN.
        url: the kernel's address; "" while it is unknown.
        runs: folders of the runs that were fetched.
        extra: fields that a later version wrote.

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
        """What identifies it."""
        return self.push

    def to_json(self) -> dict[str, Any]:
        """Return what its line says, unknown fields included."""
        values = asdict(self)
        extra: dict[str, Any] = values.pop("extra")
        return values | extra


class KernelLedger(JsonLines[PushedKernel]):
    """The file; it need not exist."""

    kind = PushedKernel
    content = "kernels"
