"""Cache parsed arrays beside the input files, keyed by the content of those files."""

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
FORMAT = 2  # part of every file name: increase it when the meaning of the arrays changes
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
    """Return the arrays cached under ``key``, or call ``read`` and cache what it returns.

    A cache file that is broken or was changed is written again. If the folder is read-only,
    ``read`` is called each time.

    Args:
        folder: the cache folder; None disables the cache.
        role: ``train`` or ``test``. Files of the same role under other keys are removed.
        key: a hash of the input's content.
        read: returns ``images`` uint8 ``[n, 28, 28, 1]`` and, if ``labelled``, ``labels`` uint8
            ``[n]``; the same for the same key.
        labelled: whether there are labels.

    Returns:
        The arrays that ``read`` returns.

    """
    if folder is None:
        return read()
    path = folder / f"{role}-{FORMAT}-{key}.npz"
    names = ("images", "labels") if labelled else ("images",)
    kept = _read_cached(path, names, key)
    if kept is not None:
        return kept
    arrays = read()
    with contextlib.suppress(KaggleDigitsError):  # a read-only folder, a full disk
        files.write_npz(path, **arrays, **{CHECKSUM: _checksum(arrays, key)})
        _remove_others(path, role)
    return arrays


def _read_cached(path: Path, names: tuple[str, ...], key: str) -> Arrays | None:
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
    """Return CRC-32 of the key and the arrays, uint32 ``[1]``."""
    value = zlib.crc32(key.encode())
    for name in sorted(arrays):
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).data, value)
    return np.array([value], np.uint32)


def _remove_others(path: Path, role: str) -> None:
    for other in path.parent.glob(f"{role}-*.npz"):
        if other != path:
            with contextlib.suppress(OSError):  # another process removed it first
                other.unlink()
