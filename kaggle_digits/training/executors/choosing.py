"""Choose where the folds of a run are trained, and how many at the same time."""

import math
import os
from pathlib import Path
from typing import Literal

from kaggle_digits.backend import cores
from kaggle_digits.errors import InputError
from kaggle_digits.training.executors import Executor, ray_storage
from kaggle_digits.training.executors.in_process import InProcess
from kaggle_digits.training.executors.processes import GPUS, Processes, list_gpus
from kaggle_digits.training.executors.ray import OnRay

Place = Literal["here", "processes", "ray"]
PLACES: tuple[Place, ...] = ("here", "processes", "ray")

# Measured with bn20 (docs/results.md#memory): a process, and each byte of its training images.
BYTES_A_PROCESS = 1_000_000_000
BYTES_AN_IMAGE_BYTE = 6
# The arguments of `_free_in_container`, for versions 2 and 1 of Linux's cgroups.
CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def choose(
    on: Place | None,
    jobs: int | None,
    ray_address: str | None,
    storage: str | None,
    *,
    members: int,
    cpus: int,
    image_bytes: int,
) -> Executor:
    """Return the executor for a run.

    Args:
        on: where to train; None trains in this process if one fold is trained at a time.
        jobs: number of folds trained at the same time, 1 or more; None chooses it from cores and
            memory.
        ray_address: address of a Ray cluster; None starts Ray on this machine.
        storage: where the nodes of a Ray cluster keep the files of folds in training; None sends
            them to this machine.
        members: number of models of the run.
        cpus: number of CPU cores that one model uses.
        image_bytes: size of all training images.

    Raises:
        InputError: the place does not exist or cannot do what is asked.

    """
    if on not in (None, *PLACES):
        raise InputError(f"--on {on!r} is unknown. Expected one of {', '.join(PLACES)}.")
    if on == "ray":
        shared = None if storage is None else ray_storage.resolve_address(storage)
        return OnRay(ray_address, jobs, shared)
    for option, value in (("--ray-address", ray_address), ("--storage", storage)):
        if value is not None:
            raise InputError(
                f"{option} {value} is used only with --on ray. Received "
                f"{'no --on' if on is None else f'--on {on}'}. Add --on ray, or leave out {option}."
            )
    if on == "here":
        if jobs is not None and jobs > 1:
            raise InputError(
                f"--on here trains one fold at a time; received --jobs {jobs}. Use --on processes, "
                "or leave out --jobs."
            )
        return InProcess()
    if jobs is None:
        jobs = min(members, count_jobs(cpus, image_bytes))
    return Processes(jobs) if jobs > 1 or on == "processes" else InProcess()


def count_jobs(cpus: int, image_bytes: int) -> int:
    """Return how many models fit into this machine's cores and free memory; 1 or more.

    Models on GPUs need one each: TensorFlow takes all the memory of its own.

    Args:
        cpus: number of CPU cores that one model uses.
        image_bytes: size of all training images.

    """
    if has_gpu():
        return max(1, len(list_gpus()))
    needed = BYTES_A_PROCESS + BYTES_AN_IMAGE_BYTE * image_bytes
    return max(1, min(cores() // cpus, free_memory() // needed))


def has_gpu() -> bool:
    """Return whether this process may use an NVIDIA GPU. Imports nothing, so it is a guess."""
    named = os.environ.get(GPUS)
    hidden = named is not None and named.strip() in {"", "-1"}
    return not hidden and Path("/proc/driver/nvidia/gpus").is_dir()


def free_memory() -> int:
    """Return the bytes that processes may still allocate: of the machine, or of this container."""
    try:
        said = Path("/proc/meminfo").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
        free = 1024 * int(lines["MemAvailable"].split()[0])
    except OSError:  # not Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min([free, *(_free_in_container(*group) for group in CGROUPS)]))


def _free_in_container(folder: str, limit: str, used: str, cache: str) -> float:
    """Return the free bytes below a container's limit; infinite without a limit.

    Args:
        folder: the folder of the cgroup.
        limit: name of the file with its limit.
        used: name of the file with the bytes in use, which include cached files.
        cache: name of the line with the cached files that the kernel gives up first.

    """
    try:
        lines = Path(folder, "memory.stat").read_text("ascii").splitlines()
    except OSError:
        lines = []
    cached = sum(int(line.split()[1]) for line in lines if line.startswith(f"{cache} "))
    in_use = _read_number(Path(folder, used), default=0)
    return max(0, _read_number(Path(folder, limit), default=math.inf) - in_use + cached)


def _read_number(path: Path, default: float) -> float:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return default
