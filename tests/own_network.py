"""A network of one's own, as a user would write it: residual, with a custom layer and a branch."""

TEXT = """
import keras
from keras import layers

from kaggle_digits.recipes import Affine, Recipe, Training


@keras.saving.register_keras_serializable()
class Residual(layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.first = layers.Conv2D(filters, 3, padding="same", activation="relu")
        self.second = layers.Conv2D(filters, 3, padding="same")
        self.drop = layers.Dropout(0.1)

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], self.filters))
        super().build(shape)

    def call(self, x):
        return keras.ops.relu(self.drop(x + self.second(self.first(x))))

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


def network():
    images = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", padding="same")(x)
    left = layers.MaxPooling2D()(Residual(8)(x))
    right = layers.Conv2D(8, 5, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.Concatenate()([left, right]))
    return keras.Model(images, layers.Dense(10, activation="softmax")(x))


RECIPE = Recipe(
    name="my-net",
    summary="residual, with a branch",
    network=network,
    training=Training(
        optimizer="adamw",
        learning_rate=5e-3,
        batch_size=32,
        epochs=2,
        augmentation=Affine(rotation=10, shift=0.1),
    ),
)
"""
