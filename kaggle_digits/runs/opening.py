"""Start a run in a folder, or resume the one that is there."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kaggle_digits import files
from kaggle_digits.errors import InputError
from kaggle_digits.runs.folder import Run
from kaggle_digits.runs.safe_folder import require_ours_or_empty
from kaggle_digits.runs.settings import Settings
from kaggle_digits.runs.versions import environment, now


@contextlib.contextmanager
def open_for_training(
    folder: Path, settings: Settings, *, class_names: tuple[str, ...], command: str
) -> Iterator[Run]:
    """Create the run's folder or open an existing run, locked against other processes.

    Args:
        folder: the run's folder; created if it is missing.
        settings: the settings of the run. An existing run must have the same.
        class_names: names of the classes, recorded in a new run.
        command: the command that resumes the run, recorded in a new run.

    Raises:
        InputError: the folder holds a run with other settings or data, or something else; another
            process uses it; or it cannot be written.

    """
    run = Run(folder)
    require_ours_or_empty(folder, "run")
    try:
        files.make_folder(folder)
    except OSError as error:
        raise files.error_from(error, folder) from error
    busy = f"{folder} is in use by another `kaggle-digits`. Wait for it, or choose another --run."
    with files.lock(folder / ".lock", busy=busy, seconds=0):
        run.require_no_links()
        if (folder / "run.json").exists():
            _require_same(run, settings)
        else:
            description = _describe(settings, class_names, command)
            files.write_json(folder / "run.json", description)
        run.remove_abandoned()
        yield run


def _describe(settings: Settings, class_names: tuple[str, ...], command: str) -> dict[str, Any]:
    return {
        "state": "running",
        "command": command,
        "started": now(),
        "finished": None,
        "settings": asdict(settings),
        "class_names": class_names,
        "environment": environment(),
    }


def _require_same(run: Run, settings: Settings) -> None:
    before, now_ = run.settings.flat(), settings.flat()
    different = [
        f"  {name}: the run has {_show(before, name)}, this command has {_show(now_, name)}"
        for name in sorted(dict.fromkeys([*before, *now_]), key=_is_derived)
        if before.keys() ^ now_.keys() >= {name} or before.get(name) != now_.get(name)
    ]
    same_recipe = before["recipe"] == now_["recipe"]
    if same_recipe and before.get("recipe_sha256") != now_["recipe_sha256"]:
        different.append(f"  The file of the recipe {now_['recipe']} was changed since.")
    if different:
        precision = _hint_at_precision(before, now_)
        raise InputError(
            f"{run.folder} holds a run with other settings or data:\n"
            + "\n".join(different)
            + f"\nUse the same settings to resume it{precision}. To start a new run, use another "
            "--run or move this folder away."
        )


def _show(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "no such setting"


def _is_derived(name: str) -> bool:
    """Return whether a setting often follows from another one, such as ``limit``: listed last."""
    return name.startswith("training.") or name.endswith(("fingerprint", "sha256"))


def _hint_at_precision(before: dict[str, Any], now_: dict[str, Any]) -> str:
    """Return the option that sets the run's precision, whose default depends on the processor."""
    name = "training.precision"
    return "" if before[name] == now_[name] else f" (here --precision {before[name]})"
