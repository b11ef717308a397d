"""Read MNIST (both splits labelled) from mnist.npz or from the four IDX files.

`kaggle_csv` reads MNIST's CSVs.

IDX (Y. LeCun, "The MNIST database of handwritten digits"): two zero bytes, 8 for uint8, the number
of dimensions, each dimension as a big-endian int32, then the values.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.advice import DataError
from kaggle_digits.datasets.dataset import DIGITS, Dataset
from kaggle_digits.datasets.reading import DataFile
from kaggle_digits.errors import InputError
from kaggle_digits.formats.arrays import Form, read_arrays

SIDE = 28
NPZ_ARRAYS = {
    "x_train": Form("uint8", ("train", SIDE, SIDE)),
    "y_train": Form("integer", ("train",)),
    "x_test": Form("uint8", ("test", SIDE, SIDE)),
    "y_test": Form("integer", ("test",)),
}
MAX_BYTES = 512 << 20  # of the arrays in an .npz; MNIST has 55 MB
UINT8_CODE = 8


def read_npz(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(mnist.npz,)``. Nothing in it is unpickled.

    Raises:
        DataError: the file is broken, or its arrays, shapes, dtypes or labels are not MNIST's.

    """
    path = paths[0].disk.path
    try:
        arrays = read_arrays(path, names=NPZ_ARRAYS, max_bytes=MAX_BYTES, advice="")
    except InputError as error:
        raise DataError(str(error).rstrip()) from error
    x_train, y_train, x_test, y_test = (arrays[name] for name in NPZ_ARRAYS)
    return (
        _dataset(x_train, y_train, f"{path} (x_train, y_train)"),
        _dataset(x_test, y_test, f"{path} (x_test, y_test)"),
    )


def read_idx(paths: tuple[DataFile, ...], cache: Path | None) -> tuple[Dataset, Dataset]:  # noqa: ARG001 - every reader has this signature
    """Return train and test from ``(train images, train labels, test labels, test images)``.

    Raises:
        DataError: a file is broken, or the files do not belong together.

    """
    x_train, y_train, y_test, x_test = paths
    return (
        _dataset(idx_array(x_train, 3), idx_array(y_train, 1), f"{x_train}, {y_train}"),
        _dataset(idx_array(x_test, 3), idx_array(y_test, 1), f"{x_test}, {y_test}"),
    )


def idx_array(file: DataFile, dimensions: int) -> npt.NDArray[np.uint8]:
    """Return the array of an IDX file.

    Args:
        file: the file, plain or compressed.
        dimensions: the expected number of dimensions.

    Returns:
        uint8 of that many dimensions.

    Raises:
        DataError: the magic number or the length is wrong.

    """
    data = file.unpack(file.disk.read())
    magic = bytes((0, 0, UINT8_CODE, dimensions))
    start = len(magic) + 4 * dimensions
    if data[: len(magic)] != magic or len(data) < start:
        raise DataError(
            f"{file}: received a file that begins with {data[:4].hex(' ') or 'no bytes'}. "
            f"Expected {magic.hex(' ')}, an IDX file of {dimensions} dimension(s)."
        )
    shape = tuple(map(int, np.frombuffer(data, ">u4", dimensions, offset=len(magic))))
    if len(data) - start != math.prod(shape):
        raise DataError(
            f"{file}: received {len(data) - start} bytes of values. "
            f"Expected {math.prod(shape)} for the shape {shape} in its header."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _dataset(images: npt.NDArray[Any], labels: npt.NDArray[Any], name: str) -> Dataset:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise DataError(
            f"{name}: received images of shape {images.shape} and dtype {images.dtype}. "
            f"Expected (n, {SIDE}, {SIDE}) and uint8."
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "ui":
        raise DataError(
            f"{name}: received labels of shape {labels.shape} and dtype {labels.dtype}. "
            f"Expected one whole number for each of {len(images)} images."
        )
    if labels.min() < 0 or labels.max() >= len(DIGITS):
        raise DataError(
            f"{name}: received labels from {labels.min()} to {labels.max()}. "
            f"Expected 0 to {len(DIGITS) - 1}."
        )
    ids = np.arange(1, len(images) + 1, dtype=np.int64)
    return Dataset(images[..., np.newaxis], labels.astype(np.uint8), ids)
