"""Read whatever data set lies in a folder."""

from collections.abc import Callable
from pathlib import Path

from kaggle_digits.datasets import cache, cifar10, kaggle_csv, layouts, mnist
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError

Reader = Callable[[tuple[Path, ...], Path | None], tuple[Dataset, Dataset]]

READERS: dict[layouts.Layout, Reader] = {
    layouts.CSV: kaggle_csv.read_files,
    layouts.ZIP: kaggle_csv.read_zip,
    layouts.MNIST_NPZ: mnist.read_npz,
    layouts.MNIST_IDX: mnist.read_idx,
    layouts.CIFAR10: cifar10.read_folder,
    layouts.CIFAR10_ARCHIVE: cifar10.read_archive,
}


def load(folder: str | Path) -> Splits:
    """Return the data set in ``folder``, checked.

    Takes train.csv and test.csv (or .csv.gz), digit-recognizer.zip, mnist.npz, MNIST's four IDX
    files, CIFAR-10's folder cifar-10-batches-py, what is in it, or its .tar.gz; the first of these
    where several are there, but the embedded sample only where there is nothing else. CSVs are
    cached in ``folder/.cache``, by their content.

    Raises:
        InputError: nothing is there, or it is broken or incomplete.

    """
    folder = Path(folder).expanduser()
    found = layouts.find(folder)
    if found is None:
        state = "holds no data that is known here" if folder.is_dir() else "is no folder"
        raise InputError(
            f"{folder} {state}. Expected train.csv and test.csv, digit-recognizer.zip, "
            "mnist.npz, MNIST's IDX files, cifar-10-batches-py or cifar-10-python.tar.gz. "
            "Put them there with: kaggle-digits data get"
        )
    return read(found, folder / cache.FOLDER)


def read(found: layouts.Found, cache_folder: Path | None) -> Splits:
    """Return the data set in the files ``found``; ``cache_folder`` None caches nothing."""
    train, test = READERS[found.layout](found.files, cache_folder)
    return Splits(layouts.source_noted(found) or _source(found.layout, test), train, test)


def _source(layout: layouts.Layout, test: Dataset) -> str:
    if layout in (layouts.MNIST_NPZ, layouts.MNIST_IDX):
        return "mnist"
    if layout in (layouts.CIFAR10, layouts.CIFAR10_ARCHIVE):
        return "cifar10"
    return "kaggle" if len(test) == kaggle_csv.COMPETITION_TEST_ROWS else "csv"
