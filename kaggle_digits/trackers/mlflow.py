"""``mlflow``: MLflow's client with its local store; no server is needed.

A run is an MLflow run with one nested run per fold. MLflow keeps every value of a metric that it is
given, so the epochs that the store has are asked for before any is written.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kaggle_digits.runs import Run
from kaggle_digits.terminal_text import escape
from kaggle_digits.trackers.tracker import Outcome, list_metrics, list_scores, list_settings
from kaggle_digits.training.history import Epoch

PACKAGE = "mlflow"
EXPERIMENT = "kaggle-digits"
FOLDER, STARTED = "kaggle-digits.folder", "kaggle-digits.started"  # tags
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"  # MLflow's own tags
STATUS = {Outcome.FINISHED: "FINISHED", Outcome.INTERRUPTED: "KILLED"}
MAX_VALUE = 500  # characters of a setting
# Read by MLflow when it is imported.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
}


def open_tracker(run: Run) -> "MlflowTracker":
    """Return a tracker for MLflow's own place: MLFLOW_TRACKING_URI, else the current folder."""
    return MlflowTracker(run)


def describe(run: Run) -> str:
    """Return the command that shows the run."""
    name = escape(run.folder.resolve().name)
    return f"mlflow ui (experiment {EXPERIMENT}, run {name})"


class MlflowTracker:
    """Write one MLflow run, with one nested run per fold."""

    def __init__(self, run: Run) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self.client = MlflowClient()
        self.experiment = self._open_experiment()
        self.run_id = self._open_run(run)
        self.folds: dict[int, tuple[str, int]] = {}  # the run of a fold, and its last epoch there

    def log_epochs(self, fold: int, epochs: Sequence[Epoch]) -> None:
        """Write the epochs that the store does not have."""
        run_id, last = self.folds.get(fold) or self._open_fold(fold)
        for epoch in epochs:
            if epoch.epoch > last:
                self._log_metrics(run_id, list_metrics(epoch), epoch.epoch)
                last = epoch.epoch
        self.folds[fold] = run_id, last

    def log_results(self, run: Run, plots: Sequence[Path]) -> None:
        """Write the scores once, and the plots."""
        known = self.client.get_run(self.run_id).data.metrics
        scores = {name: value for name, value in list_scores(run).items() if name not in known}
        self._log_metrics(self.run_id, scores, 0)
        for path in plots:
            self.client.log_artifact(self.run_id, str(path), "plots")

    def close(self, outcome: Outcome) -> None:
        """Say how the runs ended."""
        for run_id in (*(run_id for run_id, _ in self.folds.values()), self.run_id):
            self.client.set_terminated(run_id, STATUS[outcome])

    def _open_experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id if found else self.client.create_experiment(EXPERIMENT))

    def _open_run(self, run: Run) -> str:
        """Return the id of the run in the store, which an earlier process may have made."""
        tags = {FOLDER: str(run.folder.resolve()), STARTED: run.facts.started}
        # The folder's name may hold quotes, which a filter cannot: it is compared here.
        for found in self._search(f"tags.`{STARTED}` = '{run.facts.started}'"):
            if found.data.tags.get(FOLDER) == tags[FOLDER]:
                return self._reopen(found)
        made = self._create(tags | {NAME: run.folder.resolve().name})
        for name, value in list_settings(run).items():
            self.client.log_param(made, name, str(value)[:MAX_VALUE])
        return made

    def _open_fold(self, fold: int) -> tuple[str, int]:
        name = f"fold-{fold}"
        for found in self._search(f"tags.`{PARENT}` = '{self.run_id}'"):
            if found.data.tags.get(NAME) == name:
                run_id = self._reopen(found)
                steps = [each.step for each in self.client.get_metric_history(run_id, "loss")]
                return run_id, max(steps, default=0)
        return self._create({PARENT: self.run_id, NAME: name}), 0

    def _create(self, tags: dict[str, str]) -> str:
        return str(self.client.create_run(self.experiment, tags=tags).info.run_id)

    def _reopen(self, found: Any) -> str:
        self.client.update_run(found.info.run_id, status="RUNNING")
        return str(found.info.run_id)

    def _search(self, condition: str) -> list[Any]:
        return list(self.client.search_runs([self.experiment], condition, max_results=1000))

    def _log_metrics(self, run_id: str, values: dict[str, float], step: int) -> None:
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()]
        )
