"""MNIST itself, both splits labelled: mnist.npz, or the four IDX files.

IDX (Y. LeCun, "The MNIST database of handwritten digits"): two zero bytes, 8 for uint8, the number
of dimensions, each dimension as a big-endian int32, then the values.
"""

import gzip
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.arrays import Form, read_arrays
from kaggle_digits.datasets.dataset import DIGITS, Dataset
from kaggle_digits.datasets.layouts import GOOD_COPY, read_bytes
from kaggle_digits.errors import InputError

SIDE = 28
NPZ_ARRAYS = {
    "x_train": Form("uint8", ("train", SIDE, SIDE)),
    "y_train": Form("integer", ("train",)),
    "x_test": Form("uint8", ("test", SIDE, SIDE)),
    "y_test": Form("integer", ("test",)),
}
UINT8_CODE = 8
MOST_BYTES = 512 << 20  # of an unpacked .gz, or an .npz; MNIST has 55 MB


def read_npz(paths: tuple[Path, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(mnist.npz,)``. Nothing in it is unpickled.

    Raises:
        InputError: it is broken, or arrays, shapes, dtypes or labels are not MNIST's.

    """
    (path,) = paths
    arrays = read_arrays(path, names=NPZ_ARRAYS, max_bytes=MOST_BYTES, advice=GOOD_COPY)
    x_train, y_train, x_test, y_test = (arrays[name] for name in NPZ_ARRAYS)
    return (
        _dataset(x_train, y_train, f"{path} (x_train, y_train)"),
        _dataset(x_test, y_test, f"{path} (x_test, y_test)"),
    )


def read_idx(paths: tuple[Path, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(train images, train labels, test labels, test images)``.

    Raises:
        InputError: a file is broken, or they do not belong together.

    """
    x_train, y_train, y_test, x_test = paths
    return (
        _dataset(idx_array(x_train, 3), idx_array(y_train, 1), f"{x_train}, {y_train.name}"),
        _dataset(idx_array(x_test, 3), idx_array(y_test, 1), f"{x_test}, {y_test.name}"),
    )


def idx_array(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Return the array of an IDX file, gzipped if its name ends so.

    Raises:
        InputError: the magic number or the length is wrong.

    """
    data = read_bytes(path)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MOST_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path} is broken: {error}. Expected a whole gzip file. {GOOD_COPY}"
            ) from error
    magic = bytes((0, 0, UINT8_CODE, dimensions))
    start = len(magic) + 4 * dimensions
    if data[: len(magic)] != magic or len(data) < start:
        raise InputError(
            f"{path}: received a file that begins with {data[:4].hex(' ') or 'nothing'}, "
            f"expected {magic.hex(' ')}, an IDX file of {dimensions} dimension(s). {GOOD_COPY}"
        )
    shape = tuple(map(int, np.frombuffer(data, ">u4", dimensions, offset=len(magic))))
    if len(data) - start != math.prod(shape):
        raise InputError(
            f"{path}: received {len(data) - start} bytes of values, "
            f"expected {math.prod(shape)} for the shape {shape} that it names. {GOOD_COPY}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _dataset(images: npt.NDArray[Any], labels: npt.NDArray[Any], name: str) -> Dataset:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise InputError(
            f"{name}: received images of shape {images.shape} and dtype {images.dtype}, "
            f"expected (n, {SIDE}, {SIDE}) and uint8. {GOOD_COPY}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "ui":
        raise InputError(
            f"{name}: received labels of shape {labels.shape} and dtype {labels.dtype}, "
            f"expected one whole number for each of {len(images)} images. {GOOD_COPY}"
        )
    if labels.min() < 0 or labels.max() >= len(DIGITS):
        raise InputError(
            f"{name}: received labels from {labels.min()} to {labels.max()}, "
            f"expected 0 to {len(DIGITS) - 1}. {GOOD_COPY}"
        )
    ids = np.arange(1, len(images) + 1, dtype=np.int64)
    return Dataset(images[..., np.newaxis], labels.astype(np.uint8), ids)
