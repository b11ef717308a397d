"""The source document's script in plain Keras, with the network of `bn20-original`.

    python benchmarks/plain/document.py INPUT EPOCHS

Reads with pandas, trains on float arrays with ``validation_split=0.2``, saves the model, writes the
CSV. Prints one JSON line: seconds of every epoch.
"""

import json
import sys
import time

import keras
import numpy as np
import pandas as pd
from keras import layers


def convolution(filters: int, size: int) -> list[keras.Layer]:
    """Return one block of the document."""
    return [
        layers.Conv2D(filters, size),
        layers.Activation("relu"),
        layers.BatchNormalization(axis=1, epsilon=1e-6),
        layers.MaxPooling2D(2),
    ]


folder, epochs = sys.argv[1], int(sys.argv[2])
train, test = pd.read_csv(f"{folder}/train.csv"), pd.read_csv(f"{folder}/test.csv")
train = train.sample(frac=1, random_state=0)
images = train.drop(columns="label").to_numpy("float32").reshape(-1, 28, 28, 1) / 255
labels = keras.utils.to_categorical(train["label"].to_numpy(), 10)
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
times = []
clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
times.append(time.perf_counter())
model.fit(
    images,
    labels,
    batch_size=64,
    epochs=epochs,
    validation_split=0.2,
    callbacks=[clock],
    verbose=0,
)
model.save("document.keras")
answers = model.predict(test.to_numpy("float32").reshape(-1, 28, 28, 1) / 255, verbose=0).argmax(
    axis=1
)
pd.DataFrame({"ImageId": np.arange(1, len(test) + 1), "Label": answers}).to_csv(
    "document.csv", index=False
)
print(json.dumps({"epochs": np.diff(times).tolist()}))
