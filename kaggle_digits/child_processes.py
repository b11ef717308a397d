"""Start child processes that end with their parent and leave Ctrl-C to it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import parent_process
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_replacing_main = threading.Lock()


def start(
    target: Callable[..., None], *arguments: Any
) -> "tuple[BaseProcess, Connection[Any, Any]]":
    """Start a process that calls ``target(connection, *arguments)``.

    It ignores Ctrl-C and SIGTERM, and does not import the program's main module. ``target`` calls
    `end_with_parent`.

    Args:
        target: a function of a module.
        arguments: its other arguments, which are pickled.

    Returns:
        The process, and our end of the connection to it.

    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    with ignoring(signal.SIGINT, signal.SIGTERM), _without_main():
        process.start()
    theirs.close()
    return process, ours


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Let processes that are started in the block not import the program's main module.

    They need nothing of it. A user's script without ``if __name__ == "__main__"`` would run again.
    """
    with _replacing_main:  # a second thread would take the replacement for the main module
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def end_with_parent() -> None:
    """Let this process end as soon as its parent is gone.

    A parent that is killed cannot end its children itself.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def ignoring(*signals: signal.Signals) -> Iterator[None]:
    """Let the processes that are started in the block ignore ``signals``.

    A terminal sends Ctrl-C to all processes, but only the parent handles it and ends its children
    without tracebacks. Child processes inherit ignored signals. Only the main thread may change
    signals, so it has no effect in others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
