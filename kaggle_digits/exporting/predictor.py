"""Define `Predictor`: an opened model of any format, from uint8 images to probabilities."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggle_digits.errors import InputError, KaggleDigitsError, out_of_memory
from kaggle_digits.formats import keras_architecture
from kaggle_digits.terminal_text import cut

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Probabilities = npt.NDArray[np.float32]

BATCH = 256
BATCH_DIMENSIONS = 4  # images, height, width, channels
LONGEST_REASON = 300  # characters of a library's message


@dataclass(frozen=True, eq=False)
class Predictor:
    """An exported model of any format.

    Attributes:
        path: its file or folder.
        image_shape: height, width, channels.
        classes: number of classes.
        answer: a function from uint8 ``[n, *image_shape]`` to float ``[n, classes]``, for one
            batch.
        at_once: number of threads that may call ``answer`` at the same time.
        members: a function from uint8 ``[n, *image_shape]`` to float ``[members, n, classes]``, the
            probabilities whose mean ``answer`` returns. None if the model is not a mean of members.

    """

    path: Path
    image_shape: tuple[int, int, int]
    classes: int
    answer: "Callable[[Images], Any]"
    at_once: int = 1
    members: "Callable[[Images], Any] | None" = None

    def probabilities(self, images: "Images") -> "Probabilities":
        """Return the probabilities of images.

        Args:
            images: uint8 ``[n, *image_shape]``, from 0 (background) to 255.

        Returns:
            float32 ``[n, classes]``.

        Raises:
            InputError: the images have another shape or dtype.

        """
        import numpy as np

        if images.shape[1:] != self.image_shape or images.dtype != np.uint8:
            raise InputError(
                f"received images of shape {images.shape} and dtype {images.dtype}. Expected "
                f"(n, {', '.join(map(str, self.image_shape))}) and uint8: {self.path} takes no "
                "other."
            )
        answers = np.empty((len(images), self.classes), np.float32)

        def fill(start: int) -> None:
            answers[start : start + BATCH] = self.answer(images[start : start + BATCH])

        with ThreadPoolExecutor(self.at_once) as threads:
            for _ in threads.map(fill, range(0, len(images), BATCH)):
                pass  # raises what `fill` raised
        return answers


def of(
    path: Path,
    inputs: Sequence[tuple[Sequence[Any], Any]],
    answer: "Callable[[Images], Any]",
    at_once: int = 1,
) -> Predictor:
    """Return the predictor of a model that was read from ``path``, tested on two images.

    Args:
        path: the model's path, for messages.
        inputs: shape (batch first) and dtype of each input of the model.
        answer: as in `Predictor`.
        at_once: as in `Predictor`.

    Raises:
        InputError: the model does not take uint8 images or does not return probabilities.

    """
    import numpy as np

    from kaggle_digits.evaluation import check_probabilities

    shape = tuple(inputs[0][0]) if len(inputs) == 1 else ()
    image_shape = shape[1:]
    fits = len(shape) == BATCH_DIMENSIONS and all(isinstance(size, int) for size in image_shape)
    if not fits or inputs[0][1] != "uint8":
        taken = " and ".join(f"{dtype} [{', '.join(map(str, shape))}]" for shape, dtype in inputs)
        raise InputError(
            f"{path} takes {taken or 'nothing'}. Expected one input, uint8 [n, height, width, "
            "channels]. Scaling must be part of the model: one cannot tell from outside what it "
            "expects."
        )
    require_few_values(path, math.prod(image_shape), of_image=True)
    empty_and_full = np.stack([np.zeros(image_shape, np.uint8), np.full(image_shape, 255, "u1")])
    with reading(path, "a model that takes any number of images at once"):
        answer(empty_and_full[:1])
        answers = np.asarray(answer(empty_and_full), np.float64)
    try:
        images, classes = check_probabilities(answers)
    except InputError as error:
        images = 0
        refusal: Exception | None = error
    else:
        refusal = None
    if images != len(empty_and_full):
        raise InputError(
            f"{path} does not return probabilities: for two images it returns numbers of shape "
            f"{answers.shape}, from {answers.min(initial=0):g} to {answers.max(initial=0):g}. "
            "Expected [2, classes] from 0 to 1, with rows that sum to 1: end the model with a "
            "softmax."
        ) from refusal
    height, width, channels = image_shape
    return Predictor(path, (height, width, channels), classes, answer, at_once)


def require_few_values(path: Path, count: int, *, of_image: bool) -> None:
    """Raise InputError if a part of a model computes too many values for the memory.

    Args:
        path: the model's path, for messages.
        count: number of values.
        of_image: whether the values are per image; a batch of images is in memory at a time.

    """
    most = keras_architecture.MAX_VALUES if of_image else keras_architecture.MAX_PARAMETERS
    if count > most:
        raise InputError(
            f"{path} cannot be opened: a part of it computes {count:,} values"
            f"{' per image' if of_image else ''}. Expected at most {most:,}."
        )


@contextlib.contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn any exception that a library raises for a broken file into an InputError.

    Raises:
        InputError: the library raised an exception.
        OutsideError: memory ran out.

    """
    try:
        yield
    except KaggleDigitsError:
        raise
    except Exception as error:
        # Each library has its own exceptions, and a damaged file may raise any of them.
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason.rpartition("Exception encountered: ")[2]  # Keras prefixes its messages
        raise out_of_memory(error) or InputError(
            f"{path} cannot be opened: {cut(reason, LONGEST_REASON).rstrip('.')}. Expected "
            f"{expected}. Export it again with `kaggle-digits export`, or copy it again."
        ) from error
