"""The layers and optimizer of `bn20` in plain Keras: ``fit`` on float arrays.

    python benchmarks/plain/fit.py IMAGES EPOCHS

Trains on that many random images. Prints one JSON line: images per second in the last epoch.
"""

import json
import sys
import time

import keras
import numpy as np
from keras import layers


def convolution(filters: int, size: int) -> list[keras.Layer]:
    """Return one block, in the document's order."""
    return [
        layers.Conv2D(filters, size),
        layers.Activation("relu"),
        layers.BatchNormalization(momentum=0.9, epsilon=1e-6),
        layers.MaxPooling2D(2),
    ]


count, epochs = int(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)
images = random.random((count, 28, 28, 1), dtype=np.float32)
labels = keras.utils.to_categorical(random.integers(0, 10, count), 10)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        *convolution(32, 3),
        layers.ZeroPadding2D(1),
        *convolution(48, 3),
        layers.ZeroPadding2D(1),
        *convolution(64, 2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(3168, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
times = [time.perf_counter()]
clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
model.fit(images, labels, batch_size=256, epochs=epochs, callbacks=[clock], verbose=0)
print(json.dumps({"images_per_second": count / (times[-1] - times[-2])}))
