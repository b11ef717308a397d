"""Random affine maps: one resampling of a whole batch at once.

The maps are drawn with NumPy from a generator that the caller seeds, and applied by Keras: the same
generator gives the same pictures on every backend, and an epoch's pictures can be made again after
a crash. Nothing of this is part of a saved model.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kaggle_digits.datasets.dataset import Images
from kaggle_digits.recipes.recipe import Affine

CHUNK = 4096  # images resampled at once: bounds the float32 copy to 13 MB of 28×28 images


def random_maps(
    affine: Affine, count: int, size: tuple[int, int], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return ``count`` maps from output to input pixels, float32 ``[count, 8]``.

    The form is that of `keras.ops.image.affine_transform`: rows ``a0 a1 a2 b0 b1 b2 0 0`` with
    ``x_in = a0·x + a1·y + a2`` and ``y_in = b0·x + b1·y + b2``, about the centre of the image.
    """
    height, width = size
    angle = np.radians(rng.uniform(-affine.rotation, affine.rotation, count))
    slant = np.tan(np.radians(rng.uniform(-affine.shear, affine.shear, count)))
    scale = 1 / rng.uniform(1 - affine.zoom, 1 + affine.zoom, count)
    shift = rng.uniform(-affine.shift, affine.shift, (count, 2)) * (width, height)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    # rotation · shear, both already divided by the zoom
    a0, a1 = cos, cos * slant - sin
    b0, b1 = sin, sin * slant + cos
    x, y = (width - 1) / 2, (height - 1) / 2
    a2 = x - a0 * x - a1 * y - shift[:, 0]
    b2 = y - b0 * x - b1 * y - shift[:, 1]
    zero = np.zeros(count)
    return np.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1).astype(np.float32)


def augmented(images: Images, affine: Affine, rng: np.random.Generator) -> Images:
    """Return ``images`` (uint8 ``[n, h, w, c]``), each moved by a map of its own, as uint8.

    Resampled bilinearly; what comes in from outside is 0, the background of the digits.
    """
    return np.concatenate([*_moved_chunks(images, affine, rng)]) if len(images) else images


def _moved_chunks(images: Images, affine: Affine, rng: np.random.Generator) -> Iterator[Images]:
    from keras import ops

    maps = random_maps(affine, len(images), images.shape[1:3], rng)
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        moved = ops.image.affine_transform(
            images[rows].astype(np.float32),
            maps[rows],
            interpolation="bilinear",
            fill_mode="constant",
            fill_value=0,
            data_format="channels_last",
        )
        yield np.rint(ops.convert_to_numpy(moved)).clip(0, 255).astype(np.uint8)
