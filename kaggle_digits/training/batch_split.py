"""Compute a batch in several splits side by side, one core each.

A small convolution gains little from several threads; whole splits of a batch do. In training each
split is normalised by its own mean and variance (ghost batch normalisation, Hoffer et al., "Train
longer, generalize better", 2017), so the number of splits belongs to a recipe's training and not to
the machine.

Starts Keras when it is imported, because a model is a class: import it inside functions.
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
    """A model that computes what ``network`` computes, each split of the batch by itself.

    Args:
        network: a built Keras model; its weights are this model's.
        splits: number of splits. A batch smaller than that cannot be trained on: an empty split has
            no batch statistics.
        **options: of every Keras model: name, dtype.

    """

    def __init__(self, network: Any, splits: int, **options: Any) -> None:
        super().__init__(**options)
        self.network = network
        self.splits = splits
        self.built = True

    def call(self, images: Any, *, training: bool = False) -> Any:
        """Return the network's answers ``[n, classes]`` for ``images`` ``[n, h, w, c]``."""
        asked = count = ops.shape(images)[0]
        if not training:
            # Copies of the first, so that no split is empty: backends fail at pooling nothing.
            spare = -count % self.splits
            images = ops.concatenate([images, *[images[:1]] * (self.splits - 1)])[: count + spare]
            count = count + spare
        bounds = [count * index // self.splits for index in range(self.splits + 1)]
        answers = ops.concatenate(
            [self.network(images[start:end], training=training) for start, end in pairwise(bounds)]
        )
        return answers if training else answers[:asked]

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model, without its weights."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "parts": self.splits}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BatchSplit":
        """Return the model of ``config``, as of `get_config`."""
        options = dict(config)
        network = keras.saving.deserialize_keras_object(options.pop("network"))
        return cls(network, options.pop("parts"), **options)
