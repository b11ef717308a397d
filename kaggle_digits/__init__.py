"""From train.csv to a leaderboard-ready CSV for Kaggle's digit-recognizer competition.

The public API. Each name is loaded on first use, so that importing the package is instant:

    import kaggle_digits as kd

    data = kd.load("input")
    run = kd.cross_validate("bn20", data, folds=5)
    run.write_submission("submissions/mine.csv")
"""

import importlib

TYPE_CHECKING = False  # importing typing would take a fifth of this package's time

__version__ = "0.2.0"

if TYPE_CHECKING:
    from kaggle_digits.blending import Blend, ensemble
    from kaggle_digits.comparing import compare
    from kaggle_digits.datasets import Dataset, Splits, load
    from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
    from kaggle_digits.kaggle_client.submit import SubmissionResult, submit
    from kaggle_digits.recipes import Affine, Choice, Integer, Real, Recipe, Training
    from kaggle_digits.recipes import find as find_recipe
    from kaggle_digits.recording import record
    from kaggle_digits.results import FinishedRun, open_run
    from kaggle_digits.training_api import cross_validate, train
    from kaggle_digits.transforms.deslanting import Deslant

# Where each public name is defined.
_PLACES = {
    "load": "datasets",
    "Dataset": "datasets",
    "Splits": "datasets",
    "Recipe": "recipes",
    "Training": "recipes",
    "Affine": "recipes",
    "Real": "recipes",
    "Integer": "recipes",
    "Choice": "recipes",
    "Deslant": "transforms.deslanting",
    "find_recipe": "recipes",
    "cross_validate": "training_api",
    "train": "training_api",
    "record": "recording",
    "open_run": "results",
    "FinishedRun": "results",
    "ensemble": "blending",
    "Blend": "blending",
    "compare": "comparing",
    "submit": "kaggle_client.submit",
    "SubmissionResult": "kaggle_client.submit",
    "KaggleDigitsError": "errors",
    "InputError": "errors",
    "OutsideError": "errors",
}

_NAMES_THERE = {"find_recipe": "find"}  # public names that differ from the name in the module

__all__ = [
    "Affine",
    "Blend",
    "Choice",
    "Dataset",
    "Deslant",
    "FinishedRun",
    "InputError",
    "Integer",
    "KaggleDigitsError",
    "OutsideError",
    "Real",
    "Recipe",
    "Splits",
    "SubmissionResult",
    "Training",
    "compare",
    "cross_validate",
    "ensemble",
    "find_recipe",
    "load",
    "open_run",
    "record",
    "submit",
    "train",
]


def __getattr__(name: str) -> object:
    """Return a public name from the module that defines it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
    value = getattr(module, _NAMES_THERE.get(name, name))
    if not isinstance(value, type):
        from kaggle_digits.python_messages import speak_python

        value = speak_python(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted([*__all__, "__version__"])
