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
    instead = SimpleNamespace(get_context=lambda _: Context())
    return mock.patch.object(client, "multiprocessing", instead)


class Context:
    """What `client` uses of a context of `multiprocessing`."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(IMPORTS))
        self.Pipe = self._context.Pipe

    def Process(  # noqa: N802 — its name there
        self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool
    ) -> Any:
        # The process would have the variables with which its server was started.
        arguments = (dict(os.environ), target, args)
        return self._context.Process(target=run, args=arguments, daemon=daemon)


def run(environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    """Call ``target`` in ``environment``, in the new process."""
    os.environ.clear()
    os.environ.update(environment)
    target(*args)
