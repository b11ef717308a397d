"""Read what the JSON files of a run say: settings, state and scores. Needs no NumPy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kaggle_digits import files, recipes
from kaggle_digits.errors import InputError, suggest_path
from kaggle_digits.formats import typed_json
from kaggle_digits.runs import records
from kaggle_digits.runs.safe_folder import DamagedRunError, RunFolder
from kaggle_digits.runs.settings import Settings
from kaggle_digits.runs.versions import environment

if TYPE_CHECKING:
    from kaggle_digits.evaluation import Scores

RESULTS = ("submission.csv", "oof.npz", "test.npz", "folds.npy")
REWRITTEN = "Repeat the command that made the run: it rewrites the file."


@dataclass(frozen=True)
class DescribedRun(RunFolder):
    """``run.json``, ``metrics.json`` and the ``finished.json`` of each fold, in a run's folder."""

    @property
    def _description(self) -> dict[str, Any]:
        """The JSON object in ``run.json``. The fields in `facts` are checked."""
        if not self.has("run.json"):
            reason, hint = "it has no readable run.json", ""
            if self.folder.is_file():
                reason = "it is a file"
            elif not self.folder.exists():
                reason, hint = "no such folder", suggest_path(self.folder)
            raise InputError(
                f"{self.folder} is not a run: {reason}.{hint} Expected a folder made "
                "by `train` or `cv`. `kaggle-digits runs` lists the runs."
            )
        advice = "Expected the JSON that `train` or `cv` wrote. Remove the folder and train again."
        return records.read(self.folder / "run.json", records.Description, advice=advice)

    @property
    def facts(self) -> records.Description:
        """The content of ``run.json`` that all versions share.

        Raises:
            InputError: the file is missing or damaged.

        """
        return typed_json.build(records.Description, self._description, strict=False)

    @property
    def settings(self) -> Settings:
        """The settings in ``run.json``. Settings that an earlier version lacked have defaults.

        Raises:
            InputError: this version does not know a setting.

        """
        values = self._description["settings"]
        values.pop("external", None)  # a flag of earlier versions, without effect
        if isinstance(values.get("training"), dict):
            values["training"] = recipes.rename_old_settings(values["training"])
        if values.get("recipe") in recipes.ALIASES:
            values["recipe"] = recipes.ALIASES[values["recipe"]]
        try:
            return typed_json.build(Settings, values)
        except ValueError as error:
            raise InputError(
                f"{self.folder / 'run.json'} holds settings that this version does not know: "
                f"{error}. Use the version that wrote it, or another run."
            ) from error

    @property
    def test_images_in_train(self) -> int | None:
        """Number of test images that occur in the training images; None if unknown."""
        return self.facts.test_images_in_train

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The content of ``metrics.json``, None while the run is not finished."""
        if not self.has("metrics.json"):
            return None
        return records.read(self.folder / "metrics.json", records.Metrics, advice=REWRITTEN)

    def read_scores(self, of: Literal["oof", "test"]) -> "Scores | None":
        """Return the out-of-fold scores, or those of the test images; None without them.

        Raises:
            DamagedRunError: ``metrics.json`` lacks a score.

        """
        from kaggle_digits.evaluation import Scores

        found = (self.metrics or {}).get(of)
        try:
            return typed_json.build(Scores, found, strict=False) if found else None
        except ValueError as error:
            raise DamagedRunError(self.folder / "metrics.json", error, REWRITTEN) from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each column of the probabilities."""
        # The first version did not record the names: it knew only digits.
        return self.facts.class_names or tuple("0123456789")

    @property
    def members(self) -> int:
        """Number of models of the finished run."""
        self._require_settings("folds", "seeds")
        settings = self.facts.settings
        return settings.folds * settings.seeds

    @property
    def test_fingerprint(self) -> str:
        """SHA-256 of the test images that the run predicts."""
        self._require_settings("test_fingerprint")
        return str(self.facts.settings.test_fingerprint)

    def require_finished(self) -> None:
        """Raise an InputError unless every fold is trained and gathered."""
        facts = self.facts
        if facts.state != "finished":
            raise InputError(
                f"{self.folder} is not finished. Resume it with the command that started it: "
                f"{facts.command or 'kaggle-digits cv …'}"
            )

    def fold_scores(self, number: int) -> dict[str, Any] | None:
        """Return the content of a fold's ``finished.json``; None while it is not finished."""
        name = f"fold-{number}/finished.json"
        if not self.has(name):
            return None
        path = self.folder / name
        advice = f"Remove {path} and run the same command again: it trains this fold again."
        return records.read(path, records.FoldMark, advice=advice, strict=True)

    def _require_settings(self, *names: str) -> None:
        settings = self._description["settings"]
        for name in names:
            if name not in settings:
                raise DamagedRunError(self.folder / "run.json", f"it has no setting {name}")

    def require_whole(self) -> None:
        """Raise an InputError unless every file that lists and comparisons need is readable."""
        needed = ("recipe", "source", "folds", "seeds", "training")
        self._require_settings(*needed)
        for name in needed:
            if self._description["settings"][name] is None:
                raise DamagedRunError(self.folder / "run.json", f"settings.{name} is null")
        if "started" not in self._description:
            raise DamagedRunError(self.folder / "run.json", "started is missing")
        _ = self.metrics
        for name in RESULTS:
            self.has(name)
        for number in range(1, self.members + 1):
            self.fold_scores(number)

    def other_versions(self) -> list[str]:
        """Return the packages whose version has changed since the run was started."""
        before = self.facts.environment
        return [
            f"{name} {before[name]} → {version}"
            for name, version in environment().items()
            if name in before and before[name] != version and name != "git_commit"
        ]

    def update(self, **changes: Any) -> None:
        """Rewrite ``run.json`` with ``changes`` at its top level."""
        files.write_json(self.folder / "run.json", self._description | changes)
