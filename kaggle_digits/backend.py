"""Start Keras reproducibly and without its log output.

Only this module and the TensorFlow formats of `exporting` use TensorFlow directly; all other code
uses Keras alone.
"""

import contextlib
import functools
import gc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from kaggle_digits.errors import InputError, KaggleDigitsError

BACKENDS = ("tensorflow", "jax", "torch")
INTRA_OP = "TF_NUM_INTRAOP_THREADS"
# Keras imports them if they are installed, for functions that no command uses.
OPTIONAL_FOR_KERAS = ("matplotlib", "pandas", "sklearn")
MIN_INTER_OP = 2  # threads: the next batch is cut while one is trained on


def backend_name() -> str:
    """Return the name of Keras's backend, without importing Keras.

    Raises:
        InputError: ``KERAS_BACKEND`` is not a supported backend.

    """
    name = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if name not in BACKENDS:
        raise InputError(f"KERAS_BACKEND is {name!r}: expected one of {', '.join(BACKENDS)}.")
    return name


def start_keras(splits: int = 1, threads: int | None = None) -> Any:
    """Import Keras and return it, on the backend of `backend_name`.

    The first call in a process overrides the float type, data format and epsilon that
    ``~/.keras/keras.json``, environment variables or the top of a recipe's file set, so that
    results depend on the recipe only.

    Args:
        splits: number of operations to run at the same time. Like ``threads`` it has an effect only
            with TensorFlow, and only before it has computed anything.
        threads: number of threads per operation; None for a share of the cores.

    Returns:
        The module ``keras``.

    Raises:
        InputError: the backend is not installed, or Keras cannot read its own settings.

    """
    name = backend_name()
    keras = import_keras()
    _set_defaults()
    # Also for other backends: Keras imports it later for its data pipeline, with log output.
    if importlib.util.find_spec("tensorflow"):
        with quiet_stderr():
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")  # hides warnings about retracing, one per fold
            if name == "tensorflow":
                _set_threads(tf, splits, threads)
            else:
                _leave_gpus(tf)
            tf.constant(0)  # makes TensorFlow search for devices, and log it, now
    return keras


def import_keras() -> Any:
    """Import Keras and return it, without computing anything and without overriding its settings.

    Raises:
        InputError: the backend is not installed, or Keras cannot read its own settings.

    """
    name = backend_name()
    if not importlib.util.find_spec(name):
        raise InputError(
            f"KERAS_BACKEND is {name!r}, which is not installed. Install it with "
            f"`pip install {name}`, or unset KERAS_BACKEND for tensorflow."
        )
    with quiet_stderr():
        return _import_keras()


def reserve_process() -> None:
    """Declare that this process runs only this program's commands, so that imports take less time.

    Keras is then imported without pandas, matplotlib and scikit-learn, which saves a third of the
    time, and scikit-learn for the folds without pandas; they take no DataFrames. Later imports of
    these packages are not affected. Objects that exist after the import of Keras are not searched
    for garbage: nearly all live as long as the process.
    """
    global _reserved  # noqa: PLW0603 — how this process imports Keras, as `sys.modules` is
    _reserved = True


_reserved = False


@contextlib.contextmanager
def hiding(*packages: str) -> Iterator[None]:
    """In a reserved process let imports of ``packages`` fail in the block, if not yet imported."""
    chosen = packages if _reserved else ()
    hidden: dict[str, Any] = {name: None for name in chosen if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _pausing_garbage_collection() -> Iterator[None]:
    """Collect no garbage in the block: an import makes much and discards little."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@functools.cache
def _import_keras() -> Any:
    try:
        with hiding(*OPTIONAL_FOR_KERAS), _pausing_garbage_collection():
            import keras
    except (ValueError, TypeError, AttributeError, AssertionError, PermissionError) as error:
        # Keras raises these for a wrong keras.json; a broken installation raises others.
        path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json")
        if not path.exists():
            raise
        raise InputError(
            f"Keras does not start with the settings in {path}: {error}. Remove that file; "
            "kaggle-digits does not need it."
        ) from error
    if _reserved:
        gc.freeze()
    return keras


@functools.cache  # once, because a network may change the precision later
def _set_defaults() -> None:
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def faster_precision(processor: Path = Path("/proc/cpuinfo")) -> Literal["float32", "bfloat16"]:
    """Return the precision in which this machine trains small convolutions faster.

    The answer is bfloat16 on processors with AMX tiles, and on AMD's with AVX-512 bfloat16, where
    it is 1.5 times as fast. On Intel's with AVX-512 bfloat16 but without tiles it took 1.6 times as
    long as float32. The answer depends on the processor's flags and not on a measurement, so that
    it is always the same on one machine. On other backends than TensorFlow it is float32.

    Args:
        processor: the file in which Linux describes the processor.

    """
    try:
        said = processor.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return "float32"
    flags = set(re.findall(r"\w+", said))
    fast = "amx_bf16" in flags or {"AuthenticAMD", "avx512_bf16"} <= flags
    return "bfloat16" if fast and backend_name() == "tensorflow" else "float32"


def _set_threads(tf: Any, splits: int, threads: int | None) -> None:
    if threads is None:
        if splits == 1 or INTRA_OP in os.environ:  # TensorFlow's own default, or the user's choice
            return
        threads = share_cores(splits)
    with contextlib.suppress(RuntimeError):  # raised if this process has already computed
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(max(MIN_INTER_OP, splits))


def share_cores(splits: int) -> int:
    """Return the number of threads per operation when ``splits`` operations share all cores."""
    return max(1, cores() // splits)


def can_compute_with(threads: int) -> bool:
    """Return whether this process computes with that number of threads per operation.

    The first computation of a process fixes the number. Where GPUs compute, and on backends other
    than TensorFlow, the answer is always yes: a second process would not change the arithmetic.
    """
    start_keras()
    if backend_name() != "tensorflow":
        return True
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return True
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    return threads == (chosen or int(os.environ.get(INTRA_OP) or 0) or cores())


def _leave_gpus(tf: Any) -> None:
    """Prevent TensorFlow from allocating the memory of GPUs that another backend uses."""
    with contextlib.suppress(RuntimeError):  # it computes already
        tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Buffer stderr, and print the buffer only if the block fails unexpectedly.

    TensorFlow's C++ code writes notices about CUDA and oneDNN directly to file descriptor 2, before
    any of its settings can prevent it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    _flush_stderr()
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except KaggleDigitsError:  # its message suffices
            raise
        except Exception:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            _flush_stderr()
            os.dup2(stderr, 2)
            os.close(stderr)


def _flush_stderr() -> None:
    if sys.stderr is not None:  # None in a program without a console
        sys.stderr.flush()


def steps_per_execution() -> int:
    """Return the number of batches trained per call from Python (Keras's ``steps_per_execution``).

    It is small enough that Ctrl-C takes effect quickly. It is 1 for PyTorch, which has no graphs.
    """
    return 1 if backend_name() == "torch" else 8


def batches_of(images: Any, targets: Any, batch_size: int) -> dict[str, Any]:
    """Return the arguments of `keras.Model.fit` that pass the arrays once, in order.

    For TensorFlow these are slices of two tensors in memory. Keras's default for arrays is slower:
    it gathers each image by its index, and on a single core the autotuning of its pipeline may take
    as long as the epoch itself.

    Args:
        images: ``[n, height, width, channels]``.
        targets: ``[n, classes]``.
        batch_size: images per step.

    """
    if backend_name() != "tensorflow":
        return {"x": images, "y": targets, "batch_size": batch_size}
    import tensorflow as tf

    x, y = tf.constant(images), tf.constant(targets)
    options = tf.data.Options()
    options.autotune.enabled = False
    starts = tf.data.Dataset.range(0, len(images), batch_size)
    batches = starts.map(
        lambda start: (x[start : start + batch_size], y[start : start + batch_size])
    )
    return {"x": batches.prefetch(2).with_options(options)}


def make_repeatable() -> None:
    """Make all further results depend only on the seed.

    This is not part of `start_keras`: it makes TensorFlow reject unseeded operations, which a user
    who only imports a layer may not want.
    """
    if importlib.util.find_spec("tensorflow"):
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def seed_everything(seed: int) -> None:
    """Seed the weight initialisers, and clear the graphs and names of earlier models."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
