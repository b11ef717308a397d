"""List the formats, recognise the format of a file, and open it."""

from pathlib import Path

from kaggle_digits import optional_packages
from kaggle_digits.errors import InputError, suggest_path
from kaggle_digits.exporting import saved_model
from kaggle_digits.exporting.format import Format
from kaggle_digits.exporting.json_h5 import JSON_H5, WEIGHTS
from kaggle_digits.exporting.keras_archive import KERAS
from kaggle_digits.exporting.onnx import ONNX
from kaggle_digits.exporting.predictor import Predictor
from kaggle_digits.exporting.saved_model import SAVED_MODEL
from kaggle_digits.exporting.tflite import TFLITE

FORMATS: dict[str, Format] = {
    format_.name: format_ for format_ in (KERAS, JSON_H5, ONNX, TFLITE, SAVED_MODEL)
}

UTF8_ONLY = (ONNX, SAVED_MODEL)


def find(name: str) -> Format:
    """Return the format ``name``.

    Raises:
        InputError: it is unknown; the message lists the known formats.

    """
    if name not in FORMATS:
        raise InputError(f"received the format {name!r}. Expected one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def open_model(path: Path, *, trust: bool = False) -> Predictor:
    """Return the exported model at ``path``, tested on two images.

    Args:
        path: a ``.keras``, ``.onnx`` or ``.tflite`` file, a ``.json`` with its ``.weights.h5``
            beside it, or the folder of a SavedModel.
        trust: whether to open a SavedModel, which is a program that can read and write any file.
            The other formats contain no code and are always opened.

    Returns:
        The model as a function from uint8 images to probabilities.

    Raises:
        InputError: it is missing, damaged or of another kind, would run code, does not take uint8
            images or return probabilities, or is a SavedModel without ``trust``.

    """
    if not path.exists():
        raise InputError(
            f"{path} does not exist.{suggest_path(path)} Expected an exported model; "
            "`kaggle-digits export` writes one."
        )
    format_ = _of_folder(path) if path.is_dir() else _of_suffix(path)
    if format_ is SAVED_MODEL:
        saved_model.require_saved_model(path)
        if not trust:
            raise InputError(
                f"{path} is a SavedModel: a program that can read and write your files. Expected "
                "--trust to open it; use --trust only for models whose authors you trust. The "
                "other formats of `export` contain no programs."
            )
    require_packages(format_, format_.open_needs)
    require_utf8(format_, path)
    return format_.open_model(path)


def require_packages(format_: Format, needed: tuple[str, ...]) -> None:
    """Raise InputError if a package that ``format_`` needs is not installed."""
    optional_packages.require_packages(
        needed, extra=format_.name, needed_by=f"the format {format_.name}"
    )


def require_utf8(format_: Format, path: Path) -> None:
    """Raise InputError if ``path`` is not UTF-8 and the libraries of ``format_`` need it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        if format_ in UTF8_ONLY:
            raise InputError(
                f"{path} is not UTF-8, which {format_.name} needs. Expected another name, or a "
                "path relative to the folder you are in."
            ) from error


def _of_folder(path: Path) -> Format:
    """Return the format of a folder; raise InputError if its name has another format's suffix."""
    for format_ in FORMATS.values():
        if format_ is not SAVED_MODEL and path.name.lower().endswith(format_.suffix):
            raise InputError(
                f"{path} is a folder. Expected a file, because {format_.suffix} is the suffix of "
                f"the format {format_.name}. Such a folder may be an attempt to deceive you."
            )
    return SAVED_MODEL


def _of_suffix(path: Path) -> Format:
    for format_ in FORMATS.values():
        if path.name.endswith(format_.suffix):
            return format_
    if path.name.endswith(WEIGHTS):
        architecture = path.with_name(path.name.removesuffix(WEIGHTS) + JSON_H5.suffix)
        raise InputError(f"{path} has only weights. Expected the architecture, {architecture}.")
    suffixes = ", ".join(format_.suffix for format_ in FORMATS.values() if format_ != SAVED_MODEL)
    raise InputError(
        f"{path} has an unknown format. Expected a file that ends in {suffixes}, or the folder of "
        "a SavedModel."
    )
