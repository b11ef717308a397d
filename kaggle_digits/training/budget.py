"""Budgets of time or work, such as ``30m`` or ``500T``."""

import re
from dataclasses import dataclass
from typing import Literal

from kaggle_digits.errors import InputError

# Share of a time that is planned: a speed measured in seconds must hold for hours.
RESERVE = 0.9
SECONDS = {"s": 1, "m": 60, "h": 3600}
FLOP = {"t": 1e12, "p": 1e15}


@dataclass(frozen=True)
class Budget:
    """The most time or work that a training may take.

    Attributes:
        amount: seconds or FLOP; infinite for no limit.
        unit: ``s`` or ``FLOP``.

    """

    amount: float
    unit: Literal["s", "FLOP"]

    def holds(self, *, seconds: float, flop: float) -> bool:
        """Return whether so much time and work fit. Time keeps a reserve; FLOP are exact."""
        return flop <= self.amount if self.unit == "FLOP" else seconds <= RESERVE * self.amount


def parse_budget(text: str) -> Budget:
    """Parse a budget such as ``90s``, ``30m``, ``8h``, ``500T`` (10¹² FLOP) or ``2P`` (10¹⁵ FLOP).

    Raises:
        InputError: the text has another form.

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
