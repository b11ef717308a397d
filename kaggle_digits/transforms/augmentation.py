"""Random affine maps as a Keras layer: one resampling of a whole batch at once.

Training draws its numbers with NumPy from a generator that it seeds, and hands them to the layer:
the same generator gives the same pictures on every backend (to the rounding of a grey level), and
an epoch's pictures can be made again after a crash. The layer stands beside the network, never in
it: nothing of it is part of a saved model.

The one module that starts Keras when it is imported, because a layer is a class: import it inside
functions.
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
    """Moves every image of a batch by an affine map of its own; does nothing outside of training.

    Rotation, shear, zoom, flip and shift make one map about the image's centre, and the image is
    resampled once, bilinearly.

    Example:
        >>> layer = RandomAffine(rotation=10, shift=0.1, zoom=0.1, seed=0)
        >>> moved = layer(images, training=True)  # float32 [n, height, width, channels]

    Args:
        rotation: largest angle, degrees.
        shift: largest shift, as a share of the height and of the width.
        zoom: 0.1 scales by 0.9 … 1.1, both axes together.
        shear: largest slant, degrees.
        flip: whether one half of the images is mirrored, left to right.
        fill: ``constant`` takes 0 for what comes in from outside, ``nearest`` repeats the border.
        seed: of the layer's own generator, for those who do not hand in ``draws``.
        **options: of every Keras layer: name, dtype.

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
        """Return the moved images ``[n, height, width, channels]``, of the layer's float dtype.

        Args:
            images: numbers ``[n, height, width, channels]``.
            draws: float ``[n, 6]``, uniform from -1 to 1; None draws them from the layer's seed.
            training: False returns the images as they are.

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
        """Return what `from_config` needs to make the same layer."""
        return {**super().get_config(), **asdict(self.affine), "seed": self.seed}


def make_maps(affine: Affine, draws: Any, size: tuple[int, int]) -> Any:
    """Return maps from output to input pixels, float32 ``[n, 8]``, a tensor of the backend.

    The form is that of `keras.ops.image.affine_transform`: rows ``a0 a1 a2 b0 b1 b2 0 0`` with
    ``x_in = a0·x + a1·y + a2`` and ``y_in = b0·x + b1·y + b2``, about the centre of the image.

    Args:
        affine: how far at most.
        draws: float ``[n, 6]``, from -1 to 1.
        size: height and width of the images.

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
    """Return what `RandomAffine` needs for ``count`` images, float32 ``[count, 6]``."""
    return rng.uniform(-1, 1, (count, NUMBERS)).astype(np.float32)


def augment(images: Images, affine: Affine, rng: np.random.Generator) -> Images:
    """Return ``images`` (uint8 ``[n, h, w, c]``), each moved by a map of its own, as uint8."""
    layer = RandomAffine(**asdict(affine))
    draws = draw_numbers(len(images), rng)
    moved = np.empty_like(images)

    def move(start: int) -> None:
        rows = slice(start, start + CHUNK)
        pixels = layer(images[rows].astype(np.float32), draws[rows], training=True)
        moved[rows] = np.rint(ops.convert_to_numpy(pixels)).clip(0, 255)

    # Two at a time: a resampling is one operation after another, each on few cores.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(move, range(0, len(images), CHUNK)))
    return moved
