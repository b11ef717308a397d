"""Small data sets in the formats that the product reads."""

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits.submissions import Submission

ROWS = 28_000
PIXELS = tuple(f"pixel{i}" for i in range(784))
HEADER = "label," + ",".join(PIXELS)
TEST_HEADER = ",".join(PIXELS)


def images(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return uint8 [count, 784]: mostly background, never two alike."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 784), np.uint8)
    pixels[random.random((count, 784)) < 0.8] = 0
    return pixels


def labels(count: int) -> npt.NDArray[np.uint8]:
    """Return uint8 [count]: 0, 1, … 9, 0, …"""
    return (np.arange(count) % 10).astype(np.uint8)


def csv_text(header: str, rows: npt.NDArray[np.uint8]) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows.tolist())]) + "\n"


def competition_files(train: int = 60, test: int = 20, seed: int = 0) -> dict[str, str]:
    """Return the text of train.csv, test.csv and sample_submission.csv."""
    pixels = images(train + test, seed)
    return {
        "train.csv": csv_text(HEADER, np.column_stack([labels(train), pixels[:train]])),
        "test.csv": csv_text(TEST_HEADER, pixels[train:]),
        "sample_submission.csv": "ImageId,Label\n"
        + "".join(f"{i},0\n" for i in range(1, test + 1)),
    }


def write_competition(folder: Path, train: int = 60, test: int = 20, seed: int = 0) -> Path:
    """Write the competition's three files, labels 0…9 in turn, into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in competition_files(train, test, seed).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_competition_zip(path: Path, train: int = 60, test: int = 20, seed: int = 0) -> Path:
    """Write the competition's download to ``path`` and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in competition_files(train, test, seed).items():
            archive.writestr(name, text)
    return path


def mnist_arrays(train: int = 30, test: int = 10) -> dict[str, npt.NDArray[np.uint8]]:
    """Return the arrays of mnist.npz."""
    pixels = images(train + test).reshape(-1, 28, 28)
    return {
        "x_train": pixels[:train],
        "y_train": labels(train),
        "x_test": pixels[train:],
        "y_test": labels(test),
    }


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    """Return ``array`` as an IDX file."""
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def submission(labels: dict[int, int]) -> Submission:
    return Submission(np.array(list(labels), np.int64), np.array(list(labels.values()), np.uint8))


def large(seed: int = 0) -> Submission:
    labels = np.random.default_rng(seed).integers(0, 10, ROWS, dtype=np.uint8)
    return Submission(np.arange(1, ROWS + 1), labels)
