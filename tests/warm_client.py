"""Start Kaggle's client from a process that has imported what the client needs.

Importing takes nearly all of the time of a client's process, and each command starts one.
`product.run` and `product.started` start it as users do.
"""

import multiprocessing
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from kaggle_digits.kaggle_client import client

# Without kaggle itself, whose import reads credentials. A name that cannot be imported is ignored.
IMPORTS = (
    "bleach",
    "google.protobuf.field_mask_pb2",
    "kaggle_digits.kaggle_client.client_process",
    "kagglesdk",
    "requests",
    "tqdm",
)


def starting() -> Any:
    """Return a patch that lets `client` start its processes in this way."""
    return mock.patch.object(client, "child_processes", SimpleNamespace(start=start))


def start(target: Callable[..., None]) -> tuple[Any, Any]:
    """Do what `child_processes.start` does, but fork the process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTS))
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(dict(os.environ), target, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def run(environment: dict[str, str], target: Callable[..., None], theirs: Any) -> None:
    """Call ``target`` in the new process, which has the environment of the fork server."""
    os.environ.clear()
    os.environ.update(environment)
    target(theirs)
