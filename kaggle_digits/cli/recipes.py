"""``kaggle-digits recipes``: list the recipes, or show one in full."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kaggle_digits.cli import options, printing

if TYPE_CHECKING:
    from kaggle_digits.recipes import Recipe

COLUMNS: dict[str, Literal["left", "right"]] = {
    "recipe": "left",
    "network": "left",
    "images": "left",
    "epochs": "right",
    "time": "right",
    "accuracy": "left",
}


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="Recipe or Python file to show in full.  [default: list all]"),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the recipes, or show one in full."""
    from kaggle_digits import recipes

    if name is not None:
        _show(recipes.find(name), as_json=json)
    elif json:
        printing.print_json([_describe(recipe) for recipe in recipes.RECIPES.values()])
    else:
        _list(recipes.RECIPES.values(), recipes.finding.list_installed())


def _list(built_in: Iterable["Recipe"], installed: Mapping[str, str]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading, justify in COLUMNS.items():
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify=justify)
    for recipe in built_in:
        table.add_row(
            recipe.name,
            recipe.summary,
            "×".join(map(str, recipe.image_shape)),
            str(recipe.training.epochs),
            _time(recipe),
            _accuracy(recipe),
        )
    printing.console().print(table)
    print(
        "\nTime to train one model, as a multiple of bn20's. Accuracy on held-out images,"
        "\nnot on Kaggle; `recipes NAME` says how it was measured."
    )
    if installed:
        print("\nFrom installed packages:")
        for name, place in sorted(installed.items()):
            print(f"  {name}  ({place})")


def _time(recipe: "Recipe") -> str:
    """Return the relative time to train one model; an empty text if not measured."""
    return f"{recipe.relative_time:.2g}×" if recipe.relative_time else ""


def _accuracy(recipe: "Recipe") -> str:
    """Return the accuracy at the start of `Recipe.measured`; an empty text if not measured."""
    first = recipe.measured.partition(" ")[0]
    return first if first.startswith("0.") else ""


def _show(recipe: "Recipe", *, as_json: bool) -> None:
    from kaggle_digits.backend import start_keras
    from kaggle_digits.recipes.checking import check_network
    from kaggle_digits.training.flop import count_forward_flop

    start_keras()
    if recipe.file is not None:
        check_network(recipe)
    model = recipe.network()
    flop = count_forward_flop(model)
    layers = [
        {
            "layer": type(layer).__name__,
            "detail": _detail(layer),
            "name": layer.name,
            "output": list(layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]
    if as_json:
        printing.print_json(
            _describe(recipe)
            | {"layers": layers, "parameters": model.count_params(), "flop_per_image": flop}
        )
        return
    from rich.table import Table

    console = printing.console()
    console.print(recipe.name, style="bold", end="")
    console.print(f": {recipe.summary}")
    table = Table("", "layer", "", "output", "parameters", box=None, pad_edge=False)
    for number, layer in enumerate(layers):
        shape = "×".join(map(str, layer["output"]))
        table.add_row(
            str(number), layer["layer"], layer["detail"], shape, f"{layer['parameters']:,}"
        )
    console.print(table)
    console.print(
        f"{model.count_params():,} parameters, {flop:,} FLOP per image in Conv2D and Dense\n"
    )
    settings = asdict(recipe.training)
    width = max(map(len, settings))
    for setting, value in settings.items():
        console.print(f"{setting:{width}} {_format(value)}")
    deslant = recipe.deslant and asdict(recipe.deslant)
    console.print(f"{'deslant':{width}} {_format(deslant)}")
    console.print(f"\n{'source':{width}} {recipe.source}\n{'measured':{width}} {recipe.measured}")
    console.print(f"{'time':{width}} {_time(recipe) or 'not measured'}, relative to bn20")


def _detail(layer: Any) -> str:
    """Return the settings of ``layer`` that distinguish it from others of its type."""
    settings = layer.get_config()
    activation = settings.get("activation", "linear")
    if "kernel_size" in settings:
        size = "×".join(map(str, settings["kernel_size"])) + f" {settings['padding']}"
        return size if activation == "linear" else f"{size} {activation}"
    if "epsilon" in settings:
        return f"axis {settings['axis']}, ε {settings['epsilon']:g}"
    setting = next((settings[key] for key in ("rate", "pool_size") if key in settings), "")
    return str(setting or (activation if activation != "linear" else ""))


def _format(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format(inner)}" for name, inner in value.items())
    return "none" if value is None else str(value)


def _describe(recipe: "Recipe") -> dict[str, Any]:
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "image_shape": recipe.image_shape,
        "training": asdict(recipe.training),
        "deslant": recipe.deslant and asdict(recipe.deslant),
        "source": recipe.source,
        "measured": recipe.measured,
        "relative_time": recipe.relative_time,
    }
