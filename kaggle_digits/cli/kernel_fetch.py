"""``kaggle-digits kernel fetch``: download the runs of a pushed kernel."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits.cli import kernel_common, options, printing

if TYPE_CHECKING:
    from kaggle_digits.kaggle_client.kernel_fetch import Fetched


def command(kernel: kernel_common.Kernel = None, json: options.Json = False) -> None:
    """Download the runs of a kernel into runs/.

    Checks the SHA-256 of each file and reads each run before it appears in runs/. Then `evaluate`,
    `ensemble`, `compare`, `predict` and `submit` work as for a run that was trained here.
    """
    from dataclasses import replace

    from kaggle_digits.kaggle_client import kernel_fetch
    from kaggle_digits.kaggle_client.client import Kaggle

    kernel_common.require_credentials()
    ledger = kernel_common.open_ledger()
    with Kaggle() as kaggle:
        reference, entry = kernel_common.find(kernel, ledger, kaggle)
        got = kernel_fetch.fetch(
            reference,
            options.RUNS,
            options.SUBMISSIONS,
            kaggle,
            pushed=entry,
            tell=partial(printing.say, to_stderr=True),
        )
    if entry:
        ledger.change(entry, partial(replace, runs=tuple(map(str, got.runs))))
    csv = got.submission
    is_kept = csv is not None and csv.exists()
    if csv and not is_kept:
        _write_submission(csv, got)
    if json:
        printing.print_json(
            {
                "kernel": reference,
                "state": got.manifest.state,
                "runs": list(map(str, got.runs)),
                "submission": csv and str(csv),
                "submission_existed": is_kept,
            }
        )
        return
    for folder in got.runs:
        _describe_run(folder)
    if csv:
        printing.say(f"Submission   {csv}{' (existed already, not changed)' if is_kept else ''}")
    if got.manifest.state != "finished":
        printing.say(
            f"The session {_describe_end(got.manifest.state)}. To resume an unfinished run here, "
            "run its own command, which `kaggle-digits evaluate` prints.",
        )


def _write_submission(csv: Path, got: "Fetched") -> None:
    """Write the CSV of a finished run, or of the mean of several runs."""
    from kaggle_digits import blending, files

    if len(got.runs) > 1:
        blending.ensemble(list(got.runs)).write_submission(csv)
    else:
        files.write_bytes(csv, (got.runs[0] / "submission.csv").read_bytes())


def _describe_run(folder: Path) -> None:
    from kaggle_digits.runs import Run

    run = Run(folder)
    scores = run.metrics
    oof = ((scores or {}).get("oof") or {}).get("accuracy")
    judged = "" if oof is None else f", out-of-fold accuracy {oof:.5f}"
    done = sum(run.is_fold_finished(number) for number in range(1, run.members + 1))
    printing.say(f"Run          {folder} ({done} of {run.members} models{judged})")


def _describe_end(state: str) -> str:
    return {"stopped": "was stopped before its time limit"}.get(state, "ended early")
