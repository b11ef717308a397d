"""Plot a data set and its augmentation."""

import math
from typing import TYPE_CHECKING

import numpy as np

from kaggle_digits.datasets.dataset import Dataset, Images
from kaggle_digits.errors import InputError
from kaggle_digits.plots import canvas
from kaggle_digits.plots.canvas import BLUE, LINE, MARGIN, QUIET, WIDTH, write
from kaggle_digits.recipes import RECIPES, Recipe
from kaggle_digits.terminal_text import cut
from kaggle_digits.transforms.deslanting import deslant_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8
CELL = (WIDTH - 2 * MARGIN) / COLUMNS  # inches, as all lengths here
GAP = 0.12
LEFT = 0.85  # left margin of plots with an axis


def first_images(split: Dataset, count: int, name: str) -> "Figure":
    """Plot the first ``count`` images, each with its class and its id.

    Args:
        split: the images, labelled or not.
        count: number of images, at least 1; all images if there are fewer.
        name: name of the split, for the title.

    """
    shown = min(count, len(split))
    labelled = split.labels is not None
    what = "each with its class and its id" if labelled else "each with its id, without labels"
    size = CELL - GAP
    row_height = size + LINE * (2.3 if labelled else 1.3)
    head = canvas.head_height(1)
    total = head + row_height * math.ceil(shown / COLUMNS)
    figure = canvas.make_figure(total, f"The first {shown:,} of {len(split):,} {name} images", what)
    for number in range(shown):
        row, column = divmod(number, COLUMNS)
        left, top = MARGIN + column * CELL, total - head - row * row_height
        if split.labels is not None:
            title = canvas.name_class(split.class_names[split.labels[number]], split.class_names)
            short = cut(title, 13)
            write(figure, left, top, short, fontsize=9, fontweight="bold", color="black")
            top -= LINE
        canvas.show_image(figure, split.images[number], left, top - size, size)
        text = f"id {split.ids[number]}"
        write(figure, left, top - size - 0.03, text, fontsize=7, color=QUIET)
    return figure


def classes(split: Dataset, name: str) -> "Figure":
    """Plot the number of images and the mean image of each class.

    Raises:
        InputError: the images have no labels.

    """
    from matplotlib.ticker import MaxNLocator

    if split.labels is None or split.class_counts is None:
        raise InputError(f"the {name} images have no labels, so their classes cannot be counted")
    names = split.class_names
    counts = np.array(split.class_counts)
    ends = [f"{names[k]} with {counts[k]:,}" for k in (counts.argmin(), counts.argmax())]
    slot = (WIDTH - LEFT - MARGIN) / len(names)
    size = min(slot - GAP, 1.2)
    head, bars = canvas.head_height(1), 2.4
    bottom = MARGIN + size + 0.42
    figure = canvas.make_figure(
        head + bars + bottom,
        f"{len(split):,} {name} images in {len(names)} classes",
        f"Fewest: {ends[0]}. Most: {ends[1]}. Below: the mean image of each class.",
    )
    axes = canvas.axes_at(figure, LEFT, bottom, slot * len(names), bars)
    drawn = axes.bar(range(len(names)), counts, width=0.78, color=BLUE)
    axes.bar_label(drawn, [f"{count:,}" for count in counts], padding=2, fontsize=9)
    short = [cut(name, 12) for name in names]
    axes.set(xlim=(-0.5, len(names) - 0.5), ylabel="images", ylim=(0, max(1, counts.max()) * 1.1))
    axes.set_xticks(range(len(names)), short, fontsize=10 if len(names) <= len("0123456789") else 7)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    means = [split.images[split.labels == k].mean(axis=0) for k in np.flatnonzero(counts)]
    # Means are paler than images, so the darkest pixel of all means is drawn black.
    full = max(float(mean.max()) for mean in means) or 255
    for k, mean in zip(np.flatnonzero(counts), means, strict=True):
        left = LEFT + slot * k + (slot - size) / 2
        canvas.show_image(figure, np.rint(mean).astype(np.uint8), left, MARGIN, size, full=full)
    middle = MARGIN + size / 2
    write(figure, 0.19, middle, "mean", fontsize=9.5, rotation=90, va="center", ha="center")
    return figure


def augmentation(train: Dataset, recipe: Recipe) -> "Figure":
    """Plot 8 × 8 images: eight originals, each with seven augmented variants.

    Args:
        train: images of the recipe's shape; the first images of each class are drawn, in turn.
        recipe: the recipe with the augmentation.

    Raises:
        InputError: the recipe does not augment.

    """
    originals = train.images[_one_a_class(train)[:COLUMNS]]
    variants = _variants(originals, recipe, COLUMNS - 1)
    size = CELL - GAP
    head = canvas.head_height(1)
    total = head + LINE + CELL * len(originals) + MARGIN - GAP
    figure = canvas.make_figure(
        total,
        f"Augmentation of {recipe.name}: each row has an original and seven variants of it",
        f"Uniform up to {_limits(recipe)}. Each image gets a new variant in every epoch.",
    )
    left, step = MARGIN + 0.1, CELL - 0.1 / COLUMNS  # separates the originals
    top = total - head
    write(figure, MARGIN, top, "original", fontsize=9, fontweight="bold", color=BLUE)
    write(figure, left + step, top, "variants", fontsize=9, fontweight="bold")
    for row, original in enumerate(originals):
        bottom = top - LINE - 0.04 - row * CELL - size
        canvas.show_image(figure, original, MARGIN, bottom, size, frame=BLUE)
        for column, variant in enumerate(variants[row], start=1):
            canvas.show_image(figure, variant, left + column * step, bottom, size)
    return figure


def _one_a_class(train: Dataset) -> list[int]:
    """Return the rows of all images: first one of each class, then another of each, and so on."""
    if train.labels is None:
        return list(range(len(train)))
    seen: dict[int, int] = {}
    turns = []
    for row, label in enumerate(train.labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], label, row))
    return [row for _, _, row in sorted(turns)]


def _variants(originals: Images, recipe: Recipe, count: int) -> Images:
    """Return ``count`` augmented variants of each image, uint8 ``[n, count, …]``."""
    from kaggle_digits.transforms.augmentation import augment

    affine = recipe.training.augmentation
    if affine is None:
        able = [recipe.name for recipe in RECIPES.values() if recipe.training.augmentation]
        raise InputError(
            f"recipe {recipe.name!r} has no augmentation. Expected a recipe with augmentation: "
            f"{', '.join(able)}."
        )
    repeated = np.repeat(deslant_images(originals, recipe.deslant), count, axis=0)
    moved = augment(repeated, affine, np.random.default_rng(0))
    return moved.reshape(len(originals), count, *originals.shape[1:])


def _limits(recipe: Recipe) -> str:
    """Return the limits of the augmentation in words."""
    affine = recipe.training.augmentation
    if affine is None:
        return "nothing"
    degrees = {"rotation": affine.rotation, "shear": affine.shear}
    shares = {"shift": affine.shift, "zoom": affine.zoom}
    words = [f"{value:g}° of {name}" for name, value in degrees.items() if value]
    words += [f"{100 * value:g} % of {name}" for name, value in shares.items() if value]
    return ", ".join(words) + (", half of them mirrored" if affine.flip else "")
