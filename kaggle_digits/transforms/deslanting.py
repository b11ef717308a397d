"""Digits made alike before a network sees them: the slant taken out, the width made the same.

Deslanting as of LeCun et al. 1998, the width normalisation of Ciresan et al. 2012. Plain
operations of Keras, no layer of our own: a saved model can be read wherever Keras is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a list of recipes needs no NumPy
    from kaggle_digits.datasets.dataset import Images

CHUNK = 512  # images at once: what each pixel gives to each, of 28×28 images, is 45 MB of float32
MOST_SLANT = 1.0  # pixels sideways a row: 45°
INK = 60.5 / 255  # more counts towards the width; no grey level, which backends may round apart
SCALES = (0.4, 1.6)  # old pixels a new one: a 1 does not become a bar, nor a page a digit
LEAST_INK = 1e-6  # an empty image has none to divide by
LEAST_VARIANCE = 0.5  # of rows: a dash has no slant


@dataclass(frozen=True)
class Deslant:
    """How digits are made alike before a network sees them: their slant is taken out.

    Attributes:
        width: of every digit, pixels, its outermost ink counted; the digit is also put into the
            middle. None leaves width and place as they are.

    Example:
        >>> kd.Deslant(width=14.0).width
        14.0

    """

    width: float | None = None


def deslant_images(images: "Images", deslant: Deslant | None) -> "Images":
    """Return ``images``, uint8 ``[n, height, width, 1]``, deslanted and rounded, as uint8.

    A model that deslants by itself does not round: between two grey levels backends would differ
    by a whole one.
    """
    if deslant is None:
        return images
    from keras import Input, Model, ops

    inputs = Input(images.shape[1:], dtype="uint8")
    model = Model(inputs, ops.clip(ops.round(deslant_tensor(inputs, deslant)), 0, 255))
    values = images.copy()
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        values[rows] = model.predict_on_batch(images[rows])
    return values


def deslant_tensor(images: Any, deslant: Deslant) -> Any:
    """Return the images resampled once, each row moved sideways so that the digit stands upright.

    Args:
        images: a tensor or a Keras tensor, ``[n, height, width, 1]``, 0 … 255; 0 is background.
        deslant: the width to bring the digits to, if any.

    Returns:
        float32 ``[n, height, width, 1]``, 0 … 255.

    """
    from keras import ops

    height, across = images.shape[1:3]
    ink = ops.squeeze(ops.cast(images, "float32"), 3) / 255
    x, shift = _places(ink, 2), _shift(ink)
    width = deslant.width
    # Subtracted: a sum of these shapes, of a single image, Keras takes for that of a bias.
    source = (x if width is None else _spread(ink, x - shift, width)) - -shift
    # Linear interpolation as a product: what each pixel of a row gives to each of the new row.
    shares = ops.relu(1 - ops.absolute(ops.expand_dims(source, 2) - ops.expand_dims(x, 3)))
    rows = ops.matmul(ops.expand_dims(ink, 2), shares)
    return 255 * ops.reshape(rows, (-1, height, across, 1))


def _shift(ink: Any) -> Any:
    """Return how far each row lies aside for the digit's slant, float32 ``[n, height, 1]``."""
    from keras import ops

    rows = ops.sum(ink, 2)
    x, y = _places(ink, 2), _places(rows, 1)
    total = ops.sum(rows, 1, keepdims=True) + LEAST_INK
    sideways = ops.sum(ink * x, 2)
    aside = sideways - ops.sum(sideways, 1, keepdims=True) / total * rows
    below = y - ops.sum(rows * y, 1, keepdims=True) / total
    covariance = ops.sum(aside * below, 1, keepdims=True)
    variance = ops.sum(rows * below * below, 1, keepdims=True)
    slant = covariance / ops.maximum(variance, LEAST_VARIANCE * total)
    return ops.expand_dims(ops.clip(slant, -MOST_SLANT, MOST_SLANT) * below, 2)


def _spread(ink: Any, place: Any, width: float) -> Any:
    """Return where in the upright digit each column of the new one is, float32 ``[n, 1, across]``.

    Args:
        ink: ``[n, height, across]``, 0 … 1.
        place: of each pixel across, once the digit is upright, ``[n, height, across]``.
        width: of the new digit.

    """
    from keras import ops

    across = ink.shape[2]
    left = ops.min(ops.where(ink > INK, place, float(across)), (1, 2), keepdims=True)
    right = ops.max(ops.where(ink > INK, place, -1.0), (1, 2), keepdims=True)
    scale = ops.clip((right - left + 1) / width, *SCALES)
    column = _places(ops.max(ink, 1, keepdims=True), 2)
    return (left + right) / 2 + scale * (column - (across - 1) / 2)


def _places(values: Any, axis: int) -> Any:
    """Return each value's place along ``axis``, from 0, float32 of the same shape.

    Counted, not a constant: that would become an input of what is exported to ONNX.
    """
    from keras import ops

    return ops.cumsum(ops.ones_like(values), axis) - 1
