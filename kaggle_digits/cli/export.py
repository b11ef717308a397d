"""``kaggle-digits export``: write a run's model as a file for other programs."""

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options, printing

if TYPE_CHECKING:
    from kaggle_digits.exporting import Export

EXPORTS = Path("exports")
INDENT = " " * 13


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="keras, json+h5, onnx, tflite or saved-model.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "keras",
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble",
            help="Merge all folds into one model that returns their mean probabilities.",
        ),
    ] = False,
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold", min=1, metavar="N", help="Number of the fold to export.  [default: 1]"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="PATH",
            help="File or folder to write.  [default: named after the run, in exports/]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    input_: options.Input = Path("input"),
    json: options.Json = False,
) -> None:
    """Write a run's model as a file for other programs.

    The model takes uint8 images and returns probabilities. A fresh process loads the file and
    compares its predictions with those of the run's own models, on 1,000 test images of --input or,
    without data, on drawn digits. The file is kept only if they agree.
    """
    if ensemble and fold is not None:
        raise typer.BadParameter("received --ensemble (all folds) and --fold N (one fold)")
    from kaggle_digits import runs

    finished = runs.Run(run)
    members = len(finished.models())
    from kaggle_digits import exporting

    chosen = exporting.find(format_)
    numbers = tuple(range(1, members + 1)) if ensemble else (fold or 1,)
    variant = "-ensemble" if ensemble else f"-fold-{fold}" if fold else ""
    path = output or EXPORTS / f"{run.resolve().name}{variant}{chosen.suffix}"
    export = exporting.export(finished, numbers, chosen, path, input_)
    if json:
        _print_json(export, chosen.name, numbers)
    else:
        _print(export, finished.folder, members if ensemble else 1, numbers[0])
        print(f"Load it with\n{textwrap.indent(chosen.loading(path, export.layers), INDENT)}")


def _print_json(export: "Export", name: str, folds: tuple[int, ...]) -> None:
    printing.print_json(
        {
            "format": name,
            "files": [{"path": str(file), "bytes": size} for file, size in export.files],
            "folds": folds,
            "image_shape": export.image_shape,
            "classes": export.classes,
            "comparison": asdict(export.comparison),
        }
    )


def _print(export: "Export", run: Path, models: int, first: int) -> None:
    for file, size in export.files:
        print(f"Model        {file} ({size / 1000:,.0f} kB)")
    of = f"fold {first}" if models == 1 else f"the mean of {models} models"
    print(f"{INDENT}{of} of {run}")
    shape = ", ".join(map(str, export.image_shape))
    print(f"Takes        uint8 [n, {shape}], returns float32 [n, {export.classes}]")
    comparison = export.comparison
    print(
        f"Compared     in a fresh process, {comparison.images:,} images ({comparison.source}):\n"
        f"{INDENT}same labels, largest difference of probabilities "
        f"{comparison.largest_difference:.1g}"
    )
