"""``kaggle-digits app``: a page on which one draws digits and sees what a model answers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggle_digits.cli import options
from kaggle_digits.terminal_text import escape

if TYPE_CHECKING:
    from kaggle_digits.app.page import Examples

EXAMPLES = 14


def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a finished run, or an exported model (see `export`).",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="HOST",
            help="Address to listen on. Any other than 127.0.0.1 lets other machines use the page.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="N",
            help="Port to listen on.  [default: the first free one from 7860 on]",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Open a SavedModel, which is a program and can use your files.",
            rich_help_panel=options.DATA,
        ),
    ] = False,
    input_: options.Input = Path("input"),
) -> None:
    """Start a local page to draw digits on.

    Draw with a mouse, a pen or a finger, or drop a photo. The page shows the digits as the network
    sees them, the probabilities, and the votes of the models. Several digits in a row are read as
    a number. Pictures are read as by `predict`.

    The page works offline. Ctrl-C stops it. The examples are test images of --input. It needs the
    extra `app`: `pip install 'kaggle-digits[app]'`.
    """
    from kaggle_digits import app

    app.require_gradio()
    _require_there(model)
    is_run = (model / "run.json").exists()
    reader = app.open_run(model) if is_run else app.open_exported_model(model, trust=trust)
    app.serve(app.Answerer(reader), _find_examples(input_), app.Address(host, port), _print_address)


def _require_there(model: Path) -> None:
    from kaggle_digits.errors import InputError, suggest_path

    if not model.exists():
        raise InputError(
            f"{model}: no such file or folder.{suggest_path(model)} Expected the folder "
            "of a finished run, as `kaggle-digits runs` lists them, or an exported model."
        )


def _print_address(url: str) -> None:
    print(f"Page  {url}\n      Ctrl-C stops it.", flush=True)


def _find_examples(input_: Path) -> "Examples":
    """Return the first test images in ``input_``; none, with a note, if there are no digits."""
    from kaggle_digits import datasets
    from kaggle_digits.app.readers import IMAGE_SHAPE
    from kaggle_digits.errors import InputError

    try:
        test = datasets.load(input_).test
    except InputError as error:
        print(escape(f"Note: no examples on the page. {error}"), file=sys.stderr)
        return []
    if test.images.shape[1:] != IMAGE_SHAPE:
        return []
    return list(zip(test.ids[:EXAMPLES].tolist(), test.images[:EXAMPLES], strict=True))
