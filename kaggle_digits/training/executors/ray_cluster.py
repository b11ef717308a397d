"""Connect to a Ray cluster, or start Ray on this machine. The only module that imports Ray."""

import contextlib
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kaggle_digits import credentials, files
from kaggle_digits.backend import cores, quiet_stderr
from kaggle_digits.datasets.dataset import Splits
from kaggle_digits.errors import InputError, OutsideError, describe_reason
from kaggle_digits.optional_packages import require_packages

CONNECT_SECONDS = 5.0
WAIT_SECONDS = 1.0  # Ctrl-C is felt after that time at the latest
MAX_FOLDER = 35  # characters: Ray adds 70 for its sockets, and a socket's path has at most 107
SPARE_BYTES = 300_000_000  # of the object store, for checkpoints
# No telemetry, no warning about GPUs, and workers as nice as this process.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}


class Cluster:
    """What the executor asks of Ray."""

    def __init__(self, ray: Any, variables: dict[str, str]) -> None:
        self.ray = ray
        self.variables = variables
        self.has_gpu = ray.cluster_resources().get("GPU", 0) >= 1

    def put(self, value: Any) -> Any:
        """Put ``value`` into the object store; return the reference that tasks take."""
        return self.ray.put(value)

    def remote(self, function: Callable[..., Any], cpus: int, variables: dict[str, str]) -> Any:
        """Return ``function``, a generator, as a task with ``cpus`` CPUs or with a GPU.

        Raises:
            InputError: no node has so many CPUs.

        """
        most = max(
            (int(node["Resources"].get("CPU", 0)) for node in self.ray.nodes() if node["Alive"]),
            default=0,
        )
        if most < cpus:
            raise InputError(
                f"a fold needs {cpus} CPUs, and no node of the Ray cluster has more than {most}. "
                f"Start a node with `ray start --num-cpus {cpus}`, or use --on processes."
            )
        return self.ray.remote(function).options(
            num_cpus=cpus,
            num_gpus=1 if self.has_gpu else 0,
            max_retries=0,
            runtime_env={"env_vars": {**self.variables, **variables}},
        )

    def wait(self, running: "Sequence[Any]") -> list[Any]:
        """Return those of ``running`` that have a message; wait for the first one."""
        by_messages = {id(streaming.messages): streaming for streaming in running}
        generators = [streaming.messages for streaming in running]
        while True:
            ready, _ = self.ray.wait(generators, timeout=WAIT_SECONDS)
            if ready:
                return [by_messages[id(generator)] for generator in ready]

    def receive(self, messages: Any) -> Any:
        """Return the next message of a task; an OutsideError if its worker or node was lost."""
        try:
            return self.ray.get(next(messages))
        except StopIteration:
            return OutsideError("its task ended without a result.")
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
            raise _explain_task_error(cause) from error
        except self.ray.exceptions.RayError as error:
            return OutsideError(f"{describe_reason(error)}.")

    def cancel(self, messages: Any) -> None:
        """End a task."""
        with contextlib.suppress(Exception):  # it ended, or the cluster is gone
            self.ray.cancel(messages, force=True)


def _explain_task_error(error: Exception) -> Exception:
    if isinstance(error, ModuleNotFoundError) or "No module named" in str(error):
        return InputError(
            f"a node of the Ray cluster cannot import what a fold needs: {describe_reason(error)}. "
            "Install the same packages on every node as on this machine: pip install "
            "'kaggle-digits[ray]'. Then run the same command again."
        )
    return OutsideError(
        f"a task on the Ray cluster failed: {type(error).__name__}: {describe_reason(error)}. "
        "Every finished epoch is kept: run the same command again to resume."
    )


@contextlib.contextmanager
def connect(address: str | None, cpus: int, splits: Splits) -> Iterator[Cluster]:
    """Connect to the cluster at ``address``, or start Ray on this machine; disconnect at the end.

    A connection that this process already has, as in a notebook, is used and kept.

    Args:
        address: ``HOST:PORT`` or ``auto``; None starts Ray on this machine.
        cpus: number of CPUs that a fold needs: as many are offered here, even on fewer cores.
        splits: the images, for which the object store on this machine needs room.

    Raises:
        InputError: Ray is not installed, or the address has another form.
        OutsideError: the cluster cannot be reached.

    """
    require_packages(["ray"], extra="ray", needed_by="--on ray")
    os.environ.update(SETTINGS)  # before Ray is imported
    import ray

    if ray.is_initialized():
        yield Cluster(ray, {})
        return
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "CRITICAL",
        "configure_logging": True,
    }
    with contextlib.ExitStack() as stack:
        variables = {}
        if address is None:
            folder = stack.enter_context(files.workspace(_short_folder()))
            (folder / "tmp").mkdir()
            variables["TMPDIR"] = str(folder / "tmp")
            needed = 2 * (splits.train.images.nbytes + splits.test.images.nbytes) + SPARE_BYTES
            quiet |= {
                "address": "local",
                "num_cpus": max(cores(), cpus),
                "include_dashboard": False,
                "object_store_memory": needed,
                "_temp_dir": str(folder),
            }
        else:
            _require_answer(address)
            quiet |= {"address": address}
        stack.callback(ray.shutdown)
        with credentials.withheld(), _keeping_signals(), quiet_stderr():
            try:
                ray.init(**quiet)
            except Exception as error:  # whatever Ray raises, in words
                raise _explain_init(error, address) from error
        yield Cluster(ray, variables)


def _explain_init(error: Exception, address: str | None) -> Exception:
    if "ersion mismatch" in str(error):
        said = " ".join(str(error).split())
        return InputError(
            f"the Ray cluster at {address} has other versions than this machine: {said[:300]} "
            "Expected the same versions of Ray and Python on every node."
        )
    reason = describe_reason(error)
    if address is None:
        return OutsideError(f"Ray does not start on this machine: {reason}. Use --on processes.")
    return OutsideError(
        f"cannot join the Ray cluster at {address}: {reason}. This machine must be a node of it: "
        "run `ray start --address HOST:PORT` here first, and check --ray-address with `ray status`."
    )


def _short_folder() -> Path:
    folder = Path(tempfile.gettempdir()).absolute()
    return folder if len(str(folder)) <= MAX_FOLDER else Path("/tmp")  # noqa: S108 — in a new folder there


def _require_answer(address: str) -> None:
    """Raise unless something listens at ``address``: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise InputError(
            f"--ray-address {address!r} is no address of a cluster. Expected HOST:PORT of its "
            "head, such as 10.0.0.1:6379, or auto for the cluster that this machine is a node of."
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise OutsideError(
            f"cannot reach the Ray cluster at {address}: {describe_reason(error)}. Check "
            "--ray-address, and whether the cluster runs, with `ray status`."
        ) from error


@contextlib.contextmanager
def _keeping_signals() -> Iterator[None]:
    """Keep this program's signal handlers in the block, in which Ray installs its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
