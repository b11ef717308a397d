"""Read the data set in a folder."""

from collections.abc import Callable
from pathlib import Path

from kaggle_digits import files
from kaggle_digits.datasets import (
    cache,
    cifar10,
    finding,
    kaggle_csv,
    layouts,
    markers,
    mnist,
)
from kaggle_digits.datasets.advice import add_advice, get_command
from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.datasets.found import Found
from kaggle_digits.datasets.naming import join_names
from kaggle_digits.datasets.reading import DataFile
from kaggle_digits.errors import InputError

Reader = Callable[[tuple[DataFile, ...], Path | None], tuple[Dataset, Dataset]]

READERS: dict[layouts.Layout, Reader] = {
    layouts.CSV: kaggle_csv.read_files,
    layouts.MNIST_NPZ: mnist.read_npz,
    layouts.MNIST_IDX: mnist.read_idx,
    layouts.MNIST_CSV: kaggle_csv.read_mnist,
    layouts.CIFAR10: cifar10.read_folder,
    layouts.CIFAR10_ARCHIVE: cifar10.read_archive,
}


def load(folder: str | Path = "input") -> Splits:
    """Load and check the data set in a folder.

    Reads the competition's CSVs (plain, compressed, or in a zip), mnist.npz, MNIST's IDX files or
    CSVs (also compressed or in a zip), and CIFAR-10's folder cifar-10-batches-py, its files, or its
    .tar.gz. If several are there, the first in this order is used, and the embedded sample only if
    there is nothing else. Parsed CSVs are cached in ``folder/.cache``, keyed by their content.

    Args:
        folder: the folder with the files.

    Returns:
        Training and test images, uint8 ``[n, height, width, channels]`` from 0 (background) to 255,
        with labels, uint8 ``[n]``, and ids, int64 ``[n]``.

    Raises:
        InputError: no data set is there, or it is broken or incomplete.

    Example:
        >>> data = kd.load("input")
        >>> data.train.images.shape, data.train.images.dtype
        ((1442, 28, 28, 1), dtype('uint8'))
        >>> data.test.ids[:3]
        array([1, 2, 3])

    """
    folder = files.expand_home(folder)
    while True:
        marker = markers.read(folder)
        markers.require_filled(folder, finding.list_pieces(folder))
        found = finding.find(folder)
        if found is None:
            raise InputError(
                f"{finding.describe_nothing(folder)} Expected {finding.KNOWN}. "
                f"Put data there with: {get_command(folder)}"
            )
        splits = read(found, folder)
        if markers.read(folder) == marker:  # else `data get` replaced files in the meantime
            return splits


def read(found: Found, into: Path, *, keep: bool = True) -> Splits:
    """Return the data set in the files ``found``.

    Args:
        found: the files, from `finding.find`.
        into: the input folder, which holds the cache and which messages name.
        keep: whether to cache the parsed arrays.

    Raises:
        InputError: a file is broken.

    """
    with add_advice(into, downloadable=found.layout.downloadable):
        train, test = READERS[found.layout](found.files, into / cache.FOLDER if keep else None)
    stands_in = found.stands_in
    source = stands_in or _source(found.layout, test)
    notes = _notes_on_files(found)
    if not stands_in and found.layout == layouts.CSV:
        notes += _notes_on_rows(len(train), len(test), into)
    return Splits(source, train, test, notes)


def _source(layout: layouts.Layout, test: Dataset) -> str:
    if layout in (layouts.MNIST_NPZ, layouts.MNIST_IDX, layouts.MNIST_CSV):
        return "mnist"
    if layout in (layouts.CIFAR10, layouts.CIFAR10_ARCHIVE):
        return "cifar10"
    return "kaggle" if len(test) == kaggle_csv.COMPETITION_TEST_ROWS else "csv"


def _notes_on_rows(train: int, test: int, into: Path) -> tuple[str, ...]:
    """Return notes about unusual numbers of rows if at least one file is the competition's."""
    rows = {
        "train.csv": (train, kaggle_csv.COMPETITION_TRAIN_ROWS),
        "test.csv": (test, kaggle_csv.COMPETITION_TEST_ROWS),
    }
    wrong = {name: counts for name, counts in rows.items() if counts[0] != counts[1]}
    if len(wrong) != 1:
        return ()  # the competition's, or data of another size
    ((name, (received, expected)),) = wrong.items()
    if received > expected:
        return (f"{name} has {received:,} rows; the competition's has {expected:,}.",)
    again = get_command(into, "--source", "kaggle", "--force")
    note = f"{name} has {received:,} of {expected:,} rows; the download may be incomplete."
    return (f"{note} Download it again with: {again}",)


def _notes_on_files(found: Found) -> tuple[str, ...]:
    """Return a note about files that were replaced since `data get` wrote them."""
    marker = markers.read(found.folder)
    if len(found.names) == 1:
        return ()
    noted = {
        file.path.name: file.sha256 == marker.sha256[name]
        for name, file in zip(found.names, found.disk_files, strict=True)
        if marker.sha256.get(name) is not None
    }
    replaced = [name for name, same in noted.items() if not same]
    if not replaced or len(replaced) == len(noted):
        return ()
    kept = [name for name, same in noted.items() if same]
    note = (
        f"{found.folder}: {join_names(replaced)} was changed after `data get` put it there, "
        f"{join_names(kept)} was not. Do they belong together?"
    )
    return (note,)
