"""Write docs/cli.md from the commands: ``make docs``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from kaggle_digits.cli import app, options

PATH = Path(__file__).parent.parent / "docs" / "cli.md"
WIDTH = 80
START = """# Command reference

Every command with its options, as `kaggle-digits COMMAND --help` prints them. `make docs` writes
this page.

- `kaggle-digits --install-completion` completes commands and options in bash, zsh and fish.
- `--json` prints the result for other programs. Results go to stdout, notes and errors to stderr.
- `~` is expanded in every path.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something outside failed, such as a full disk |
| 2 | the command or the data is wrong |
| 130 | interrupted by Ctrl-C |
| 143 | ended by SIGTERM |

A run that was interrupted resumes with the same command.

| environment variable | what it does |
|---|---|
| `KAGGLE_DIGITS_INPUT` | folder with the data, instead of `input` |
| `KAGGLE_DIGITS_DATA` | data for `data get` without `--from` |
| `KAGGLE_DIGITS_TIMEOUT` | seconds to wait for an answer of Kaggle, instead of 60 |
| `KERAS_BACKEND` | `tensorflow` (default), `jax` or `torch` |
| `KAGGLE_API_TOKEN` | Kaggle's token, instead of a file in `~/.kaggle/` |
"""


def reference() -> str:
    """Return the page."""
    program: Any = typer.main.get_command(app)
    stages: dict[str, list[str]] = {stage: [] for stage in options.STAGES}
    for name, command in program.commands.items():
        stages[command.rich_help_panel] += _sections(command, f"kaggle-digits {name}")
    parts = [START, "## kaggle-digits\n", _block(program, "kaggle-digits")]
    for stage, sections in stages.items():
        parts += [f"\n## {stage}\n", *sections]
    return "\n".join(parts)


def _sections(command: Any, name: str) -> Iterator[str]:
    if inner := getattr(command, "commands", None):
        for inner_name, inner_command in inner.items():
            yield from _sections(inner_command, f"{name} {inner_name}")
        return
    yield f"### {name}\n"
    yield _block(command, name)


def _block(command: Any, name: str) -> str:
    context = command.context_class(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    )
    text = command.get_help(context).replace("\\[", "[")  # as old versions of Typer print it
    return f"```text\n{text}\n```\n"


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
