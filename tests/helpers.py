"""Small data sets in the formats that the product reads."""

import itertools
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits import recipes
from kaggle_digits.runs import Settings
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


def write_split(folder: Path, seed: int, leaked: int = 0) -> Path:
    """Write a random split of the competition's size and form into ``folder`` and return it.

    A pool of 200 images is split in two by ``seed``; each half is repeated as often as its file
    has rows, so that no test image but the first ``leaked`` occurs in train.csv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool = np.random.default_rng(seed).permutation(images(200))
    texts = [",".join(map(str, row)) for row in pool.tolist()]
    train, test = texts[:100], texts[100:]
    labelled = "".join(f"{i % 10},{train[i % 100]}\n" for i in range(42_000))
    unlabelled = "".join(f"{train[i] if i < leaked else test[i % 100]}\n" for i in range(ROWS))
    (folder / "train.csv").write_text(f"{HEADER}\n{labelled}")
    (folder / "test.csv").write_text(f"{TEST_HEADER}\n{unlabelled}")
    return folder


def mnist_arrays(train: int = 30, test: int = 10) -> dict[str, Any]:
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


CIFAR10_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def python2_pickle(value: Any) -> bytes:
    """Return ``value`` as Python 2's cPickle wrote it with protocol 2, NumPy's old names included.

    Takes dictionaries, lists, bytes (Python 2's str), whole numbers and arrays uint8 [n, m].
    """
    memo = itertools.count(1)
    return b"\x80\x02" + b"".join(_python2(value, memo)) + b"."


def _python2(value: Any, memo: Iterator[int]) -> Iterator[bytes]:
    if isinstance(value, int):
        for code, form, end in ((b"K", "<B", 1 << 8), (b"M", "<H", 1 << 16), (b"J", "<i", 1 << 31)):
            if 0 <= value < end:
                yield code + struct.pack(form, value)
                return
        yield b"J" + struct.pack("<i", value)
    elif isinstance(value, bytes):
        yield _python2_string(value) + _put(memo)
    elif isinstance(value, list):
        yield b"]" + _put(memo)
        for start in range(0, len(value), 1000):
            yield b"("
            for one in value[start : start + 1000]:
                yield from _python2(one, memo)
            yield b"e"
    elif isinstance(value, dict):
        yield b"}" + _put(memo) + b"("
        for one in itertools.chain.from_iterable(value.items()):
            yield from _python2(one, memo)
        yield b"u"
    else:
        yield from _python2_array(value, memo)


def _python2_string(value: bytes) -> bytes:
    if len(value) < 1 << 8:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def _put(memo: Iterator[int]) -> bytes:
    number = next(memo)
    return b"q" + bytes([number]) if number < 1 << 8 else b"r" + struct.pack("<i", number)


def _python2_array(array: npt.NDArray[np.uint8], memo: Iterator[int]) -> Iterator[bytes]:
    yield b"cnumpy.core.multiarray\n_reconstruct\n" + _put(memo)
    yield b"cnumpy\nndarray\n" + _put(memo) + b"K\0\x85" + _put(memo)
    yield _python2_string(b"b") + _put(memo) + b"\x87" + _put(memo) + b"R" + _put(memo)
    yield b"(K\x01"
    for length in array.shape:
        yield from _python2(length, memo)
    yield b"\x86" + _put(memo) + b"cnumpy\ndtype\n" + _put(memo)
    yield _python2_string(array.dtype.str[1:].encode()) + _put(memo)
    yield b"K\0K\x01\x87" + _put(memo) + b"R" + _put(memo)
    yield b"(K\x03" + _python2_string(b"|") + _put(memo)
    yield b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t" + _put(memo) + b"b\x89"
    yield _python2_string(array.tobytes()) + _put(memo) + b"t" + _put(memo) + b"b"


def cifar10_arrays(sizes: tuple[int, ...]) -> list[tuple[npt.NDArray[np.uint8], list[int]]]:
    """Return data uint8 [n, 3072] and labels of one batch for each of ``sizes``."""
    random = np.random.default_rng(0)
    return [
        (random.integers(0, 256, (n, 3072), np.uint8), (np.arange(n) % 10).tolist()) for n in sizes
    ]


def cifar10_files(sizes: tuple[int, ...] = (20, 20, 20, 20, 20, 10)) -> dict[str, bytes]:
    """Return the seven files of cifar-10-batches-py; the last size is the test batch's."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = {
        name: python2_pickle(
            {
                b"batch_label": name.encode(),
                b"labels": labels,
                b"data": data,
                b"filenames": [f"{i}.png".encode() for i in range(len(labels))],
            }
        )
        for name, (data, labels) in zip(names, cifar10_arrays(sizes), strict=True)
    }
    label_names = [name.encode() for name in CIFAR10_NAMES]
    meta = {b"num_cases_per_batch": 10_000, b"label_names": label_names, b"num_vis": 3072}
    return {"batches.meta": python2_pickle(meta), **files}


def write_cifar10(folder: Path, sizes: tuple[int, ...] = (20, 20, 20, 20, 20, 10)) -> Path:
    """Write CIFAR-10's folder into ``folder`` and return ``folder``."""
    inner = folder / "cifar-10-batches-py"
    inner.mkdir(parents=True, exist_ok=True)
    for name, content in cifar10_files(sizes).items():
        (inner / name).write_bytes(content)
    return folder


def write_cifar10_archive(path: Path, prefix: str = "") -> Path:
    """Write CIFAR-10's .tar.gz to ``path`` and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = write_cifar10(path.parent / f"packed-{path.name}")
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(folder / "cifar-10-batches-py", f"{prefix}cifar-10-batches-py")
    return path


def submission(labels: dict[int, int]) -> Submission:
    return Submission(np.array(list(labels), np.int64), np.array(list(labels.values()), np.uint8))


def large(seed: int = 0) -> Submission:
    labels = np.random.default_rng(seed).integers(0, 10, ROWS, dtype=np.uint8)
    return Submission(np.arange(1, ROWS + 1), labels)


def run_settings() -> Settings:
    """Return the settings of a small run that deslants."""
    return Settings(
        command="cv",
        recipe="bn20",
        training=recipes.find("bn20").training,
        folds=2,
        seeds=1,
        seed=0,
        validation_split=None,
        limit=None,
        source="csv",
        train_fingerprint="0" * 64,
        test_fingerprint="1" * 64,
        backend="tensorflow",
        deslant=recipes.find("record-width").deslant,
        threads=1,
    )
