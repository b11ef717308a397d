"""Run ``kaggle-digits`` until it has touched so many files, then end it as a crash would.

``python -m tests.killed NUMBER REPORT ARGUMENT…`` kills the process at its event NUMBER: when it
opens, makes, renames or removes a file of the folder that it runs in. With NUMBER 0 it ends by
itself, and REPORT gets the number of events.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "fcntl.flock"}


def main(number: int, report: str) -> None:
    here, seen = os.getcwd(), 0  # noqa: PTH109 — paths are compared as text

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in EVENTS:
            return
        path = arguments[0]
        if isinstance(path, str) and os.path.isabs(path) and not path.startswith(here):  # noqa: PTH117
            return
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    from kaggle_digits.cli import run_command
    from kaggle_digits.training.executors import choosing

    choosing.count_jobs = lambda *_: 1  # on any number of cores the events are of this process
    sys.addaudithook(hook)
    code = run_command([])
    counted = str(seen)
    if number == 0:
        Path(report).write_text(counted, encoding="ascii")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    number_, report_ = int(sys.argv[1]), sys.argv[2]
    sys.argv = ["kaggle-digits", *sys.argv[3:]]
    main(number_, report_)
