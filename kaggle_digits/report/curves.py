"""Compute learning curves as SVG shapes; the page's style sheet sets the colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kaggle_digits.training.history import Epoch

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 34
STEPS = (1, 2, 5)  # ticks per power of ten
MAX_TICKS = 8
MAX_LABELS_X = 8

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A curve: its CSS class and its SVG points."""

    kind: str
    points: str


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        name: title of the y axis.
        summary: the chart in words, for screen readers.
        x_ticks: positions and labels on the x axis.
        y_ticks: positions and labels on the y axis.
        lines: a thin line per model, a thick line for their mean.

    """

    name: str
    summary: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


def draw_curves(histories: Sequence[Sequence[Epoch]]) -> tuple[Panel, ...]:
    """Return charts of loss and error rate against epochs, both on logarithmic axes.

    Args:
        histories: one history per model, at least one; all with the same number of epochs.

    """
    loss, val_loss = _read(histories, "loss"), _read(histories, "val_loss")
    wrong, val_wrong = (1 - _read(histories, name) for name in ("accuracy", "val_accuracy"))
    return (
        _draw_panel("loss (cross-entropy, nats)", loss, val_loss),
        _draw_panel("error rate (1 - accuracy)", wrong, val_wrong),
    )


def _read(histories: Sequence[Sequence[Epoch]], name: str) -> Values:
    """Return float64 ``[models, epochs]``."""
    return np.array([[getattr(epoch, name) for epoch in history] for history in histories], float)


def _draw_panel(name: str, trained: Values, held_out: Values) -> Panel:
    values = np.concatenate([trained.ravel(), held_out.ravel()])
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    ticks = _choose_ticks(low, high)
    lowest, highest = math.log10(min(low, ticks[0])), math.log10(max(high, ticks[-1]))

    def place_y(value: float) -> float:
        # A logarithmic axis has no 0, so 0 is drawn at the lower end.
        share = (math.log10(max(value, 10**lowest)) - lowest) / (highest - lowest)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    epochs = trained.shape[1]

    def place_x(epoch: int) -> float:
        share = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.5  # the middle
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    lines = []
    for kind, curves in (("trained", trained), ("held-out", held_out)):
        if not np.isfinite(curves).all():
            continue
        for weight, several in (("thin", curves), ("thick", curves.mean(axis=0)[np.newaxis])):
            lines += [
                Line(
                    f"{kind} {weight}",
                    # A single point is drawn twice, so that its round line ends are visible.
                    " ".join(
                        f"{place_x(at)},{place_y(value)}"
                        for at, value in enumerate(curve if epochs > 1 else 2 * curve, start=1)
                    ),
                )
                for curve in several.tolist()
            ]
    step = math.ceil(epochs / MAX_LABELS_X)
    return Panel(
        name,
        _summarize(name, trained, held_out),
        tuple((place_x(epoch), str(epoch)) for epoch in range(1, epochs + 1, step)),
        tuple((place_y(tick), f"{tick:g}") for tick in ticks),
        tuple(lines),
    )


def _choose_ticks(low: float, high: float) -> list[float]:
    """Return at least two ascending round values that cover ``low`` to ``high``."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in (STEPS, STEPS[:1]):
        ticks = [step * 10.0**power for power in powers for step in steps]
        first = max(number for number, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
        last = min(number for number, tick in enumerate(ticks) if tick * (1 + 1e-9) >= high)
        chosen = ticks[first : max(last, first + 1) + 1]
        if len(chosen) <= MAX_TICKS:
            break
    return chosen


def _summarize(name: str, trained: Values, held_out: Values) -> str:
    text = f"{name} over {trained.shape[1]} epochs, {len(trained)} models. At the end, on average: "
    text += f"{trained[:, -1].mean():.4f} on training images"
    last = held_out[:, -1].mean()
    return text + (f", {last:.4f} on held-out images." if math.isfinite(last) else ".")
