"""Which images a run was made with, and how many each of its models was trained on."""

from kaggle_digits.datasets.dataset import Dataset, Splits
from kaggle_digits.errors import InputError
from kaggle_digits.formats.arrays import Form, read_array
from kaggle_digits.runs import Run
from kaggle_digits.runs.description import REWRITTEN
from kaggle_digits.training.pseudo_labels import PseudoLabels, count_labelled, read_pseudo_labels
from kaggle_digits.training.splitting import FoldIds, split_rows, subsample


def count_images(assignment: FoldIds, folds: int, pseudo_labels: PseudoLabels) -> tuple[int, ...]:
    """Return the number of images that each model is trained on.

    Args:
        assignment: int16 ``[seeds, n]``, from `assign_folds`, `assign_holdout` or `exclude`.
        folds: number of folds per seed.
        pseudo_labels: int16 ``[models, test images]``, from `make_pseudo_labels`.

    """
    labelled = count_labelled(pseudo_labels)
    return tuple(
        len(split_rows(assignment, folds, number)[0]) + int(more)
        for number, more in enumerate(labelled, start=1)
    )


def count_run_images(run: Run) -> tuple[int, ...]:
    """Return the number of images that each model of a finished run was trained on.

    Raises:
        InputError: the run is not finished, or one of its files is missing or damaged.

    """
    settings = run.settings
    form = Form("int16", (settings.seeds, "images"))
    assignment = read_array(run.inside("folds.npy"), form, advice=REWRITTEN)
    labels = read_pseudo_labels(run, len(run.arrays("test")["ids"]))
    return count_images(assignment, settings.folds, labels)


def select_run_images(run: Run, splits: Splits, split: str) -> Dataset:
    """Return the images of ``split`` (``train`` or ``test``) that ``run`` was made with.

    Raises:
        InputError: ``splits`` are not the data of the run.

    """
    settings = run.settings
    if split == "train":
        found = subsample(splits.train, settings.limit, settings.seed)
        expected = settings.train_fingerprint
    else:
        found, expected = splits.test, settings.test_fingerprint
    if found.fingerprint != expected:
        raise InputError(
            f"{run.folder} was made with other {split} images. Received the {splits.source} data "
            f"with the fingerprint {found.fingerprint[:12]}…, expected {expected[:12]}…. Name the "
            "folder of the run's data with --input."
        )
    return found
