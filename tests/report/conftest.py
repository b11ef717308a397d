"""Runs and pages that the tests of reports share."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.kaggle_client.ledger import Entry
from kaggle_digits.report import write_report
from kaggle_digits.safe_reading import sha256_of
from tests.report.made_runs import make_data, make_run

# What must not become HTML wherever a value from outside is shown.
HOSTILE = "<script>window.hacked=1<"
HOSTILE_CLASS = "<img src=x onerror=window.hacked=2>"
HOSTILE_COMMAND = "</code></script><script>window.hacked=3</script> {{ 7 * 7 }}"

ENTRIES = [
    Entry("2026-01-02T03:04:05+00:00", "a.csv", "0" * 64, "<b>first</b>", "runs/first", "bn20",
          0.86, 7, "COMPLETE", 0.9),
    Entry("2026-01-03T03:04:05+00:00", "b.csv", "1" * 64, "second", None, None, None,
          8, "PENDING", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with data in ``input`` and three runs, of which one has a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    data = make_data(folder / "input")
    make_run(folder / "runs" / "first", data, 0)
    make_run(folder / "runs" / "second", data, 1, errors=4)
    names = [*"012345678", HOSTILE_CLASS]
    make_run(
        folder / "runs" / HOSTILE, data, 2, errors=12, class_names=names, command=HOSTILE_COMMAND
    )
    return folder


@pytest.fixture(scope="module")
def page(made):
    """Return the page about all three runs."""
    from kaggle_digits.runs import Run

    before = Path.cwd()
    os.chdir(made)
    try:
        runs = [Run(Path("runs") / name) for name in ("first", "second", HOSTILE)]
        first = replace(ENTRIES[0], sha256=sha256_of(runs[0].submission))
        write_report(
            made / "report.html", runs, data=Path("input"), title="Runs",
            entries=[first, *ENTRIES[1:]], show_ledger=True,
        )  # fmt: skip
    finally:
        os.chdir(before)
    return made / "report.html"
