"""Plot predictions: confusion matrix, worst images, reliability diagram, one image."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.evaluation import Bin, Calibration, Integers, WorstImage
from kaggle_digits.plots import canvas
from kaggle_digits.plots.canvas import (
    BLUE,
    FAINT,
    LINE,
    MARGIN,
    QUIET,
    VERMILION,
    WIDTH,
    Pixels,
    write,
)
from kaggle_digits.runs.predictions import Prediction
from kaggle_digits.terminal_text import cut, describe_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

PAIRS = 20  # pairs of classes listed beside the confusion matrix
COLUMNS = 6  # columns of the worst images
CELL = (WIDTH - 2 * MARGIN) / COLUMNS  # inches, as all lengths here
GAP = 0.08
LEFT = 0.85  # left margin of plots with an axis
LONG = 8  # characters above which a class name is set in a smaller font
DARK = 0.6  # share of the colour scale above which black text is unreadable


def confusion(counts: Integers, names: Sequence[str], what: str) -> "Figure":
    """Plot the confusion matrix, coloured by its errors only.

    Args:
        counts: int ``[classes, classes]``; rows are labels, columns are predictions.
        names: names of the classes.
        what: the images in words, for the title.

    """
    errors = counts - np.diag(np.diag(counts))
    short = [cut(name, 10) for name in names]
    room = 0.075 * max(map(len, short))  # width of the longest name in inches
    left, below = 0.5 + room, 0.45 + max(room, 0.1)
    side, head = 5.6 - room, canvas.head_height(1)
    title = f"{describe_count(int(errors.sum()), 'error')} in {counts.sum():,} {what}"
    figure = canvas.make_figure(
        head + side + 0.25 + below,
        title,
        "Coloured by the number of errors. Correct predictions are grey and not on the scale.",
    )
    axes = canvas.axes_at(figure, left, below, side, side)
    _draw_cells(axes, counts, errors)
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_xticks(range(len(names)), short, rotation=90 if max(map(len, short)) > 1 else 0)
    axes.set_yticks(range(len(names)), short)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    beside, top = left + side + 0.12, below + side
    write(figure, beside, top + 0.2, "wrong", fontsize=9, fontweight="bold")
    for row, (wrong, total) in enumerate(zip(errors.sum(axis=1), counts.sum(axis=1), strict=True)):
        share = f"{100 * wrong / total:.2f} %" if total else "–"
        y = top - side * (row + 0.5) / len(names)
        write(figure, beside, y, share, fontsize=9, color=QUIET, va="center")
    _list_pairs(figure, errors, short, beside + 0.85, top + 0.2)
    return figure


def _draw_cells(axes: "Axes", counts: Integers, errors: Integers) -> None:
    most = max(1, errors.max())
    axes.imshow(errors, cmap=_colours(), vmin=0, vmax=most, interpolation="none")
    for row, column in np.ndindex(counts.shape):
        right = row == column
        if right:
            axes.add_patch(_square(row))
        if right or counts[row, column]:
            dark = not right and counts[row, column] / most > DARK
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center",
                fontsize=8.5, color="white" if dark else QUIET if right else "black",
            )  # fmt: skip
    edges = np.arange(-0.5, len(counts))
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _colours() -> "Colormap":
    """Return a colour map from white (no errors) to dark vermilion."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("errors", ["white", "#FDC9A0", VERMILION, "#8A3A00"])


def _square(place: int) -> "Patch":
    from matplotlib.patches import Rectangle

    return Rectangle((place - 0.5, place - 0.5), 1, 1, facecolor="#EEEEEE", edgecolor="none")


def _list_pairs(
    figure: "Figure", errors: Integers, names: Sequence[str], left: float, top: float
) -> None:
    """Write the most frequent errors, the most frequent first."""
    write(figure, left, top, "label → predicted", fontsize=9, fontweight="bold")
    order = np.argsort(-errors, axis=None, kind="stable")[:PAIRS]
    for line, cell in enumerate(order.tolist(), start=1):
        label, predicted = divmod(cell, len(names))
        if not errors[label, predicted]:
            break
        y = top - 0.07 - line * 1.3 * LINE
        write(figure, left + 0.3, y, f"{errors[label, predicted]:,}", fontsize=9, ha="right")
        text = f"{names[label]} → {names[predicted]}"
        write(figure, left + 0.4, y, text, fontsize=9, color=QUIET)


def worst_images(
    images: Sequence[tuple[WorstImage, Pixels]], names: Sequence[str], what: str
) -> "Figure":
    """Plot ``images``, each with its label and its prediction.

    Args:
        images: at least one image with its scores.
        names: names of the classes.
        what: the images in words from which they were chosen.

    """
    size = CELL - 2 * GAP
    height = size + 3.6 * LINE + 0.08
    head = canvas.head_height(1)
    total = head + height * math.ceil(len(images) / COLUMNS)
    figure = canvas.make_figure(
        total,
        f"The {len(images)} least probable labels of {what}",
        "Blue: label. Vermilion: prediction. Each is followed by its probability.",
    )
    for number, (scored, image) in enumerate(images):
        row, column = divmod(number, COLUMNS)
        left, top = MARGIN + column * CELL, total - head - row * height
        write(figure, left, top, f"id {scored.id}", fontsize=8, color=QUIET)
        canvas.show_image(figure, image, left, top - LINE - size, size)
        top -= LINE + size + 0.05
        label, predicted = names[scored.label], names[scored.predicted]
        _write_class(figure, "label", label, scored.probability_of_label, (left, top), BLUE)
        _write_class(
            figure,
            "pred.",
            predicted,
            scored.probability_of_predicted,
            (left, top - LINE),
            VERMILION,
        )
    return figure


def _write_class(
    figure: "Figure",
    word: str,
    name: str,
    probability: float,
    place: tuple[float, float],
    colour: str,
) -> None:
    """Write a class and its probability at ``place``, in inches from the lower left."""
    left, top = place
    write(figure, left, top, word, fontsize=7.5, color=QUIET)
    name = cut(name, 8)
    size = 9 if len(name) < LONG else 8
    write(figure, left + 0.3, top, name, fontsize=size, fontweight="bold", color=colour)
    right = left + CELL - 2 * GAP
    write(figure, right, top, f"{probability:.3f}", fontsize=8.5, color=QUIET, ha="right")


def reliability(calibration: Calibration, what: str) -> "Figure":
    """Plot a reliability diagram: accuracy against confidence, and the images per bin.

    Args:
        calibration: the calibration of at least one image.
        what: the images in words, for the title.

    """
    bins = calibration.bins
    head, upper, lower, below = canvas.head_height(2), 3.6, 1.3, 0.55
    sure = sum(bin_.confidence * bin_.images for bin_ in bins) / sum(bin_.images for bin_ in bins)
    right = sum(bin_.accuracy * bin_.images for bin_ in bins) / sum(bin_.images for bin_ in bins)
    figure = canvas.make_figure(
        head + upper + 0.25 + lower + below,
        f"Reliability over {what}: expected calibration error {calibration.error:.4f}",
        f"Mean confidence {sure:.4f}, accuracy {right:.4f}: "
        f"{'overconfident' if sure > right else 'underconfident'} on average.",
        "Each point is a bin of confidence, with the 95 % Wilson interval of its accuracy.",
    )
    width = WIDTH - LEFT - 2 * MARGIN
    axes = canvas.axes_at(figure, LEFT, below + lower + 0.25, width, upper)
    axes.plot((0, 1), (0, 1), color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.12, 0.16, "calibrated", color=QUIET, fontsize=9, ha="right")
    confidence = np.array([bin_.confidence for bin_ in bins])
    accuracy = np.array([bin_.accuracy for bin_ in bins])
    ends = np.array([_wilson(bin_) for bin_ in bins]).T
    axes.vlines(confidence, ends[0], ends[1], color=BLUE, linewidth=1.4)
    axes.plot(confidence, accuracy, color=BLUE, marker="o", markersize=6, linewidth=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 1.03), ylabel="accuracy")
    axes.set_xticks(np.linspace(0, 1, 11), [""] * 11)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    counts = canvas.axes_at(figure, LEFT, below, width, lower)
    middles = [(bin_.lowest + bin_.highest) / 2 for bin_ in bins]
    wide = [0.9 * (bin_.highest - bin_.lowest) for bin_ in bins]
    drawn = counts.bar(middles, [bin_.images for bin_ in bins], width=wide, color=BLUE)
    counts.bar_label(drawn, [f"{bin_.images:,}" for bin_ in bins], padding=2, fontsize=8.5)
    counts.set_yscale("log")
    counts.minorticks_off()
    most = max(bin_.images for bin_ in bins)
    counts.set(xlim=(0, 1), ylim=(0.5, most * 6), ylabel="images")
    powers = [10**power for power in range(0, len(str(most)), 2)]
    counts.set_yticks(powers, [f"{power:,}" for power in powers])
    counts.set_xticks(np.linspace(0, 1, 11))
    counts.set_xlabel("confidence (probability of the predicted class)")
    return figure


def _wilson(bin_: Bin) -> tuple[float, float]:
    """Return the 95 % score interval of a bin's accuracy (Wilson 1927)."""
    from scipy.stats import binomtest

    right = round(bin_.accuracy * bin_.images)
    interval = binomtest(right, bin_.images).proportion_ci(0.95, method="wilson")
    return interval.low, interval.high


def answer(prediction: Prediction, image: Pixels, names: Sequence[str], what: str) -> "Figure":
    """Plot one image beside the probability of every class.

    Args:
        prediction: the prediction of the image.
        image: uint8 ``[height, width, channels]``.
        names: names of the classes.
        what: the source of the prediction in words.

    """
    short = [cut(name, 12) for name in names]
    head, side, below = canvas.head_height(1), 3.6, 0.55
    said = f"predicted {names[prediction.predicted]}"
    truth = "label unknown" if prediction.label is None else f"label {names[prediction.label]}"
    figure = canvas.make_figure(
        head + side + below, f"Image {prediction.id}: {said}, {truth}", what
    )
    canvas.show_image(figure, image, MARGIN, below, side)
    room = 0.2 + 0.085 * max(map(len, short))
    left = MARGIN + side + 0.3 + room
    width = WIDTH - left - 1.75
    axes = canvas.axes_at(figure, left, below, width, side)
    colours = [QUIET] * len(names)
    notes = [""] * len(names)
    colours[prediction.predicted], notes[prediction.predicted] = VERMILION, "predicted"
    if (label := prediction.label) is not None:
        right = label == prediction.predicted
        colours[label], notes[label] = BLUE, "label, predicted" if right else "label"
    rows = range(len(names))
    drawn = axes.barh(rows, prediction.probabilities, color=colours, height=0.72)
    texts = [f"{p:.4f}  {note}" for p, note in zip(prediction.probabilities, notes, strict=True)]
    axes.bar_label(drawn, texts, padding=4, fontsize=9)
    axes.set_yticks(rows, short, fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="probability")
    return figure
