"""Train from Python: check the arguments, configure a run, call the pipeline.

A callback receives the progress. Without one, Jupyter shows progress bars.
"""

import inspect
import warnings
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits import files
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError, suggest
from kaggle_digits.pipeline import NullCallback, load_data, run_training
from kaggle_digits.recipes import Recipe, find, require_reproducible
from kaggle_digits.results import FinishedRun
from kaggle_digits.runs import provenance
from kaggle_digits.training.configuration import DEFAULT_SPLIT, TrainConfig
from kaggle_digits.training.cross_validation import TrainingCallback
from kaggle_digits.training.notebook_progress import NotebookBars, in_notebook

# What every public function that trains takes, beside its own arguments.
SETTINGS = {field.name for field in fields(TrainConfig)} - {"recipe", "folds", "validation_split"}


def cross_validate(
    recipe: str | Path | Recipe,
    data: Splits | str | Path = "input",
    *,
    folds: int = 5,
    callback: TrainingCallback | None = None,
    **settings: Any,
) -> FinishedRun:
    """Train a recipe by stratified k-fold cross-validation.

    The same call resumes an interrupted run after its last finished epoch. It returns at once if
    the run is finished. A `UserWarning` says what is changed for few images.

    Args:
        recipe: the name of a recipe, the path of a Python file that defines ``RECIPE``, or a
            `Recipe` that `find_recipe` returned, also with other training settings.
        data: the result of `load`, or the folder with the data: images uint8
            ``[n, height, width, channels]``, labels uint8 ``[n]``.
        folds: number of folds; each is held out once.
        callback: `TrainingCallback` that receives the progress. None shows progress bars in
            Jupyter and nothing elsewhere.
        settings: any other attribute of `TrainConfig` by name: seeds, seed, epochs, batch_size,
            learning_rate, precision, limit, exclude, pseudo_labels, on, jobs, ray_address,
            storage, run, submission, log.

    Returns:
        The finished run. Its CSV is also written to ``submissions/``.

    Raises:
        InputError: a setting does not fit the recipe or the data, or the run's folder holds a run
            with other settings.

    Example:
        >>> run = kd.cross_validate("dense", kd.load("input"), folds=3, epochs=3)
        >>> run.scores.accuracy > 0.6
        True
        >>> run.oof.probabilities.shape, run.test.probabilities.dtype
        ((1442, 10), dtype('float32'))

    """
    config = configure("cross_validate", recipe, {"folds": folds}, settings)
    return train_in_python("cross_validate", config, data, callback)


def train(
    recipe: str | Path | Recipe,
    data: Splits | str | Path = "input",
    *,
    validation_split: float = DEFAULT_SPLIT,
    callback: TrainingCallback | None = None,
    **settings: Any,
) -> FinishedRun:
    """Train one model on one stratified split.

    The same call resumes an interrupted run. It returns at once if the run is finished. A
    `UserWarning` says what is changed for few images.

    Args:
        recipe: the name of a recipe, the path of a Python file that defines ``RECIPE``, or a
            `Recipe` that `find_recipe` returned, also with other training settings.
        data: the result of `load`, or the folder with the data.
        validation_split: share of the training images to hold out, 0 to below 1.
        callback: `TrainingCallback` that receives the progress. None shows progress bars in
            Jupyter and nothing elsewhere.
        settings: as for `cross_validate`.

    Returns:
        The finished run. Its CSV is also written to ``submissions/``.

    Raises:
        InputError: as for `cross_validate`.

    Example:
        >>> run = kd.train("dense", "input", validation_split=0.25, epochs=1, limit=200)
        >>> run.scores.images
        50
        >>> run.history[["epoch", "val_accuracy"]].shape
        (1, 2)

    """
    config = configure("train", recipe, {"validation_split": validation_split}, settings)
    return train_in_python("train", config, data, callback)


def configure(
    function: str,
    recipe: str | Path | Recipe,
    chosen: dict[str, Any],
    settings: dict[str, Any],
    known: Collection[str] = SETTINGS,
) -> TrainConfig:
    """Return the configuration for the arguments of a public function.

    Args:
        function: its name, for messages.
        recipe: its recipe.
        chosen: settings that it names as arguments.
        settings: its other settings.
        known: names that ``settings`` may have.

    Raises:
        InputError: a setting is unknown or no run can have it, or a run could not find the recipe's
            network again.

    """
    if unknown := sorted(set(settings) - set(known)):
        names = sorted({*known, *chosen})
        raise InputError(
            f"{function} received the setting {unknown[0]!r}.{suggest(unknown[0], names)} Expected "
            f"one of {', '.join(names)}."
        )
    if not isinstance(recipe, Recipe | str | Path):
        raise InputError(
            f"{function} received a recipe of type {type(recipe).__name__}. Expected the name of a "
            "recipe, a kd.Recipe, or a Python file that defines RECIPE. In a notebook, write one "
            "with %%writefile my_net.py and pass 'my_net.py'."
        )
    found = recipe if isinstance(recipe, Recipe) else find(str(recipe))
    require_reproducible(found)
    settings = settings.copy()
    storage = settings.get("storage")
    if isinstance(storage, Path):
        if storage.as_posix().partition("/")[0].endswith(":"):
            raise InputError(
                f"received storage={storage!r}. Expected an address as text, such as "
                "'s3://bucket/folder', or the path of a folder."
            )
        settings["storage"] = str(storage)
    for name in ("run", "submission", "exclude"):
        if settings.get(name) is not None:
            settings[name] = files.expand_home(settings[name], name)
    teachers = settings.get("pseudo_labels") or ()
    teachers = teachers if isinstance(teachers, list | tuple) else [teachers]
    settings["pseudo_labels"] = tuple(
        teacher.folder
        if isinstance(teacher, FinishedRun)
        else files.expand_home(teacher, "pseudo_labels")
        for teacher in teachers
    )
    log = settings.get("log") or ()
    if not isinstance(log, str | list | tuple):
        raise InputError(f"received log={log!r}. Expected names of trackers, such as ['mlflow'].")
    settings["log"] = (log,) if isinstance(log, str) else tuple(log)
    plain: dict[str, Any] = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in (settings | chosen).items()
    }
    if "validation_split" in plain:
        plain["folds"] = 1
    return TrainConfig(recipe=found, **plain)


def train_in_python(
    function: str,
    config: TrainConfig,
    data: Splits | str | Path,
    callback: TrainingCallback | None,
    command: str | None = None,
) -> FinishedRun:
    """Train or resume a run for a public function; show bars in Jupyter if it got no callback.

    Args:
        function: its name, for messages.
        config: what to train.
        data: its data.
        callback: its callback.
        command: the call that resumes the run; None for ``function(recipe, …)``.

    """
    require_data(function, data)
    if callback is not None and not isinstance(callback, TrainingCallback):
        raise InputError(
            f"{function} received a callback of type {type(callback).__name__}. Expected an object "
            "with the methods run_started, fold_started and fold_done."
        )
    folder = None if isinstance(data, Splits) else files.expand_home(data)
    splits = data if isinstance(data, Splits) else load_data(files.expand_home(data), config)
    if callback is None:
        callback = NotebookBars() if in_notebook() else NullCallback()
    result, csv = run_training(
        config,
        splits,
        command=command or f"kaggle_digits.{function}({config.recipe.name!r}, …)",
        watching=lambda _: nullcontext(callback),
        tell=callback.note if isinstance(callback, NotebookBars) else _warn,
        data=folder,
    )
    provenance.note_run(csv, result.run, files.SUBMISSIONS)
    return FinishedRun(result.run.folder)


def _warn(note: str | None) -> None:
    """Warn at the user's line, the first one outside of this package."""
    if note is None:
        return
    package = Path(__file__).parent
    frames = enumerate(inspect.stack(0), 1)
    level = next((n for n, frame in frames if package not in Path(frame.filename).parents), 1)
    warnings.warn(note, stacklevel=level)


def require_data(function: str, data: object) -> None:
    """Raise an InputError unless ``data`` is a folder's path or the result of `load`."""
    if not isinstance(data, Splits | str | Path):
        raise InputError(
            f"{function} received data of type {type(data).__name__}. Expected a folder, or the "
            "result of kd.load."
        )
