"""Read and write a run's folder, which looks like this.

    run.json         every setting, the data's fingerprints, class names, versions, times, state,
                     number of test images that occur in the training images
    recipe.py        the recipe's own Python file, where it is not a built-in one
    train-hashes.npz hashes: uint64 [n], `datasets.leaks.hash_images` of the training images
    folds.npy        int16 [seeds, n]: the fold in which each training image is held out, 0 if
                     never; negative if the image is never trained on
    pseudo-labels.npy int16 [models, test images]: the class with which a model is trained on a test
                     image, -1 for none; where the run has pseudo-labels
    fold-K/          checkpoint.keras during training; then model.keras, history.csv, oof.npz,
                     test.npz and, last, finished.json
    oof.npz          rows, ids, labels and probabilities of the held-out images
    test.npz         ids, probabilities and, if the data set has them, labels of the test images
    metrics.json     scores of the run, of each fold and, with labels, of the test images
    submission.csv   ImageId,Label

A file gets its final name only when it is complete, so an existing file can be relied on. A run may
come from somebody else: links and special files are rejected, and the content is checked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits import files, recipes, safe_reading
from kaggle_digits.errors import InputError
from kaggle_digits.formats.arrays import Form, read_arrays
from kaggle_digits.recipes import Recipe
from kaggle_digits.runs.description import REWRITTEN, DescribedRun
from kaggle_digits.runs.safe_folder import MISSING, DamagedRunError, unreadable

if TYPE_CHECKING:
    import numpy.typing as npt

    from kaggle_digits.datasets.dataset import Images, Splits

    Array = npt.NDArray[Any]

HASHES = "train-hashes.npz"
RECIPE_FILE = "recipe.py"
HASHED = {"hashes": Form("uint64", ("images",))}


@dataclass(frozen=True)
class Run(DescribedRun):
    """A run's folder on the disk. Only reading arrays needs NumPy: listing starts at once."""

    @property
    def submission(self) -> Path:
        """Path of the run's own CSV, which exists once the run is finished."""
        return self.inside("submission.csv")

    def fold(self, number: int) -> Path:
        """Return the folder of the model ``number`` (1 … members)."""
        return self.inside(f"fold-{number}")

    def models(self) -> list[Path]:
        """Return the ``model.keras`` of every fold.

        Raises:
            InputError: the run is not finished.

        """
        self.require_finished()
        return [self.inside(f"fold-{number}/model.keras") for number in range(1, self.members + 1)]

    def arrays(self, name: str) -> "dict[str, Array]":
        """Return the arrays of ``oof.npz`` or ``test.npz``: ids, probabilities, labels if known.

        Raises:
            InputError: the run is not finished or the file is damaged.

        """
        from kaggle_digits import evaluation

        self.require_finished()
        classes = len(self.class_names)
        names = {
            "ids": Form("integer", ("images",)),
            "probabilities": Form("floating", ("images", classes)),
            "labels": Form("integer", ("images",), required=name == "oof"),
        }
        arrays = self._read(f"{name}.npz", names)
        if len(set(arrays["ids"].tolist())) != len(arrays["ids"]):
            reason = "an id occurs more than once"
            raise DamagedRunError(self.folder / f"{name}.npz", reason, REWRITTEN)
        evaluation.check_probabilities(
            arrays["probabilities"], name=f"probabilities in {self.folder / name}.npz"
        )
        labels = arrays.get("labels")
        if labels is not None and not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(
                f"{self.folder / name}.npz: received labels from {labels.min()} to {labels.max()}, "
                f"expected 0 to {classes - 1}. {REWRITTEN}"
            )
        return arrays

    @property
    def has_held_out(self) -> bool:
        """Whether the run held images out.

        Raises:
            DamagedRunError: it did, but their predictions are missing.

        """
        if self.has("oof.npz"):
            return True
        if (self.metrics or {}).get("oof"):
            raise DamagedRunError(self.folder / "oof.npz", MISSING, REWRITTEN)
        return False

    def fold_arrays(
        self, number: int, name: str, images: int | None = None, advice: str | None = None
    ) -> "dict[str, Array]":
        """Return the arrays of a fold: probabilities and, out-of-fold, the rows of the images.

        Args:
            number: number of the fold.
            name: ``oof`` or ``test``.
            images: number of images that the file must have; None for any.
            advice: end of the message about a damaged file; None for the command that trains the
                run.

        """
        advice = advice or (
            f"Remove the folder {self.fold(number)} and run the same command again: it trains this "
            "fold again."
        )
        names = {"probabilities": Form("floating", (images or "images", len(self.class_names)))}
        if name == "oof":
            names["rows"] = Form("integer", ("images",))
        return self._read(f"fold-{number}/{name}.npz", names, advice)

    def _read(
        self, name: str, names: dict[str, Form], advice: str = REWRITTEN
    ) -> "dict[str, Array]":
        path = self.inside(name)
        try:
            safe_reading.open_regular(path).close()
        except OSError as error:
            raise unreadable(path, error, advice) from error
        return read_arrays(path, names=names, advice=advice)

    def keep_recipe(self, recipe: Recipe) -> None:
        """Write the recipe's own program into the folder, so that the run is self-contained."""
        if recipe.program is not None:
            files.write_bytes(self.folder / RECIPE_FILE, recipe.program)

    def recipe(self, *, trusted: bool = False) -> Recipe:
        """Return the recipe of the run. A recipe from a Python file is loaded by running the file.

        Args:
            trusted: whether the user named the file in the current command.

        Raises:
            InputError: the recipe is unknown, its file was changed since the run was started, or
                the user has never allowed the file.

        """
        settings = self.settings
        if settings.recipe_sha256 is None:
            return recipes.find_built_in(settings.recipe)
        path = self.inside(RECIPE_FILE)
        if not path.is_file() or safe_reading.sha256_of(path) != settings.recipe_sha256:
            raise InputError(
                f"{path} is missing or was changed after the run was started. Expected the file "
                "with the SHA-256 in run.json. Restore it, or train again with --recipe."
            )
        if not trusted and not recipes.trust.is_trusted(settings.recipe_sha256):
            raise InputError(
                f"{path} is a Python program that must be executed to open this run's models, and "
                "it was never allowed on this machine. Read it. If you trust it, allow it with: "
                f"kaggle-digits recipes {path}"
            )
        return recipes.loading.load_file(path)

    def note_leaks(self, splits: "Splits") -> None:
        """Record hashes of the training images and the number of test images among them.

        `predict` uses the hashes to count the same for other test images later.
        """
        from kaggle_digits.datasets import leaks

        hashes = leaks.hash_images(splits.train.images)
        files.write_npz(self.folder / HASHES, hashes=hashes)
        self.update(test_images_in_train=leaks.count_hashed(splits.test.images, hashes))

    def count_trained_on(self, images: "Images") -> int | None:
        """Return how many of ``images`` this run was trained on; None if it has no record.

        Test images with pseudo-labels do not count: their true labels were not used.

        Args:
            images: uint8 ``[n, height, width, channels]``.

        """
        from kaggle_digits.datasets import leaks

        if not self.has(HASHES):  # a run of an earlier version
            return None
        return leaks.count_hashed(images, self._read(HASHES, HASHED)["hashes"])

    def hash_held_out(self) -> "Array | None":
        """Return the hash of each image of ``arrays("oof")``: uint64 ``[n]``.

        None for a run of an earlier version, which recorded no hashes.

        Raises:
            DamagedRunError: the run has no hashes of these images.

        """
        if not self.has(HASHES):
            return None
        hashes = self._read(HASHES, HASHED)["hashes"]
        rows = self._read("oof.npz", {"rows": Form("integer", ("images",))})["rows"]
        if not 0 <= rows.min() <= rows.max() < len(hashes):
            raise DamagedRunError(self.folder / HASHES, "it lacks held-out images", REWRITTEN)
        return hashes[rows]

    def is_fold_finished(self, number: int) -> bool:
        """Return whether a model is trained: its mark and its file are there."""
        model = self.fold(number) / "model.keras"
        is_there = model.is_file() and model.stat().st_size > 0
        return is_there and self.fold_scores(number) is not None
