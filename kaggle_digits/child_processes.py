"""Make child processes end with their parent and leave Ctrl-C to it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import parent_process


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
