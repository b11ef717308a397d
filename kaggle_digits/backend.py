"""Starting Keras: quietly, and so that the same seed gives the same numbers.

Knows about TensorFlow, as do the formats of `exporting` that are its own; all else is written in
Keras alone.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from kaggle_digits.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch")


def backend_name() -> str:
    """Return the backend that Keras will run on, without importing it.

    Raises:
        InputError: ``KERAS_BACKEND`` names none that can train.

    """
    name = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if name not in BACKENDS:
        raise InputError(f"KERAS_BACKEND is {name!r}: expected one of {', '.join(BACKENDS)}.")
    return name


def start_keras() -> Any:
    """Import Keras and return it, on the backend of `backend_name`.

    Raises:
        InputError: the backend is not installed.

    """
    name = backend_name()
    if importlib.util.find_spec(name) is None:
        raise InputError(
            f"KERAS_BACKEND is {name!r}, which is not installed here. Install it with "
            f"`pip install {name}`, or unset KERAS_BACKEND for tensorflow."
        )
    with quiet_stderr():
        import keras

        # On the other backends, too: Keras would import it later for its data pipeline, loudly.
        if importlib.util.find_spec("tensorflow"):
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")  # its warnings about retracing, one a fold
            tf.constant(0)  # makes TensorFlow look for devices, and talk about it, now
    return keras


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep back what libraries print to stderr, and print it only if the block fails.

    TensorFlow's C++ writes notices about CUDA and oneDNN straight to file descriptor 2, before any
    setting of its own can stop it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def steps_per_execution() -> int:
    """Return how many batches are trained between two returns to Python.

    Few enough for Ctrl-C to be felt. PyTorch has no graph to put several into: Keras refuses it.
    """
    return 1 if backend_name() == "torch" else 8


def make_repeatable() -> None:
    """Let the same seed give the same numbers from here on.

    Not where Keras is started: whoever only borrows a layer may want to go without seeds, which
    TensorFlow then refuses.
    """
    if importlib.util.find_spec("tensorflow"):
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def seed_everything(seed: int) -> None:
    """Seed what initialises weights, and forget the graphs and names of earlier models."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
