"""Check Keras models from untrusted files before Keras builds them.

Keras's safe mode rejects Python code, but builds any class that it can import, of any size. So only
known layers and operations are accepted, the weights must be plain arrays, and the size of both is
checked before memory is allocated.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from kaggle_digits import safe_reading
from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.formats.keras_architecture import require_openable

MAX_ARCHITECTURE_BYTES = 16 << 20
MAX_WEIGHTS_BYTES = 2 << 30  # weights and optimizer state
MAX_EXPANSION = 20  # uncompressed over compressed size; trained weights hardly shrink
FREE_EXPANSION = 64 << 20  # uncompressed bytes that are always accepted

ARCHITECTURE, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {ARCHITECTURE, WEIGHTS, "metadata.json"}

# ---------------------------------------------------------------------------------------- open


def load(path: Path, *, to_train: bool = False) -> Any:
    """Return the Keras model in the ``.keras`` file ``path``; no code in it is run.

    Args:
        path: the file.
        to_train: whether to load the loss and the optimizer, if they are in the file.

    Returns:
        The `keras.Model`.

    Raises:
        InputError: it has objects that are not allowed, or exceeds the limits above.
        Exception: it is damaged; the type depends on the damage.

    """
    architecture = _check_archive(path)
    require_openable(path, architecture)
    keras = start_keras()
    return keras.models.load_model(path, compile=to_train, safe_mode=True)


def load_weights(network: Any, path: Path) -> None:
    """Load the weights of the ``.keras`` file ``path`` into ``network``, which has the same layers.

    Raises:
        InputError, Exception: as `load` does.

    """
    _check_archive(path)
    network.load_weights(path)


def load_architecture(path: Path) -> Any:
    """Return the model of an architecture written by Keras's ``to_json``, without its weights.

    Raises:
        InputError, Exception: as `load` does.

    """
    architecture = safe_reading.read_json(path.resolve(), MAX_ARCHITECTURE_BYTES)
    require_openable(path, architecture)
    keras = start_keras()
    return keras.models.model_from_json(json.dumps(architecture))


def load_weights_file(model: Any, path: Path) -> None:
    """Load the weights in ``path``, which ends in ``.weights.h5``, into ``model``.

    Raises:
        InputError, Exception: as `load` does.

    """
    with safe_reading.open_regular(path.resolve(), MAX_WEIGHTS_BYTES) as file:
        _require_plain_arrays(path, file)
    model.load_weights(path)


def _check_archive(path: Path) -> Any:
    """Check the members and weights of a ``.keras`` file, and return its architecture."""
    with safe_reading.open_regular(path.resolve(), MAX_WEIGHTS_BYTES) as file:
        if not safe_reading.is_small_zip(file):
            raise zipfile.BadZipFile("it is truncated, or not a zip of a few members")
        with zipfile.ZipFile(file) as archive:
            return _check_members(path, archive)


def _check_members(path: Path, archive: zipfile.ZipFile) -> Any:
    """Check the members and weights of an open ``.keras`` file, and return its architecture."""
    members = {member.filename: member for member in archive.infolist()}
    unknown = sorted(members.keys() - MEMBERS)
    missing = [name for name in (ARCHITECTURE, WEIGHTS) if name not in members]
    if unknown or missing:
        what = f"lacks {missing[0]}" if missing else f"holds {unknown[0][:100]!r}"
        raise InputError(
            f"{path} cannot be opened: it {what}. Expected a complete .keras file with "
            f"{ARCHITECTURE} and {WEIGHTS}, as Keras writes it."
        )
    for member in members.values():
        _require_stored(path, member)
    _require_plain_arrays(path, io.BytesIO(archive.read(WEIGHTS)))
    return json.loads(archive.read(ARCHITECTURE))


def _require_stored(path: Path, member: zipfile.ZipInfo) -> None:
    """Raise InputError if a member is compressed, because its unpacked size is unbounded."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise InputError(
            f"{path} cannot be opened: {member.filename} in it is compressed. Expected members "
            "without compression, as Keras writes them. Unpack it and pack it with `zip -0`."
        )
    most = MAX_WEIGHTS_BYTES if member.filename == WEIGHTS else MAX_ARCHITECTURE_BYTES
    if member.file_size > most:
        raise InputError(
            f"{path} cannot be opened: {member.filename} in it has {member.file_size:,} bytes. "
            f"Expected at most {most:,}."
        )


# ---------------------------------------------------------------------------------------- weights


def _require_plain_arrays(path: Path, file: Any) -> None:
    """Raise InputError unless the HDF5 ``file`` has only arrays of numbers with their data.

    HDF5 supports links to other files, and arrays whose data is in another file or missing.
    """
    import h5py

    reasons: list[str] = []
    total = 0

    def visit(name: str, found: Any) -> None:
        nonlocal total
        if isinstance(found, h5py.Dataset):
            total += found.size * found.dtype.itemsize
            if reason := _not_plain(found):
                reasons.append(f"{name} {reason}")
            return
        links = [i for i in found if not isinstance(found.get(i, getlink=True), h5py.HardLink)]
        reasons.extend(f"{name}/{link} is a link" for link in links)

    with h5py.File(file, "r") as weights:
        visit("", weights)
        weights.visititems(visit)
    if total > MAX_WEIGHTS_BYTES:
        reasons.append(f"its arrays have {total:,} bytes")
    if reasons:
        raise InputError(
            f"{path} cannot be opened: in its weights {reasons[0][:200]}. Expected arrays of "
            f"numbers in the file itself, {MAX_WEIGHTS_BYTES:,} bytes at most."
        )


def _not_plain(dataset: Any) -> str | None:
    """Return the problem of an HDF5 array; None if it is a plain array."""
    size = dataset.size * dataset.dtype.itemsize
    if dataset.external or dataset.is_virtual:
        return "lies in another file"
    if dataset.dtype.kind not in "fiubV":
        return f"holds {dataset.dtype}"
    if size > max(FREE_EXPANSION, MAX_EXPANSION * dataset.id.get_storage_size()):
        return f"has {dataset.id.get_storage_size():,} bytes and becomes {size:,}"
    return None
