"""Run a training on Kaggle's machine: find the data, train, stop before the time limit.

Training is the ordinary command line in a child process. It saves a checkpoint after every epoch
and can be ended at any time, so this process only watches the time and lists finished files.
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaggle_digits import __version__, credentials, files, safe_reading
from kaggle_digits.errors import InputError, KaggleDigitsError, OutsideError
from kaggle_digits.formats import typed_json
from kaggle_digits.kaggle_client.kernel_hardware import Hardware, choose_hardware, find_gpus
from kaggle_digits.kaggle_client.kernel_job import MANIFEST, RUN_FILE, RUNS, Job, OutputFile

WORKING = "KAGGLE_DIGITS_WORKING"  # variables that override Kaggle's folders
DATA = "KAGGLE_DIGITS_INPUT"
NEEDED = ("filelock", "keras", "numpy", "pyarrow", "rich", "scipy", "sklearn", "typer")
MAX_DEPTH = 3  # levels of folders below the input folder that are searched for data
MAX_FOLDERS = 1_000
MAX_MARGIN = 300.0  # seconds; training stops this long before the session's end
POLL = 5.0  # seconds between two checks for finished folds
LAST_LINES = 20  # last lines of the output, quoted in the manifest of a failed job


def run(job: Any, push: str, package: str) -> int:
    """Run the job of the script; return the script's exit code.

    Args:
        job: the fields of a `Job`, parsed from JSON.
        push: the text that identifies the push, for the manifest.
        package: the folder with the unpacked package and the file of the user's recipe.

    """
    started = time.monotonic()
    working = Path(os.environ.get(WORKING) or "/kaggle/working")
    output = _Output(working, push)
    try:
        settings = typed_json.build(Job, job)
        code = _train(settings, output, Path(package), started)
    except (KaggleDigitsError, ValueError) as error:
        print(f"Error: {error}", flush=True)
        output.write("failed", str(error))
        return 1
    return code


def _train(job: Job, output: "_Output", package: Path, started: float) -> int:
    _require_packages()
    data = find_data(Path(os.environ.get(DATA) or job.data))
    hardware = choose_hardware(find_gpus())
    _say_what_is_there(job, hardware, data)
    if (own := package / "recipe" / job.recipe).is_file():
        files.write_bytes(output.folder / job.recipe, own.read_bytes())
    margin = min(MAX_MARGIN, job.session_seconds / 10)
    deadline = started + job.session_seconds - margin
    command = arguments(job, hardware, deadline - time.monotonic())
    print("$ kaggle-digits", *command, flush=True)
    environment = child_environment(hardware, data, package)
    lines: deque[str] = deque(maxlen=LAST_LINES)
    with _start(command, environment, output.folder, lines) as process:
        code = _watch(process, deadline, grace=margin / 2, save=output.write_if_more_is_finished)
    if code is None:
        output.write("stopped")
        print(
            f"Stopped {margin:,.0f} s before the session's limit of {job.session_seconds:,} s. "
            "Every finished epoch is kept.",
            flush=True,
        )
        return 0
    if code:
        output.write("failed", "\n".join(lines))
        return 1
    output.write("finished")
    return 0


def arguments(job: Job, hardware: Hardware, seconds: float) -> list[str]:
    """Return the command line that runs ``job`` on ``hardware`` within ``seconds``."""
    words = ["record"] if job.record else ["cv", "--recipe", job.recipe]
    words += ["--folds", str(job.folds)]
    if job.record:
        # A plan for a longer time would be interrupted by the time limit.
        words += ["--budget", job.budget or f"{max(1, int(seconds / 60))}m"]
    elif job.seeds > 1:
        words += ["--seeds", str(job.seeds)]
    options = {"--seed": job.seed, "--limit": job.limit, "--epochs": job.epochs}
    for option, value in options.items():
        words += [option, str(value)] if value else []
    if precision := job.precision or hardware.precision:
        words += ["--precision", precision]
    jobs = min(len(hardware.gpus), job.folds * job.seeds)
    if jobs > 1 and not job.record:
        words += ["--jobs", str(jobs)]
    return words


def child_environment(hardware: Hardware, data: Path, package: Path) -> dict[str, str]:
    """Return the environment variables of the training process."""
    inherited = credentials.environment_without_credentials()
    paths = [str(package), *filter(None, [inherited.get("PYTHONPATH")])]
    variables = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "KERAS_BACKEND": hardware.backend,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        # A variable and not an option, so that the run's command also fits the user's machine.
        DATA: str(data),
    }
    if len(hardware.gpus) > 1:  # each fold's process uses one GPU
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(len(hardware.gpus))))
    return inherited | variables


# ---------------------------------------------------------------------------------------- data


def find_data(root: Path) -> Path:
    """Return the folder at or below ``root`` that holds a data set.

    Kaggle mounts a competition's files in a separate folder, whose place has changed before.

    Raises:
        InputError: no folder does, or several do and none is named ``digit-recognizer``.

    """
    from kaggle_digits.datasets import finding
    from kaggle_digits.kaggle_client.client_process import COMPETITION

    found, problems = [], []
    for folder in _folders(root):
        try:
            if finding.find(folder) is not None:
                found.append(folder)
        except InputError as error:
            problems.append(str(error))
    named = [folder for folder in found if folder.name == COMPETITION]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    if found:
        raise InputError(
            f"several folders below {root} hold data: {', '.join(map(str, found))}. Expected one. "
            "Push again with --data and the right folder."
        )
    there = ", ".join(str(folder) for folder in _folders(root) if folder != root) or "no folder"
    detail = f" {problems[0]}" if problems else ""
    raise InputError(
        f"no data below {root}: it holds {there}.{detail} Expected the competition's train.csv "
        f"and test.csv. Accept the rules at https://www.kaggle.com/competitions/{COMPETITION}/"
        "rules, or give another folder with --data, then push again."
    )


def _folders(root: Path) -> list[Path]:
    """Return ``root`` and the folders below it, sorted, down to `MAX_DEPTH`."""
    found = [root] if root.is_dir() else []
    level = found
    for _ in range(MAX_DEPTH):
        level = [
            path
            for folder in level
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
        found = [*found, *level][:MAX_FOLDERS]
    return found


def _require_packages() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"this machine lacks the packages {', '.join(missing)}. Expected Kaggle's default "
            "image for Python, which has them."
        )


def _say_what_is_there(job: Job, hardware: Hardware, data: Path) -> None:
    gpus = ", ".join(f"{gpu.name} ({gpu.capability:g})" for gpu in hardware.gpus) or "no GPU"
    precision = job.precision or hardware.precision or "the recipe's"
    print(f"kaggle-digits {__version__}, Python {sys.version.split()[0]}")
    print(f"Data         {data}")
    print(f"Machine      {gpus}; Keras on {hardware.backend}, precision {precision}")
    if hardware.note:
        print(f"Note: {hardware.note}")
    sys.stdout.flush()


# -------------------------------------------------------------------------- training process


@contextlib.contextmanager
def _start(
    command: list[str], environment: dict[str, str], folder: Path, lines: deque[str]
) -> Iterator["subprocess.Popen[str]"]:
    """Start the command line in ``folder``, print its output, and keep its last ``lines``.

    The output goes through a pipe, because the log of a notebook has only what Python prints.
    """
    process = subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "kaggle_digits", *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )

    def show() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            print(line, end="", flush=True)

    reader = threading.Thread(target=show, daemon=True)
    reader.start()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(timeout=POLL)


def _watch(
    process: "subprocess.Popen[str]", deadline: float, grace: float, save: Callable[[], None]
) -> int | None:
    """Wait for the process and end it at ``deadline``; return its exit code, None if ended."""
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=min(POLL, left))
        save()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        # The process may have finished in the meantime.
        return 0 if process.wait(timeout=grace) == 0 else None
    process.kill()
    process.wait()
    return None


# ---------------------------------------------------------------------------------- the manifest


class _Output:
    """The folder that Kaggle keeps, and its manifest."""

    def __init__(self, folder: Path, push: str) -> None:
        self.folder, self.push = folder, push
        self.hashes: dict[tuple[str, int, int], str] = {}
        self.finished = 0

    def write_if_more_is_finished(self) -> None:
        """Write the manifest if another fold is finished, because the machine may stop any time."""
        finished = sum(1 for _ in self.folder.glob(f"{RUNS}/*/fold-*/finished.json"))
        if finished != self.finished:
            self.finished = finished
            self.write("running")

    def write(self, state: str, message: str = "") -> None:
        """Write the manifest of the present files."""
        listed = [asdict(file) for file in self._files()]
        value = {"push": self.push, "state": state, "files": listed, "message": message}
        try:
            files.write_json(self.folder / MANIFEST, value)
        except KaggleDigitsError as error:
            raise OutsideError(f"the output cannot be written: {error}") from error

    def _files(self) -> Iterator[OutputFile]:
        for path in sorted(self.folder.glob(f"{RUNS}/*/**/*")):
            name = path.relative_to(self.folder).as_posix()
            if not RUN_FILE.fullmatch(name.split("/", 2)[2]) or not path.is_file():
                continue
            # The training removes the checkpoint of a finished fold at any moment.
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                key = (name, status.st_mtime_ns, status.st_size)
                if key not in self.hashes:
                    self.hashes[key] = safe_reading.sha256_of(path)
                yield OutputFile(name, status.st_size, self.hashes[key])


def main(job: str, push: str, package: str) -> None:
    """Run the script's job, given as JSON; exit with a non-zero code if it failed."""
    if code := run(json.loads(job), push, package):
        sys.exit(code)
