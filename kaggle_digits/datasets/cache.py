"""Arrays that take long to read, kept beside the input and keyed by the input's content."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.arrays import Form, read_arrays
from kaggle_digits.errors import InputError, KaggleDigitsError

FOLDER = ".cache"
FORMAT = 1  # a part of every name: raise it when what is kept changes its meaning

FORMS = {
    "images": Form("uint8", ("images", "height", "width", "channels")),
    "labels": Form("uint8", ("images",), required=False),
}

Arrays = dict[str, npt.NDArray[Any]]


def cached(folder: Path | None, role: str, key: str, read: Callable[[], Arrays]) -> Arrays:
    """Return ``read()``, from ``folder`` if it was kept there under this ``key``.

    A cache is only a convenience: one that is broken is written anew, and where nothing can be
    written the arrays come from ``read`` each time.

    Args:
        folder: where to keep them; None keeps nothing.
        role: which of the input's parts this is; what is kept of it under other keys is removed.
        key: changes whenever the input's content does.
        read: returns the same arrays, names and dtypes for the same key.

    """
    if folder is None:
        return read()
    path = folder / f"{role}-{FORMAT}-{key}.npz"
    kept = _kept(path)
    if kept is not None:
        return kept
    arrays = read()
    with contextlib.suppress(KaggleDigitsError):  # a read-only folder, a full disk
        files.write_npz(path, **arrays)
        _remove_others(path, role)
    return arrays


def _kept(path: Path) -> Arrays | None:
    try:
        return read_arrays(path, names=FORMS, advice="")
    except InputError:
        return None  # not there, cut short, or not ours: zip's own checksums cover the content


def _remove_others(path: Path, role: str) -> None:
    for other in path.parent.glob(f"{role}-*.npz"):
        if other != path:
            with contextlib.suppress(OSError):  # another process removed it first
                other.unlink()
