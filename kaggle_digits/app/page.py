"""The page itself, a Gradio component of our own: a paper on the left, the answer on the right.

Gradio's sketchpad sends three pictures for each change (the background, the layers and the
composite) as files. Ours sends one, the composite in RGBA, and keeps nothing on the disk.
"""

import os
from collections.abc import Sequence
from typing import Any

from kaggle_digits.app import answers
from kaggle_digits.app.answers import Answerer

# Read by Gradio and Hugging Face's client when they are imported.
NO_TELEMETRY = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}

# Gradio takes an HTML template for JavaScript and Handlebars as well.
BRACES = str.maketrans("{}`$\\", "()'S/")

Examples = Sequence[tuple[int, Any]]


def build(answerer: Answerer, examples: Examples) -> Any:
    """Return the page as `gradio.Blocks`.

    Args:
        answerer: answers what is drawn.
        examples: id and uint8 ``[28, 28, 1]`` of test images to choose from.

    """
    os.environ.update(NO_TELEMETRY)
    import gradio

    show = answerer.show

    def answer(sent: object) -> str:
        return show(sent if isinstance(sent, dict) else {})

    with gradio.Blocks(title="Draw a digit", analytics_enabled=False) as blocks:
        gradio.HTML(
            html_template=_page(answerer.reader.name, examples),
            js_on_load=_script(),
            server_functions=[answer],
            elem_id="page",
        )
    return blocks


def style() -> str:
    """Return the page's style sheet."""
    return _source("page.css")


def _page(name: str, examples: Examples) -> str:
    template = answers.environment().get_template("page.html")
    return template.render(
        name=name.translate(BRACES),
        examples=[(id_, answers.encode_image(image[..., 0])) for id_, image in examples],
        blank=answers.show_message(answers.BLANK),
        max_upload=answers.MAX_UPLOAD,
    )


def _script() -> str:
    return _source("page.js").replace("@MAX_UPLOAD@", str(answers.MAX_UPLOAD))


def _source(name: str) -> str:
    loader = answers.environment().loader
    assert loader is not None  # noqa: S101 — `environment` sets it
    return loader.get_source(answers.environment(), name)[0]
