"""Manage the process of a command: streams, signals and exit. Imports only the standard library."""

import atexit
import codecs
import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

STDERR = 2  # file descriptor
SIGNALLED = 128  # plus the signal's number: the exit status of an interrupted process
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASCII = "kaggle_digits_ascii"


class ToldInterrupt(KeyboardInterrupt):
    """An interruption of which the user was told what it leaves and how to resume."""


def open_streams() -> None:
    """Open closed standard streams, and replace characters that a stream cannot encode.

    Daemons and graphical launchers may start a program without stdin, stdout or stderr. The first
    files it opens would then get their descriptors, and messages of libraries would go into them.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 — as the other streams are
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 — it stays open
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        _replace_what_cannot_be_encoded(stream)


def _replace_what_cannot_be_encoded(stream: IO[str]) -> None:
    """Let ``stream`` replace characters that its encoding lacks.

    Old terminals and cron use ASCII or Latin-1. With UTF-8 this concerns only file names that are
    not valid UTF-8; their bytes are escaped.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return
    encoding = codecs.lookup(stream.encoding).name
    if encoding == "ascii":
        # Typer treats an ASCII stream as misconfigured and writes UTF-8 to it.
        codecs.register(_find_ascii)
        stream.reconfigure(encoding=ASCII, errors="replace")
    else:
        stream.reconfigure(errors="backslashreplace" if encoding.startswith("utf") else "replace")


def _find_ascii(name: str) -> codecs.CodecInfo | None:
    if name != ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_.encode,
        ascii_.decode,
        ascii_.streamreader,
        ascii_.streamwriter,
        ascii_.incrementalencoder,
        ascii_.incrementaldecoder,
        name=ASCII,
    )


def interrupt_on_signals() -> list[int]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt.

    A signal that the parent process had ignored, as ``nohup`` and shells do for background jobs,
    stays ignored.

    Returns:
        The list to which the numbers of received signals are appended.

    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        received.append(number)
        raise KeyboardInterrupt

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    return received


def end_process(code: int) -> NoReturn:
    """Clean up and end this process with the exit status ``code``.

    With TensorFlow loaded, the registered exit handlers run (they remove temporary files of
    TensorFlow and matplotlib), and the process then ends at once: Python's own teardown would take
    1.7 seconds to free memory that the system frees anyway. After an interruption the process ends
    in the same way, because Python may kill itself by SIGINT instead of returning ``code``.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if "tensorflow" in sys.modules or code > SIGNALLED:
        atexit._run_exitfuncs()  # noqa: SLF001 — there is no public function for this
        os._exit(code)
    sys.exit(code)
