"""Normalise digits before they enter a network: remove the slant, equalise the width.

Sources: deslanting, LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998;
width normalisation, Ciresan et al., "Multi-column Deep Neural Networks for Image Classification",
2012. Only Keras operations are used, no custom layer, so a saved model loads with Keras alone.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a list of recipes needs no NumPy
    from kaggle_digits.datasets.dataset import Images

CHUNK = 512  # images at once: the interpolation weights of 28×28 images take 45 MB of float32
MAX_SLANT = 1.0  # pixels sideways a row: 45°
INK = 60.5 / 255  # threshold for the width; between two grey levels, so backends round alike
SCALES = (0.4, 1.6)  # old pixels per new pixel: keeps a 1 from becoming a bar
MIN_INK = 1e-6  # avoids a division by 0 for an empty image
MIN_VARIANCE = 0.5  # of rows: a dash has no slant


@dataclass(frozen=True)
class Deslant:
    """Deslanting of digits before they enter a network.

    Attributes:
        width: width of every digit in pixels, including its outermost ink. The digit is also
            centred. None changes neither width nor place.

    Example:
        >>> kd.Deslant(width=14.0).width
        14.0

    """

    width: float | None = None


def deslant_images(images: "Images", deslant: Deslant | None) -> "Images":
    """Deslant ``images``, uint8 ``[n, height, width, 1]``, and round them to uint8.

    A model that contains the deslanting does not round: backends could differ by one grey level.
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
    """Resample the images once, with each row shifted sideways so that the digit is upright.

    Args:
        images: a tensor or a Keras tensor, ``[n, height, width, 1]``, 0 … 255; 0 is background.
        deslant: the settings.

    Returns:
        float32 ``[n, height, width, 1]``, 0 … 255.

    """
    from keras import ops

    height, across = images.shape[1:3]
    ink = ops.squeeze(ops.cast(images, "float32"), 3) / 255
    x, shift = _places(ink, 2), _shift(ink)
    width = deslant.width
    # Subtract the negative: Keras mistakes a sum of these shapes, for a single image, for a bias.
    source = (x if width is None else _spread(ink, x - shift, width)) - -shift
    # Linear interpolation as a matrix product: the weight of each old pixel in each new pixel.
    shares = ops.relu(1 - ops.absolute(ops.expand_dims(source, 2) - ops.expand_dims(x, 3)))
    rows = ops.matmul(ops.expand_dims(ink, 2), shares)
    return 255 * ops.reshape(rows, (-1, height, across, 1))


def _shift(ink: Any) -> Any:
    """Return the sideways shift of each row due to the slant, float32 ``[n, height, 1]``."""
    from keras import ops

    rows = ops.sum(ink, 2)
    x, y = _places(ink, 2), _places(rows, 1)
    total = ops.sum(rows, 1, keepdims=True) + MIN_INK
    sideways = ops.sum(ink * x, 2)
    aside = sideways - ops.sum(sideways, 1, keepdims=True) / total * rows
    below = y - ops.sum(rows * y, 1, keepdims=True) / total
    covariance = ops.sum(aside * below, 1, keepdims=True)
    variance = ops.sum(rows * below * below, 1, keepdims=True)
    slant = covariance / ops.maximum(variance, MIN_VARIANCE * total)
    return ops.expand_dims(ops.clip(slant, -MAX_SLANT, MAX_SLANT) * below, 2)


def _spread(ink: Any, place: Any, width: float) -> Any:
    """Return the column of the upright digit for each new column, float32 ``[n, 1, across]``.

    Args:
        ink: ``[n, height, across]``, 0 … 1.
        place: column of each pixel in the upright digit, ``[n, height, across]``.
        width: width of the new digit in pixels.

    """
    from keras import ops

    across = ink.shape[2]
    left = ops.min(ops.where(ink > INK, place, float(across)), (1, 2), keepdims=True)
    right = ops.max(ops.where(ink > INK, place, -1.0), (1, 2), keepdims=True)
    scale = ops.clip((right - left + 1) / width, *SCALES)
    column = _places(ops.max(ink, 1, keepdims=True), 2)
    return (left + right) / 2 + scale * (column - (across - 1) / 2)


def _places(values: Any, axis: int) -> Any:
    """Return each value's position along ``axis``, from 0, float32 of the same shape.

    The positions are computed: a constant would become an input of an exported ONNX model.
    """
    from keras import ops

    return ops.cumsum(ops.ones_like(values), axis) - 1
