"""Read NumPy's ``.npz`` and ``.npy`` files safely. No other module calls `numpy.load`.

These files may come from others or be damaged. Each array is read by its name, and its header is
checked before memory is allocated. NumPy passes the header to Python's parser, which may raise any
exception: all of them become an `InputError`, unless memory ran out. Nothing is unpickled.
"""

import contextlib
import io
import math
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kaggle_digits.errors import InputError, KaggleDigitsError, describe_reason, out_of_memory
from kaggle_digits.safe_reading import is_small_zip
from kaggle_digits.terminal_text import plain

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_HEADER = 10_000  # bytes, as NumPy's limit, which NumPy checks only after reading the header
MAX_LENGTH = 1 << 48  # length of one dimension


@dataclass(frozen=True)
class Form:
    """The required dtype and shape of an array.

    Attributes:
        dtype: NumPy's name of a dtype, such as ``uint8``, or a kind: ``integer``, ``floating``.
        shape: the length of each dimension, at least 1. A name stands for any length, which must be
            the same for all arrays of a file that use the name.
        required: whether the file must have the array.

    """

    dtype: str
    shape: tuple[int | str, ...]
    required: bool = True


def read_arrays(
    path: Path, *, names: Mapping[str, Form], advice: str, max_bytes: int | None = None
) -> "dict[str, Array]":
    """Read arrays from an ``.npz`` by their names. Other arrays in the file are ignored.

    Args:
        path: the file.
        names: the names of the arrays, each with its required form.
        advice: the end of every message: what the user can do about a damaged file.
        max_bytes: limit for all arrays together. None uses the size of the file, which suffices
            for uncompressed files as `files.write_npz` writes them.

    Returns:
        The arrays in the order of ``names``, without optional ones that are missing.

    Raises:
        InputError: the file cannot be read or is damaged, an array is missing, occurs twice or has
            another form, or the arrays are too large.

    """
    with _reading(path, str(path), advice), path.open("rb") as file:
        left = _size(file) if max_bytes is None else max_bytes
        if not is_small_zip(file):
            raise InputError(f"{path} is not an .npz file, or is truncated. {advice}")
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, path, names, advice)
            lengths: dict[str, int] = {}
            arrays = {}
            for name, member in members.items():
                shown = f"{path} ({name})"
                with _reading(path, shown, advice):
                    with archive.open(member) as stream:
                        size = _check(stream, member.file_size, names[name], lengths)
                    if size > left:
                        raise _FormError(
                            f"needs {size:,} bytes of memory, expected at most {left:,}"
                        )
                    left -= size
                    with archive.open(member) as stream:
                        arrays[name] = _read(stream)
            return arrays


def read_array(path: Path, form: Form, *, advice: str, mapped: bool = False) -> "Array":
    """Read the array of an ``.npy``, which needs no more memory than the size of the file.

    Args:
        path: the file.
        form: the required form of the array.
        advice: the end of every message: what the user can do about a damaged file.
        mapped: whether to map the file into memory, read-only, instead of reading it.

    Raises:
        InputError: the file cannot be read, is damaged, or holds an array of another form.

    """
    from numpy.lib import format as npy

    with _reading(path, str(path), advice), path.open("rb") as file:
        _check(file, _size(file), form, {})
        if mapped:
            return npy.open_memmap(path, mode="r")
        file.seek(0)
        return _read(file)


class _FormError(Exception):
    """An array does not have its form. The text completes a sentence that begins with its name."""


@contextlib.contextmanager
def _reading(path: Path, shown: str, advice: str) -> Iterator[None]:
    """Turn any exception while reading an untrusted file into an error with a message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's parser and NumPy warn about unusual headers
            yield
    except KaggleDigitsError:
        raise
    except _FormError as error:
        raise InputError(f"{shown}: {error}. {advice}") from error
    except OSError as error:
        raise out_of_memory(error) or InputError(
            f"cannot read {path}: {error.strerror or error}. {advice}"
        ) from error
    except Exception as error:
        raise out_of_memory(error) or InputError(
            f"cannot read {shown}: {describe_reason(error)}. Expected complete plain arrays of "
            f"numbers. {advice}"
        ) from error


def _members(
    archive: zipfile.ZipFile, path: Path, names: Mapping[str, Form], advice: str
) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's member of each array."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        found.setdefault(member.filename.removesuffix(".npy"), []).append(member)
    for name in names:
        if len(found.get(name, ())) > 1:
            raise InputError(
                f"{path} has {name} more than once. Expected each array once. {advice}"
            )
    if missing := [name for name, form in names.items() if form.required and name not in found]:
        listed = plain(", ".join(list(found)[: len(names) + 1])) or "nothing"
        required = ", ".join(name for name, form in names.items() if form.required)
        raise InputError(
            f"{path} lacks {', '.join(missing)}: it holds {listed}. "
            f"Expected the arrays {required}. {advice}"
        )
    return {name: found[name][0] for name in names if name in found}


def _check(stream: IO[bytes], size: int, form: Form, lengths: dict[str, int]) -> int:
    """Check the header at the start of a stream of ``size`` bytes; return the array's bytes.

    ``lengths`` maps the names of dimensions to their lengths; new ones are added.
    """
    import numpy as np

    head = io.BytesIO(stream.read(MAX_HEADER))  # a compressed header may be of any length
    shape, dtype = _read_header(head)
    if not all(0 <= length <= MAX_LENGTH for length in shape):
        raise _FormError("received an impossible shape")
    expected = tuple(lengths.get(at, at) if isinstance(at, str) else at for at in form.shape)
    fits = len(shape) == len(expected) and all(
        length == at if isinstance(at, int) else length > 0
        for length, at in zip(shape, expected, strict=True)
    )
    if not fits or not np.issubdtype(dtype, getattr(np, form.dtype)):
        raise _FormError(
            f"received an array of shape {plain(str(shape))} and dtype "
            f"{plain(str(dtype))}, expected shape ({', '.join(map(str, expected))}"
            f"{',' * (len(expected) == 1)}) and dtype {form.dtype}"
        )
    lengths |= {
        at: length for at, length in zip(expected, shape, strict=True) if isinstance(at, str)
    }
    asked = math.prod(shape) * dtype.itemsize
    if head.tell() + asked != size:
        raise _FormError(
            f"received {size - head.tell():,} bytes of values, expected {asked:,} for an array of "
            f"shape {shape} and dtype {dtype}"
        )
    return asked


def _read_header(head: IO[bytes]) -> "tuple[tuple[int, ...], np.dtype[Any]]":
    """Return the shape and the dtype in a header."""
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(head)
    if version not in readers:  # field names beyond Latin-1
        raise _FormError(f"received version {version} of NumPy's format, expected 1.0 or 2.0")
    try:
        shape, _, dtype = readers[version](head)
    except MemoryError as error:  # so Python's parser reports deep nesting
        raise _FormError("received a header that is nested too deeply") from error
    return shape, dtype


def _read(stream: IO[bytes]) -> "Array":
    from numpy.lib import format as npy

    array = npy.read_array(stream, allow_pickle=False)
    stream.read(1)  # zip checks the checksum only at the end
    return array


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
