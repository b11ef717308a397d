"""Start Kaggle's client from a process that has imported what the client needs.

Nearly all of the time of a client's process is these imports, and each command starts one. What
`product.run` and `product.started` start is as users have it.
"""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

from kaggle_digits.kaggle_client import client

# Without kaggle itself, whose import reads credentials.
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
    return mock.patch.object(client, "multiprocessing", Multiprocessing())


class Multiprocessing:
    """Stands in the module's place for `client`, which asks for processes that start anew."""

    def get_context(self, method: str) -> "Multiprocessing":
        assert method == "spawn"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTS))
        self.Pipe = context.Pipe
        self._context = context
        return self

    def Process(  # noqa: N802 — its name there
        self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool
    ) -> Any:
        arguments = (dict(os.environ), target, args)
        return self._context.Process(target=run, args=arguments, daemon=daemon)


def run(environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*args)
