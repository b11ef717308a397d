"""Random affine maps as a Keras layer, which resamples a whole batch at once.

Training draws the random numbers with a seeded NumPy generator and passes them to the layer. So the
same generator gives the same images on every backend (up to the rounding of a grey level), and the
images of an epoch can be reproduced after a crash. The layer is never part of the network, so a
saved model does not contain it.

Importing this module starts Keras, because it subclasses a Keras layer: import it inside functions.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Images
from kaggle_digits.transforms.affine import Affine

keras = start_keras()
ops = keras.ops
Layer: Any = keras.layers.Layer

CHUNK = 4096  # images resampled at once: bounds the float32 copy to 13 MB of 28×28 images
NUMBERS = 6  # drawn for each image: angle, slant, zoom, two shifts, flip


@keras.saving.register_keras_serializable(package="kaggle_digits")
class RandomAffine(Layer):  # type: ignore[misc]  # Keras has no types of its own
    """Apply a random affine map to every image of a batch, in training only.

    Rotation, shear, zoom, flip and shift form one map about the image's centre. The image is
    resampled once, with bilinear interpolation.

    Example:
        >>> layer = RandomAffine(rotation=10, shift=0.1, zoom=0.1, seed=0)
        >>> moved = layer(images, training=True)  # float32 [n, height, width, channels]

    Args:
        rotation: largest angle in degrees.
        shift: largest shift, as a share of the height and of the width.
        zoom: 0.1 scales by 0.9 … 1.1, both axes together.
        shear: largest shear angle in degrees.
        flip: whether to mirror half of the images, left to right.
        fill: value of pixels from outside the image: ``constant`` is 0, ``nearest`` repeats the
            border.
        seed: seed of the layer's own generator, which is used unless ``draws`` are given.
        **options: options of every Keras layer, such as name and dtype.

    """

    def __init__(
        self,
        *,
        rotation: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        flip: bool = False,
        fill: str = "constant",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.affine = Affine(rotation, shift, zoom, shear, flip, fill)  # type: ignore[arg-type]  # checked by Keras when it resamples
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, draws: Any = None, *, training: bool = False) -> Any:
        """Return the transformed images ``[n, height, width, channels]`` in the layer's dtype.

        Args:
            images: numbers ``[n, height, width, channels]``.
            draws: float ``[n, 6]``, uniform from -1 to 1; None draws them from the layer's seed.
            training: False returns the images unchanged.

        """
        if not training:
            return images
        height, width = images.shape[1:3]
        if draws is None:
            draws = keras.random.uniform(
                (ops.shape(images)[0], NUMBERS), -1.0, 1.0, seed=self.generator
            )
        return ops.image.affine_transform(
            ops.cast(images, self.compute_dtype),
            make_maps(self.affine, draws, (height, width)),
            interpolation="bilinear",
            fill_mode=self.affine.fill,
            fill_value=0,
            data_format="channels_last",
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return ``shape``: images keep their size."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return the configuration from which `from_config` makes the same layer."""
        return {**super().get_config(), **asdict(self.affine), "seed": self.seed}


def make_maps(affine: Affine, draws: Any, size: tuple[int, int]) -> Any:
    """Return maps from output to input pixels as a tensor, float32 ``[n, 8]``.

    They have the form of `keras.ops.image.affine_transform`: rows ``a0 a1 a2 b0 b1 b2 0 0`` with
    ``x_in = a0·x + a1·y + a2`` and ``y_in = b0·x + b1·y + b2``, about the centre of the image.

    Args:
        affine: limits of the maps.
        draws: float ``[n, 6]``, from -1 to 1.
        size: height and width of the images in pixels.

    """
    height, width = size
    draws = ops.cast(draws, "float32")
    angle = draws[:, 0] * float(np.radians(affine.rotation))
    slant = ops.tan(draws[:, 1] * float(np.radians(affine.shear)))
    scale = 1 / (1 + draws[:, 2] * affine.zoom)
    right, down = draws[:, 3] * affine.shift * width, draws[:, 4] * affine.shift * height
    mirror = ops.where(draws[:, 5] < 0, -1.0, 1.0) if affine.flip else 1.0
    cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
    # mirror · rotation · shear, already divided by the zoom
    a0, a1 = mirror * cos, mirror * (cos * slant - sin)
    b0, b1 = sin, sin * slant + cos
    x, y = (width - 1) / 2, (height - 1) / 2
    a2 = x - a0 * x - a1 * y - right
    b2 = y - b0 * x - b1 * y - down
    zero = ops.zeros_like(angle)
    return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)


def draw_numbers(count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw the random numbers of `RandomAffine` for ``count`` images, float32 ``[count, 6]``."""
    return rng.uniform(-1, 1, (count, NUMBERS)).astype(np.float32)


def augment(images: Images, affine: Affine, rng: np.random.Generator) -> Images:
    """Apply a random affine map to each of ``images``, uint8 ``[n, h, w, c]``; return uint8."""
    layer = RandomAffine(**asdict(affine))
    draws = draw_numbers(len(images), rng)
    moved = np.empty_like(images)

    def move(start: int) -> None:
        rows = slice(start, start + CHUNK)
        pixels = layer(images[rows].astype(np.float32), draws[rows], training=True)
        moved[rows] = np.rint(ops.convert_to_numpy(pixels)).clip(0, 255)

    # Two chunks at a time: resampling is a sequence of operations that use few cores each.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(move, range(0, len(images), CHUNK)))
    return moved
