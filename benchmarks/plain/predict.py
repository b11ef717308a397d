"""An ensemble's CSV in plain Keras: each model loaded, ``model.predict`` with its default batch.

python benchmarks/plain/predict.py TEST_CSV MODEL.keras …
"""

import sys

import keras
import numpy as np
import pandas as pd

test = pd.read_csv(sys.argv[1])
images = test.to_numpy(np.uint8).reshape(-1, 28, 28, 1)
probabilities = [keras.models.load_model(path).predict(images, verbose=0) for path in sys.argv[2:]]
answers = np.mean(probabilities, axis=0).argmax(axis=1)
pd.DataFrame({"ImageId": np.arange(1, len(test) + 1), "Label": answers}).to_csv(
    "predicted.csv", index=False
)
