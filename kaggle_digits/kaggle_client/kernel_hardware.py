"""Find the GPUs of Kaggle's machine, and the Keras backend that can use them."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from kaggle_digits.backend import BACKENDS
from kaggle_digits.errors import InputError

PROBE_SECONDS = 180.0
MIN_BFLOAT16 = 8.0  # lowest compute capability that is fast in bfloat16: Ampere
MIN_FLOAT16 = 7.0  # lowest compute capability that is fast in float16: Volta; a T4 has 7.5

# Code that prints how many GPUs a backend can use. It runs in a child process, because it allocates
# GPU memory.
PROBES = {
    "tensorflow": "import tensorflow as t; print(len(t.config.list_physical_devices('GPU')))",
    "jax": "import jax; print(sum(device.platform == 'gpu' for device in jax.devices()))",
    "torch": "import torch; print(torch.cuda.device_count())",
}


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it.

    Attributes:
        name: the name, such as ``Tesla T4``.
        capability: compute capability, such as 7.5.

    """

    name: str
    capability: float


@dataclass(frozen=True)
class Hardware:
    """The backend and the GPUs that train.

    Attributes:
        backend: Keras's backend.
        gpus: the GPUs that the backend can use; empty for the CPU.
        note: a warning about them; "" if there is none.

    """

    backend: str
    gpus: tuple[Gpu, ...] = ()
    note: str = ""

    @property
    def precision(self) -> str | None:
        """The numeric precision in which all GPUs are fast; None for the recipe's."""
        if not self.gpus:
            return None
        least = min(gpu.capability for gpu in self.gpus)
        if least >= MIN_BFLOAT16:
            return "bfloat16"
        return "float16" if least >= MIN_FLOAT16 else "float32"


def find_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that NVIDIA's driver lists; empty without a driver."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        said = subprocess.run(  # noqa: S603 — a fixed command
            query, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = re.findall(r"^(.+), (\d+\.\d+)$", said, re.MULTILINE)
    return tuple(Gpu(name.strip(), float(capability)) for name, capability in lines)


def count_usable_gpus(backend: str) -> int:
    """Return how many GPUs ``backend`` can use; 0 if it fails."""
    try:
        said = subprocess.run(  # noqa: S603 — a fixed command
            [sys.executable, "-c", PROBES[backend]],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=True,
        ).stdout
        return int(said.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0


def choose_hardware(
    gpus: tuple[Gpu, ...],
    *,
    count: Callable[[str], int] = count_usable_gpus,
    is_installed: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None,
) -> Hardware:
    """Return the first backend that can use the GPUs, else the first that is installed.

    TensorFlow comes first, because it is the default backend on the user's machine, where the run
    may be resumed.

    Args:
        gpus: the GPUs that the driver lists.
        count: returns how many of them a backend can use.
        is_installed: returns whether a backend is installed.

    Raises:
        InputError: no backend is installed.

    """
    installed = [name for name in BACKENDS if is_installed(name)]
    if not installed:
        raise InputError(
            f"none of {', '.join(BACKENDS)} is installed. Expected a backend of Keras, as in "
            "Kaggle's default image: push again without pinning another image."
        )
    if not gpus:
        return Hardware(installed[0])
    for name in installed:
        if usable := count(name):
            return Hardware(name, gpus[:usable])
    names = ", ".join(gpu.name for gpu in gpus)
    note = f"no installed backend can use {names}: training on the CPU"
    return Hardware(installed[0], note=note)
