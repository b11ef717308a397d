"""Arrays that take long to read, kept beside the input and keyed by the input's content."""

import contextlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import files
from kaggle_digits.errors import InputError, KaggleDigitsError
from kaggle_digits.formats.arrays import Form, read_arrays

FOLDER = ".cache"
FORMAT = 2  # a part of every name: raise it when what is kept changes its meaning
CHECKSUM = "checksum"
FORMS = {
    "images": Form("uint8", ("images", 28, 28, 1)),
    "labels": Form("uint8", ("images",)),
    CHECKSUM: Form("uint32", (1,)),
}

Arrays = dict[str, npt.NDArray[Any]]


def load_or_parse(
    folder: Path | None, role: str, key: str, read: Callable[[], Arrays], *, labelled: bool
) -> Arrays:
    """Return ``read()``, from ``folder`` if it was kept there under this ``key``.

    A cache is only a convenience: one that is broken, or that holds other arrays than were kept
    there, is written again. If the folder is read-only, ``read`` is called each time.

    Args:
        folder: where to keep them; None keeps nothing.
        role: which of the input's parts this is; what is kept of it under other keys is removed.
        key: changes whenever the input's content does.
        read: returns ``images`` uint8 ``[n, 28, 28, 1]`` and, if ``labelled``, ``labels`` uint8
            ``[n]``; the same for the same key.
        labelled: whether there are labels.

    """
    if folder is None:
        return read()
    path = folder / f"{role}-{FORMAT}-{key}.npz"
    names = ("images", "labels") if labelled else ("images",)
    kept = _kept(path, names, key)
    if kept is not None:
        return kept
    arrays = read()
    with contextlib.suppress(KaggleDigitsError):  # a read-only folder, a full disk
        files.write_npz(path, **arrays, **{CHECKSUM: _checksum(arrays, key)})
        _remove_others(path, role)
    return arrays


def _kept(path: Path, names: tuple[str, ...], key: str) -> Arrays | None:
    """Return the arrays ``names`` if `load_or_parse` wrote this file for this ``key``."""
    try:
        arrays = read_arrays(
            path, names={name: FORMS[name] for name in (*names, CHECKSUM)}, advice=""
        )
    except InputError:
        return None
    checksum = arrays.pop(CHECKSUM)
    return arrays if np.array_equal(checksum, _checksum(arrays, key)) else None


def _checksum(arrays: Arrays, key: str) -> npt.NDArray[np.uint32]:
    """Return CRC-32 of the key and the arrays, uint32 ``[1]``: no other input's, and unchanged."""
    value = zlib.crc32(key.encode())
    for name in sorted(arrays):
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).data, value)
    return np.array([value], np.uint32)


def _remove_others(path: Path, role: str) -> None:
    for other in path.parent.glob(f"{role}-*.npz"):
        if other != path:
            with contextlib.suppress(OSError):  # another process removed it first
                other.unlink()
