"""What every child process needs: to end with its parent, and to leave Ctrl-C to it. A leaf."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import parent_process


def end_with_parent() -> None:
    """Let this process end as soon as its parent is gone, whatever it waits for.

    A parent that was killed cannot end its children.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def ignoring(*signals: signal.Signals) -> Iterator[None]:
    """Let the processes that are started in the block ignore ``signals``.

    A terminal sends Ctrl-C to all processes, but the parent handles it: it ends the others without
    tracebacks. A process inherits which signals are ignored.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
