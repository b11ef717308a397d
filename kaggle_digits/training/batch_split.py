"""Compute the splits of a batch in parallel, one core each.

Several threads speed up a small convolution little, but they can compute whole splits of a batch at
the same time. In training each split is normalised by its own mean and variance (ghost batch
normalisation, Hoffer et al., "Train longer, generalize better", 2017), so the number of splits is
a setting of the recipe's training, not of the machine.

Importing this module starts Keras, because it subclasses a Keras model: import it inside functions.
"""

from itertools import pairwise
from typing import Any

from kaggle_digits.backend import start_keras

keras = start_keras()
ops = keras.ops
Model: Any = keras.Model


# Its name in checkpoints of earlier versions, which must still open.
@keras.saving.register_keras_serializable(package="kaggle_digits", name="InParts")
class BatchSplit(Model):  # type: ignore[misc]  # Keras has no types of its own
    """Apply ``network`` to each split of the batch separately.

    Args:
        network: a built Keras model, which shares its weights with this one.
        splits: number of splits. A batch smaller than that cannot be trained on: an empty split has
            no batch statistics.
        **options: options of every Keras model, such as name and dtype.

    """

    def __init__(self, network: Any, splits: int, **options: Any) -> None:
        super().__init__(**options)
        self.network = network
        self.splits = splits
        self.built = True

    def call(self, images: Any, *, training: bool = False) -> Any:
        """Return the network's output ``[n, classes]`` for ``images`` ``[n, h, w, c]``."""
        asked = count = ops.shape(images)[0]
        if not training:
            # Pad with copies of the first image: backends fail when they pool an empty split.
            spare = -count % self.splits
            images = ops.concatenate([images, *[images[:1]] * (self.splits - 1)])[: count + spare]
            count = count + spare
        bounds = [count * index // self.splits for index in range(self.splits + 1)]
        answers = ops.concatenate(
            [self.network(images[start:end], training=training) for start, end in pairwise(bounds)]
        )
        return answers if training else answers[:asked]

    def get_config(self) -> dict[str, Any]:
        """Return the configuration from which `from_config` makes the model, without weights."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "parts": self.splits}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BatchSplit":
        """Return a model from the output of `get_config`."""
        options = dict(config)
        network = keras.saving.deserialize_keras_object(options.pop("network"))
        return cls(network, options.pop("parts"), **options)
