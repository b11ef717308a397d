"""Plot learning curves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.plots import canvas
from kaggle_digits.plots.canvas import BLUE, FAINT, MARGIN, VERMILION, WIDTH
from kaggle_digits.terminal_text import describe_count
from kaggle_digits.training.history import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = npt.NDArray[np.float64]

LEFT, HEIGHT, BELOW = 0.75, 3.5, 0.55  # inches
FINE_TICKS = 10  # with more ticks, only the powers of ten are marked


def learning_curves(histories: Sequence[Sequence[Epoch]], note: str) -> "Figure":
    """Plot loss and accuracy against epochs: every fold thin, their mean thick.

    Both axes are logarithmic, the accuracy's in 1 - accuracy, so that the step from 0.99 to 0.995
    is as large as that from 0.9 to 0.95.

    Args:
        histories: one history per fold, at least one; all with the same number of epochs.
        note: a remark on comparing the training with the held-out curve.

    """
    loss, val_loss = _curves(histories, "loss"), _curves(histories, "val_loss")
    wrong, val_wrong = (1 - _curves(histories, name) for name in ("accuracy", "val_accuracy"))
    from matplotlib.legend_handler import HandlerTuple

    head = canvas.head_height(2 if note else 1)
    total = head + 0.3 + HEIGHT + BELOW
    title = f"Learning curves over {describe_count(loss.shape[1], 'epoch')}"
    figure = canvas.make_figure(total, title, "", *filter(None, [note]))
    width = (WIDTH - 2 * LEFT - 2 * MARGIN) / 2
    panels = [
        _panel(figure, (left, width), trained, held_out)
        for left, trained, held_out in (
            (LEFT, loss, val_loss),
            (2 * LEFT + width + MARGIN, wrong, val_wrong),
        )
    ]
    panels[0].set_title(_at_end(loss, val_loss), fontsize=9, loc="left", pad=9)
    panels[0].set_ylabel("loss (cross-entropy, nats)")
    axes = panels[1]
    axes.set_title(_at_end(1 - wrong, 1 - val_wrong), fontsize=9, loc="left", pad=9)
    axes.set_ylabel("accuracy (logarithmic in 1 - accuracy)")
    axes.invert_yaxis()
    shares = [text.get_text() for text in axes.get_yticklabels()]
    axes.set_yticks(axes.get_yticks(), [f"{1 - float(share):.10g}" for share in shares])
    figure.legend(
        *_key(panels[0], len(histories)), loc="upper left", ncols=3, fontsize=9, frameon=False,
        bbox_to_anchor=(0.06 / WIDTH, 1 - 0.36 / total), borderpad=0.3,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )  # fmt: skip
    return figure


def _panel(
    figure: "Figure", place: tuple[float, float], trained: Curves, held_out: Curves
) -> "Axes":
    """Draw both curves; ``place`` is the left edge and the width in inches."""
    axes = canvas.axes_at(figure, place[0], BELOW, place[1], HEIGHT)
    floor = _scale(axes, np.concatenate([trained.ravel(), held_out.ravel()]))
    _draw(axes, np.maximum(trained, floor), BLUE, "-")
    if np.isfinite(held_out).any():
        _draw(axes, np.maximum(held_out, floor), VERMILION, (0, (4, 1.5)))
    axes.set_xlabel("epoch")
    return axes


def _at_end(trained: Curves, held_out: Curves) -> str:
    """Return the means of the last epoch in words."""
    text = f"last epoch: training {trained[:, -1].mean():.4f}"
    last = held_out[:, -1].mean()
    return f"{text}, held out {last:.4f}" if math.isfinite(last) else text


def _key(axes: "Axes", folds: int) -> tuple[list[Any], list[str]]:
    """Return the lines of the legend and their names."""
    means, singles = axes.lines[folds :: folds + 1], tuple(axes.lines[:: folds + 1])
    names = ["training images", "held-out images"][: len(means)]
    if len(means) == 1:
        names = ["training images (none held out)"]
    if folds > 1:
        return [*means, singles], [*(f"{name}, mean" for name in names), f"each of {folds} folds"]
    return [*means], names


def _curves(histories: Sequence[Sequence[Epoch]], name: str) -> Curves:
    """Return float64 ``[folds, epochs]``."""
    return np.array([[getattr(epoch, name) for epoch in history] for history in histories], float)


def _scale(axes: "Axes", values: npt.NDArray[np.float64]) -> float:
    """Make the y axis logarithmic from tick to tick around ``values``; return its lower end."""
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    zero = bool((values == 0).any())
    if zero:
        low = low / 2  # a logarithmic axis has no 0, so its lower end stands for 0
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = _around([step * 10.0**decade for decade in decades for step in (1, 2, 5)], low, high)
    if len(ticks) > FINE_TICKS:
        ticks = _around([10.0**decade for decade in decades], low, high)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(ticks[0], ticks[-1])
    axes.set_yticks(ticks, [f"{tick:.10g}" for tick in [0.0 if zero else ticks[0], *ticks[1:]]])
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    return ticks[0]


def _around(ticks: list[float], low: float, high: float) -> list[float]:
    """Return the smallest range of the ascending ``ticks`` that covers ``low`` to ``high``."""
    slack = 1 + 1e-9  # 1 - 0.95 is slightly more than 0.05
    first = max([number for number, tick in enumerate(ticks) if tick <= low * slack], default=0)
    last = min(number for number, tick in enumerate(ticks) if tick * slack >= high)
    return ticks[min(first, last - 1) : last + 1] if last else ticks[:2]


def _draw(axes: "Axes", curves: Curves, colour: str, style: str | tuple[int, object]) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, curves.shape[1] + 1)
    # A single epoch is drawn as a point, unclipped at the end of the axis.
    points: dict[str, Any] = {"marker": "o" if len(epochs) == 1 else None, "clip_on": False}
    for curve in curves:
        axes.plot(epochs, curve, color=colour, linewidth=0.7, alpha=0.4, **points)
    mean = curves.mean(axis=0)
    axes.plot(epochs, mean, color=colour, linewidth=2.2, linestyle=style, **points)
    axes.set_xlim(epochs[0] - 0.3, epochs[-1] + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
