"""Export a run's models: merge, write, compare in a fresh process, move into place."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.backend import backend_name, quiet_stderr, start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.evaluation import ensembling
from kaggle_digits.exporting import comparing
from kaggle_digits.exporting.format import Format
from kaggle_digits.exporting.opening import FORMATS, require_packages, require_utf8
from kaggle_digits.exporting.saved_model import INPUT
from kaggle_digits.formats import keras_architecture
from kaggle_digits.runs import Run
from kaggle_digits.runs.folder import RECIPE_FILE
from kaggle_digits.training import predicting


@dataclass(frozen=True)
class Export:
    """A written and verified model.

    Attributes:
        files: paths and sizes in bytes of the written files; a folder has its total size.
        image_shape: height, width, channels of its input, uint8 ``[n, *image_shape]``.
        classes: number of classes of its output, float32 ``[n, classes]``.
        comparison: the comparison with the run's own models.
        layers: Python file that registers the custom layers that the written files only name, if
            there are any.

    """

    files: tuple[tuple[Path, int], ...]
    image_shape: tuple[int, int, int]
    classes: int
    comparison: comparing.Comparison
    layers: Path | None


def export(run: Run, numbers: tuple[int, ...], format_: Format, path: Path, data: Path) -> Export:
    """Write models of a finished run as one verified model to ``path``.

    Args:
        run: a finished run.
        numbers: numbers of its models, from 1. Several models are merged into one that returns the
            mean of their probabilities.
        format_: the format.
        path: the file or folder to write. An earlier export is replaced.
        data: folder with the test images for the comparison; without data, images are drawn.

    Returns:
        The written files and the result of the comparison.

    Raises:
        InputError: the run is not finished or has no such model, the backend or the installed
            packages cannot write the format, or ``path`` must not be written or replaced.
        OutsideError: the export predicts differently from the run's models, or the disk is full.

    """
    models = run.models()
    for number in numbers:
        if not 1 <= number <= len(models):
            raise InputError(
                f"{run.folder} has no fold {number}. Expected --fold 1 to {len(models)}."
            )
    _require_possible(format_)
    _require_target(format_, path)
    keras = start_keras()
    if run.facts.settings.recipe_sha256 is not None:
        run.recipe()  # registers the custom layers of a trusted recipe file
    members = [predicting.load_model(models[number - 1], to_train=False) for number in numbers]
    shapes = [
        predicting.require_classifier(member, models[number - 1], len(run.class_names))
        for member, number in zip(members, numbers, strict=True)
    ]
    image_shape = shapes[0]
    if set(shapes) != {image_shape}:
        raise InputError(
            f"the models of {run.folder} take images of different shapes: {shapes}. Expected one "
            "shape. Choose one model with --fold."
        )
    sample = comparing.sample(data, image_shape)
    expected = ensembling.blend(
        [predicting.predict_probabilities(member, sample.images) for member in members]
    )
    takes_uint8 = members[0].inputs[0].dtype == "uint8"
    alone = len(members) == 1 and takes_uint8
    model = members[0] if alone else _merge(keras, members, numbers)
    layers = run.folder / RECIPE_FILE if format_.needs_layers and _has_own_layers(model) else None
    with files.replacing_together(*format_.files(path)) as new:
        with quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):
            format_.write(model, new[0])
        comparison = comparing.compare(new[0], sample, expected, layers)
        sizes = [_size(written) for written in new]
    return Export(
        files=tuple(zip(format_.files(path), sizes, strict=True)),
        image_shape=image_shape,
        classes=expected.shape[1],
        comparison=comparison,
        layers=layers,
    )


def _merge(keras: Any, members: list[Any], numbers: tuple[int, ...]) -> Any:
    """Return one model with one uint8 input that returns the mean of the members' probabilities."""
    for member, number in zip(members, numbers, strict=True):
        member.name = f"fold_{number}"  # the layers of a model need unique names
    images = keras.Input(members[0].input_shape[1:], dtype="uint8", name=INPUT)
    answers = [member(images) for member in members]
    if len(members) == 1:
        return keras.Model(images, answers[0])
    return keras.Model(images, keras.layers.Average(name="probabilities")(answers))


def _has_own_layers(model: Any) -> bool:
    """Return whether ``model`` has layers or functions that a recipe's file registered."""
    described = model.to_json()
    own = [
        name
        for name in keras_architecture.list_registered()
        if not name.startswith("kaggle_digits>")
    ]
    return any(f'"{name}"' in described for name in own)


def _size(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _require_possible(format_: Format) -> None:
    backend = backend_name()
    if backend not in format_.backends:
        possible = [each.name for each in FORMATS.values() if backend in each.backends]
        raise InputError(
            f"KERAS_BACKEND is {backend!r}, which cannot write {format_.name}. Expected the format "
            f"{' or '.join(possible)}. Or unset KERAS_BACKEND: tensorflow writes every format and "
            "reads the models of any backend."
        )
    require_packages(format_, format_.write_needs)


def _require_target(format_: Format, path: Path) -> None:
    """Raise InputError if ``path`` is not writable or exists and is not an export."""
    is_folder = format_.name == "saved-model"
    if not is_folder and not path.name.endswith(format_.suffix):
        raise InputError(
            f"--output {path} does not end in {format_.suffix}, the suffix of {format_.name}. "
            "Expected a name with that suffix, or the --format of this suffix."
        )
    for folder in path.resolve().parents:
        if (folder / "run.json").exists():
            raise InputError(
                f"--output {path} lies in a run's folder, which must not contain other files. "
                "Expected another folder, such as exports/."
            )
    require_utf8(format_, path)
    format_.require_replaceable(path)
    if not is_folder:
        for file in format_.files(path):
            files.require_writable(file)
