"""Read NumPy's ``.npz`` and ``.npy`` files as data. A leaf; nothing else calls `numpy.load`.

These files come from outside: a download, a folder that somebody sent, a disk that failed. Each
array is read by its name, and its header is checked before memory is taken for it. NumPy's header
parser hands foreign bytes to Python's own parser, which has no list of exceptions to catch: all of
them become an `InputError` here. Nothing is ever unpickled.
"""

import contextlib
import io
import math
import os
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kaggle_digits.errors import InputError, KaggleDigitsError, describe_reason, shorten

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_HEADER = 10_000  # bytes, as NumPy; it has the whole header in memory before it counts them
MAX_LENGTH = 1 << 48  # of one dimension; Python's integers have no end, and 48 bits fill any disk
MAX_LIST = 1 << 20  # bytes of an archive's list of members: some 15,000 arrays
END_OF_ZIP, LONG_ZIP = b"PK\5\6", b"PK\6\7"


@dataclass(frozen=True)
class Form:
    """What the header of an array must say.

    Attributes:
        dtype: NumPy's name of a type, such as ``uint8``, or of a kind: ``integer``, ``floating``.
        shape: the length of each dimension, at least 1. A name stands for any length, which is the
            same wherever the name stands in the arrays of one file.
        required: whether the file must have the array.

    """

    dtype: str
    shape: tuple[int | str, ...]
    required: bool = True


def read_arrays(
    path: Path, *, names: Mapping[str, Form], advice: str, max_bytes: int | None = None
) -> "dict[str, Array]":
    """Read arrays from an ``.npz`` by their names. Other arrays in the file are not unpacked.

    Args:
        path: the file.
        names: what to read, and what form each array must have.
        advice: the end of every message: what the user can do about a file that is damaged.
        max_bytes: of all these arrays together. None allows the size of the file itself, which is
            enough for what `files.write_npz` wrote, because it does not compress.

    Returns:
        The arrays, in the order of ``names``; those that are not required only if they are there.

    Raises:
        InputError: the file cannot be read or is damaged, an array is missing, occurs twice, or
            has another form, or together they are too large.

    """
    with _reading(path, str(path), advice), path.open("rb") as file:
        left = _size(file) if max_bytes is None else max_bytes
        if not _is_small_zip(file):
            raise InputError(f"{path} is not an .npz file, or was cut short. {advice}")
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
                            f"asks for {size:,} bytes of memory where at most {left:,} are expected"
                        )
                    left -= size
                    with archive.open(member) as stream:
                        arrays[name] = _read(stream)
            return arrays


def read_array(path: Path, form: Form, *, advice: str, mapped: bool = False) -> "Array":
    """Read the array of an ``.npy``, which takes no more memory than the file has bytes.

    Args:
        path: the file.
        form: what the array must be.
        advice: the end of every message: what the user can do about a file that is damaged.
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
    """An array is not what its form says: the rest of a sentence that begins with its name."""


@contextlib.contextmanager
def _reading(path: Path, shown: str, advice: str) -> Iterator[None]:
    """Turn whatever is raised while foreign bytes are read into an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's parser and NumPy comment on odd headers
            yield
    except KaggleDigitsError:
        raise
    except _FormError as error:
        raise InputError(f"{shown}: {error}. {advice}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. {advice}") from error
    except Exception as error:
        raise InputError(
            f"cannot read {shown}: {describe_reason(error)}. Expected plain arrays of numbers, "
            f"whole. {advice}"
        ) from error


def _is_small_zip(file: IO[bytes]) -> bool:
    """Return whether the file ends as a zip of few members does, as `numpy.savez` writes it.

    Python takes 13 bytes of memory for each byte of the list before anything else is known.
    """
    end = struct.Struct("<4s8x2LH")
    file.seek(-min(_size(file), end.size + len(LONG_ZIP) + 16), os.SEEK_END)
    before, record = (tail := file.read())[: -end.size], tail[-end.size :]
    if len(record) < end.size or before.startswith(LONG_ZIP):  # whose list may be longer
        return False
    signature, size, _, comment = end.unpack(record)
    return bool(signature == END_OF_ZIP and size <= MAX_LIST and not comment)


def _members(
    archive: zipfile.ZipFile, path: Path, names: Mapping[str, Form], advice: str
) -> dict[str, zipfile.ZipInfo]:
    """Return where each of the arrays lies in the archive."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        found.setdefault(member.filename.removesuffix(".npy"), []).append(member)
    for name in names:
        if len(found.get(name, ())) > 1:
            raise InputError(
                f"{path} holds {name} more than once. Expected each array once. {advice}"
            )
    if missing := [name for name, form in names.items() if form.required and name not in found]:
        listed = shorten(", ".join(list(found)[: len(names) + 1])) or "nothing"
        required = ", ".join(name for name, form in names.items() if form.required)
        raise InputError(
            f"{path} lacks {', '.join(missing)}: it holds {listed}. "
            f"Expected the arrays {required}. {advice}"
        )
    return {name: found[name][0] for name in names if name in found}


def _check(stream: IO[bytes], size: int, form: Form, lengths: dict[str, int]) -> int:
    """Check the header at the start of a stream of ``size`` bytes; return the array's bytes.

    ``lengths`` are those of the dimensions with a name; new ones are added.
    """
    import numpy as np
    from numpy.lib import format as npy

    head = io.BytesIO(stream.read(MAX_HEADER))  # it may unpack to any number of bytes
    version = npy.read_magic(head)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(head)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(head)
    else:  # field names beyond Latin-1
        raise _FormError(f"received version {version} of NumPy's format, expected 1.0 or 2.0")
    if not all(0 <= length <= MAX_LENGTH for length in shape):
        raise _FormError("received a shape that no array has")
    expected = tuple(lengths.get(at, at) if isinstance(at, str) else at for at in form.shape)
    fits = len(shape) == len(expected) and all(
        length == at if isinstance(at, int) else length > 0
        for length, at in zip(shape, expected, strict=True)
    )
    if not fits or not np.issubdtype(dtype, getattr(np, form.dtype)):
        raise _FormError(
            f"received an array of shape {shorten(str(shape))} and dtype "
            f"{shorten(str(dtype))}, expected shape ({', '.join(map(str, expected))}"
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


def _read(stream: IO[bytes]) -> "Array":
    from numpy.lib import format as npy

    array = npy.read_array(stream, allow_pickle=False)
    stream.read(1)  # nothing is left, but zip compares the checksum at the end alone
    return array


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
