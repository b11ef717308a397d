"""A local page on which one draws digits and sees what a model answers.

`readers` opens a run or an exported model, `answers` reads one picture with it, `page` shows that
with Gradio, and `server` serves the page.
"""

from kaggle_digits.app.answers import Answerer
from kaggle_digits.app.readers import Reader, open_exported_model, open_run
from kaggle_digits.app.server import Address, require_gradio, serve

__all__ = [
    "Address",
    "Answerer",
    "Reader",
    "open_exported_model",
    "open_run",
    "require_gradio",
    "serve",
]
