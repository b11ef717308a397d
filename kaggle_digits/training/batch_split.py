"""A network that computes a batch in parts, side by side: one core each.

Small convolutions gain little from several threads an operation; whole parts of a batch do. In
training each part is normalised by its own mean and variance (ghost batch normalisation), so the
number of parts belongs to a recipe's training and not to the machine.

Starts Keras when it is imported, because a model is a class: import it inside functions.
"""

from itertools import pairwise
from typing import Any

from kaggle_digits.backend import start_keras

keras = start_keras()
ops = keras.ops
Model: Any = keras.Model


@keras.saving.register_keras_serializable(package="kaggle_digits")
class InParts(Model):  # type: ignore[misc]  # Keras has no types of its own
    """Gives what ``network`` gives, having computed each part of the batch by itself.

    Args:
        network: a built Keras model; its weights are this model's.
        parts: how many. A batch of fewer images than parts is none for training: an empty part has
            no mean.
        **options: of every Keras model: name, dtype.

    """

    def __init__(self, network: Any, parts: int, **options: Any) -> None:
        super().__init__(**options)
        self.network = network
        self.parts = parts
        self.built = True

    def call(self, images: Any, *, training: bool = False) -> Any:
        """Return the network's answers ``[n, classes]`` for ``images`` ``[n, h, w, c]``."""
        asked = count = ops.shape(images)[0]
        if not training:
            # Copies of the first, so that no part is empty: backends fail at pooling nothing.
            spare = -count % self.parts
            images = ops.concatenate([images, *[images[:1]] * (self.parts - 1)])[: count + spare]
            count = count + spare
        bounds = [count * part // self.parts for part in range(self.parts + 1)]
        answers = ops.concatenate(
            [self.network(images[start:end], training=training) for start, end in pairwise(bounds)]
        )
        return answers if training else answers[:asked]

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model, without its weights."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "parts": self.parts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InParts":
        """Return the model of ``config``, as of `get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
