"""Draw errors against the FLOP of training, for this project's recipes and the public reference.

    python -m benchmarks.error_curve

Reads figures of docs/results.md, which has their commands: ``benchmarks/results/few-images.csv``
and ``benchmarks/results/all-images.csv``. Writes ``docs/images/errors-by-flop.png``.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "errors-by-flop.png"
REFERENCE = "deotte15"
HEIGHT, LEFT, BOTTOM, SIDE, TALL = 4.6, 0.75, 0.6, 3.85, 3.1  # inches
OURS, THEIRS, BOTH = "this project", "the reference", "both together"
STYLES: dict[str, dict[str, Any]] = {
    OURS: {"color": canvas.BLUE, "marker": "o"},
    THEIRS: {"color": canvas.VERMILION, "marker": "s"},
    BOTH: {"color": canvas.COLOURS[3], "marker": "^"},
}


@dataclass(frozen=True)
class Point:
    """A network or a mean of networks: its label, FLOP, errors and their standard error."""

    name: str
    images: int
    errors: float
    standard_error: float
    flop: float

    @property
    def side(self) -> str:
        """Whose networks it has."""
        theirs = {name == REFERENCE for name in self.name.split(" + ")}
        return BOTH if len(theirs) == 2 else THEIRS if theirs == {True} else OURS  # noqa: PLR2004


def read_points(path: Path) -> list[Point]:
    """Read the points of one panel."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Point(
                name=row["name"],
                images=int(row["images"]),
                errors=float(row["errors"]),
                standard_error=float(row["standard_error"]),
                flop=float(row["flop"]),
            )
            for row in csv.DictReader(file)
        ]


def draw_panel(
    axes: "Axes",
    points: list[Point],
    *,
    title: str,
    unit: float,
    axis: str,
    ticks: Sequence[float],
) -> None:
    """Draw the points with their standard errors; a line joins the best of each side.

    Args:
        axes: where to draw.
        points: networks and means of networks.
        title: how the errors were measured.
        unit: FLOP that are 1 on the horizontal axis.
        axis: name of the horizontal axis.
        ticks: labelled values on it.

    """
    for side, style in STYLES.items():
        own = sorted((p for p in points if p.side == side), key=lambda p: (p.flop, p.errors))
        if not own:
            continue
        axes.errorbar(
            [p.flop / unit for p in own],
            [p.errors for p in own],
            [p.standard_error for p in own],
            linestyle="none", capsize=2, elinewidth=0.8, markersize=5, label=side, **style,
        )  # fmt: skip
        frontier = [
            p for place, p in enumerate(own) if all(p.errors < q.errors for q in own[:place])
        ]
        axes.plot(
            [p.flop / unit for p in frontier],
            [p.errors for p in frontier],
            color=style["color"], linewidth=1,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel(axis)
    axes.set_ylabel(f"errors in {points[0].images:,} images")
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=9.5, loc="left")
    axes.legend(fontsize=8.5, frameon=False, loc="lower left")


def main() -> None:
    """Draw the picture."""
    figure = canvas.make_figure(
        HEIGHT,
        "Errors against the work of training",
        "Each point is a network or a mean of networks; the line joins the points that no cheaper "
        "one of the same side beats.",
    )
    few, every = (read_points(RESULTS / f"{name}.csv") for name in ("few-images", "all-images"))
    left = canvas.axes_at(figure, LEFT, BOTTOM, SIDE, TALL)
    draw_panel(
        left,
        few,
        title="trained on 6,000 images, three splits",
        unit=1e12,
        axis="training, TFLOP",
        ticks=(10, 20, 40, 80),
    )
    right = canvas.axes_at(figure, canvas.WIDTH / 2 + LEFT, BOTTOM, SIDE, TALL)
    draw_panel(
        right,
        every,
        title="out-of-fold, all images",
        unit=1e15,
        axis="training, PFLOP for all folds",
        ticks=(0.1, 0.2, 0.5, 1, 2),
    )
    canvas.save(PICTURE, figure)


if __name__ == "__main__":
    main()
