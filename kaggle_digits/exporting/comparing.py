"""Compare the predictions of an export in a fresh process with those of the original models."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kaggle_digits import credentials, datasets
from kaggle_digits.datasets import finding
from kaggle_digits.errors import OutsideError
from kaggle_digits.formats.arrays import Form, read_array

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

IMAGES = 1000
TOLERANCE = 1e-4
TIE = 1e-6  # classes whose probabilities differ less are tied, because float32 rounding decides
TIMEOUT = 600  # seconds; an export of five folds takes about ten seconds
STROKES, POINTS = 3, 16  # strokes per drawing, points per stroke
PEN = 1.2  # radius of the pen in pixels


@dataclass(frozen=True, eq=False)
class Sample:
    """The images on which predictions are compared.

    Attributes:
        images: uint8 ``[1000, height, width, channels]``.
        source: the origin of the images in words.

    """

    images: Images
    source: str


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        images: number of compared images.
        source: the origin of the images in words.
        largest_difference: largest absolute difference of any probability.
        labels_that_differ: number of images with another most probable class, without ties.

    """

    images: int
    source: str
    largest_difference: float
    labels_that_differ: int


def sample(folder: Path, image_shape: tuple[int, int, int]) -> Sample:
    """Return the first 1,000 test images in ``folder``, completed by drawings if there are fewer.

    Raises:
        InputError: the data in ``folder`` is broken.

    """
    drawn = drawings(IMAGES, image_shape)
    if finding.find(folder) is None:
        return Sample(drawn, f"drawings, because {folder} has no data")
    images = datasets.load(folder).test.images[:IMAGES]
    if images.shape[1:] != image_shape:
        return Sample(drawn, f"drawings, because images in {folder} have shape {images.shape[1:]}")
    if len(images) == IMAGES:
        return Sample(images, f"test images of {folder}")
    return Sample(
        np.concatenate([images, drawn[len(images) :]]),
        f"{len(images)} test images of {folder}, the others drawings",
    )


def drawings(count: int, image_shape: tuple[int, int, int]) -> Images:
    """Return uint8 ``[count, *image_shape]``: reproducible strokes on a dark background."""
    height, width, channels = image_shape
    random = np.random.default_rng(0)
    corners = random.uniform(0.15, 0.85, (count, STROKES + 1, 1, 2))
    along = np.linspace(0, 1, POINTS)[:, np.newaxis]
    dots = corners[:, :-1] * (1 - along) + corners[:, 1:] * along
    down, right = np.moveaxis(dots.reshape(count, -1, 2), 2, 0)[..., np.newaxis]
    rows = np.exp(-(((np.arange(height) - down * height) / PEN) ** 2))
    columns = np.exp(-(((np.arange(width) - right * width) / PEN) ** 2))
    ink: Floats = np.minimum(np.einsum("nph,npw->nhw", rows, columns), 1)[..., np.newaxis]
    colours = random.uniform(100, 255, (count, 1, 1, channels))
    drawn: Images = (ink * colours).astype(np.uint8)
    return drawn


def compare(
    export: Path, sample: Sample, expected: Floats, recipe: Path | None = None
) -> Comparison:
    """Compare the probabilities of ``export`` in a fresh process with the expected ones.

    Args:
        export: an export in any format.
        sample: the images.
        expected: float ``[n, classes]``, the probabilities of the run's own models.
        recipe: trusted Python file that registers the custom layers of the export, if it has any.

    Returns:
        The differences, which are within the tolerance.

    Raises:
        OutsideError: the differences are too large, or the export cannot be opened.

    """
    answers = _fresh_answers(export, sample.images, recipe)
    comparison = Comparison(
        images=len(sample.images),
        source=sample.source,
        largest_difference=float(np.abs(answers - expected).max()),
        labels_that_differ=_labels_that_differ(answers, expected),
    )
    within = comparison.largest_difference <= TOLERANCE  # False for NaN
    if comparison.labels_that_differ or not within:
        raise OutsideError(
            f"the export predicts differently from the run: {comparison.labels_that_differ} of "
            f"{comparison.images:,} labels differ, and the probabilities by up to "
            f"{comparison.largest_difference:.2g}. Expected the same labels and at most "
            f"{TOLERANCE:g}. The export was deleted. Choose another --format, or install the "
            "versions in constraints.txt."
        )
    return comparison


def _labels_that_differ(answers: Floats, expected: Floats) -> int:
    chosen = expected[np.arange(len(expected)), answers.argmax(axis=1)]
    return int((expected.max(axis=1) - chosen > TIE).sum())


def _fresh_answers(export: Path, images: Images, recipe: Path | None) -> Floats:
    package = Path(__file__).resolve().parent.parent
    search = os.pathsep.join(filter(None, [str(package.parent), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "images.npy"), Path(folder, "answers.npy")
        np.save(asked, images, allow_pickle=False)
        # -P: do not import a file of the user that is called keras.py.
        command = [sys.executable, "-P", "-m", f"{package.name}.exporting"]
        given = [export, asked, answered, *([recipe] if recipe else [])]
        try:
            done = subprocess.run(  # noqa: S603 — this program, on its own files
                [*command, *map(str, given)],
                # The temporary files of a killed process are removed with the folder.
                env=credentials.environment_without_credentials()
                | {"PYTHONPATH": search, "PYTHONIOENCODING": "utf-8", "TMPDIR": folder},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise OutsideError(
                f"the export gave no predictions in a fresh process within {TIMEOUT} seconds. It "
                "was deleted. Try again when the machine is less busy."
            ) from error
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            raise OutsideError(
                f"the export could not be opened in a fresh process: {reason.rstrip('.')}. It was "
                "deleted. Choose another --format, or install the versions in constraints.txt."
            )
        return read_array(
            answered, Form("floating", (len(images), "classes")), advice="Run `export` again."
        )
