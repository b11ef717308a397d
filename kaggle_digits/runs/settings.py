"""The settings of a run, which determine its result."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from kaggle_digits.recipes import Training
from kaggle_digits.transforms.deslanting import Deslant


@dataclass(frozen=True)
class Settings:
    """All settings that determine a run's result.

    The same settings, versions and processor reproduce the result to the byte.

    Attributes:
        command: ``train`` or ``cv``.
        recipe: name of the recipe.
        recipe_sha256: SHA-256 of the recipe's Python file; None if the recipe is built in.
        training: the recipe's training settings, with the overrides of the command line.
        deslant: the recipe's deslanting; None for no deslanting.
        folds: number of models per seed; 1 for ``train``.
        seeds: number of repetitions of the whole cross-validation.
        seed: the first seed.
        validation_split: share of images held out by ``train``, 0-1; None for ``cv``.
        limit: size of the stratified subset of training images; None for all.
        source: name of the data set.
        train_fingerprint: SHA-256 of the used training images and labels.
        test_fingerprint: SHA-256 of the test images.
        backend: Keras backend.
        threads: number of threads per split of a batch; None in runs of earlier versions, which
            shared all cores.
        excluded_images: number of images that are held out like the others, but never trained on.
        excluded_sha256: SHA-256 of their ids, from `evaluation.suspects.hash_ids`; None for none.
        pseudo_labelled_images: smallest number of test images that a model is trained on.
        pseudo_labels_sha256: SHA-256 of their labels; None for none.

    """

    command: str
    recipe: str
    training: Training
    folds: int
    seeds: int
    seed: int
    validation_split: float | None
    limit: int | None
    source: str
    train_fingerprint: str
    test_fingerprint: str
    backend: str
    deslant: Deslant | None = None
    threads: int | None = None
    recipe_sha256: str | None = None
    excluded_images: int = 0
    excluded_sha256: str | None = None
    pseudo_labelled_images: int = 0
    pseudo_labels_sha256: str | None = None

    def flat(self) -> dict[str, Any]:
        """Return every setting under a dotted name, with values as JSON represents them."""
        nested = json.loads(json.dumps(asdict(self)))
        return dict(_flattened(nested))

    @property
    def members(self) -> int:
        """Number of models that the run trains."""
        return self.folds * self.seeds


def _flattened(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flattened(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner
