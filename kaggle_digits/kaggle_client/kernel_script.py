"""Write the folder to push: ``kernel-metadata.json`` and a script that contains the package.

The script contains the package's sources, and the file of the user's recipe, as a zip in base64. It
checks their SHA-256, unpacks them outside the output folder and starts `kernel_session`. Nothing is
installed on Kaggle's machine, which often has no internet access in a competition.
"""

import base64
import hashlib
import io
import json
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kaggle_digits
from kaggle_digits import files
from kaggle_digits.errors import InputError
from kaggle_digits.kaggle_client.client_process import COMPETITION
from kaggle_digits.kaggle_client.kernel_job import Job

METADATA = "kernel-metadata.json"
SCRIPT = "kaggle_digits_kernel.py"
T4 = "NvidiaTeslaT4"
NO_ACCELERATOR = "none"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip, so that equal sources give equal bytes
MAX_SCRIPT = 1_000_000  # bytes

TEMPLATE = '''\
"""Train on Kaggle's machine. Written by `kaggle-digits kernel push`, version {version}.

PACKAGE is a zip in base64: the sources of kaggle-digits and, if one was given, the recipe's file.
"""

import base64
import hashlib
import io
import sys
import tempfile
import zipfile

PUSH = {push!r}
JOB = {job!r}
SHA256 = {sha256!r}
PACKAGE = """
{package}
"""

content = base64.b64decode(PACKAGE)
received = hashlib.sha256(content).hexdigest()
if received != SHA256:
    sys.exit(
        "Error: the package in this script was changed: its SHA-256 is " + received
        + ", expected " + SHA256 + ". Push the kernel again."
    )
folder = tempfile.mkdtemp(prefix="kaggle-digits-")
zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
sys.path.insert(0, folder)

from kaggle_digits.kaggle_client import kernel_session

kernel_session.main(JOB, PUSH, folder)
'''


@dataclass(frozen=True)
class Prepared:
    """A folder that is ready to be pushed.

    Attributes:
        folder: the folder with ``kernel-metadata.json`` and the script.
        kernel: ``user/name``.
        push: the random text in the script that identifies this push.
        sha256: SHA-256 of everything that determines the training; the same for the same job.
        job: the training.
        accelerator: Kaggle's name of the accelerator, or ``none``.
        size: size of the script in bytes.

    """

    folder: Path
    kernel: str
    push: str
    sha256: str
    job: Job
    accelerator: str
    size: int


def prepare(
    folder: Path, kernel: str, job: Job, *, push: str, accelerator: str, recipe_file: Path | None
) -> Prepared:
    """Write the files to push into ``folder``.

    Args:
        folder: the target folder; created if it is missing.
        kernel: ``user/name``.
        job: the training.
        push: a unique random text.
        accelerator: Kaggle's name of the accelerator, or ``none``.
        recipe_file: the Python file of the recipe; None for a built-in recipe.

    Returns:
        The folder with its metadata.

    Raises:
        InputError: the script would be too large for Kaggle, or cannot be written.

    """
    package = pack(recipe_file)
    entries = metadata(kernel, accelerator)
    decides = {name: value for name, value in entries.items() if name not in {"id", "title"}}
    digest = hashlib.sha256(package).hexdigest()
    said = json.dumps([asdict(job), decides, digest], sort_keys=True)
    script = TEMPLATE.format(
        version=kaggle_digits.__version__,
        push=push,
        job=json.dumps(asdict(job)),
        sha256=digest,
        package=textwrap.fill(base64.b64encode(package).decode(), 100),
    )
    if len(script) > MAX_SCRIPT:
        raise InputError(
            f"the kernel's script has {len(script):,} bytes. Expected at most {MAX_SCRIPT:,}. "
            f"Make {recipe_file} smaller."
        )
    files.write_json(folder / METADATA, entries)
    files.write_text(folder / SCRIPT, script)
    sha256 = hashlib.sha256(said.encode()).hexdigest()
    return Prepared(folder, kernel, push, sha256, job, accelerator, len(script))


def metadata(kernel: str, accelerator: str) -> dict[str, Any]:
    """Return the content of ``kernel-metadata.json``."""
    has_gpu = accelerator != NO_ACCELERATOR
    return {
        "id": kernel,
        "title": kernel.partition("/")[2],
        "code_file": SCRIPT,
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_gpu": has_gpu,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": accelerator if has_gpu else None,
        "dataset_sources": [],
        "competition_sources": [COMPETITION],
        "kernel_sources": [],
        "model_sources": [],
    }


def pack(recipe_file: Path | None) -> bytes:
    """Return a reproducible zip of the package's sources and the recipe's file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _sources(recipe_file):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _sources(recipe_file: Path | None) -> Iterator[tuple[str, bytes]]:
    package = Path(kaggle_digits.__file__).resolve().parent
    for path in sorted(package.rglob("*")):
        if path.suffix == ".py" or path.name == "py.typed":
            yield path.relative_to(package.parent).as_posix(), path.read_bytes()
    if recipe_file is not None:
        yield f"recipe/{recipe_file.name}", recipe_file.read_bytes()
