"""Check the architecture of a Keras model from an untrusted file before Keras builds it.

Only known layers and operations are accepted, and the model's size is limited.
"""

import json
import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaggle_digits.backend import backend_name, start_keras
from kaggle_digits.errors import InputError

MAX_PARAMETERS = 100_000_000  # 400 MB in float32; the largest recipe has 4.2 million per model
MAX_VALUES = 1 << 20  # values per image between two layers
MAX_OBJECTS = 20_000  # objects of an architecture: layers, initializers and so on

# The layers of Keras 3.15 without those that run code or read files: Lambda, TFSMLayer, FlaxLayer,
# JaxLayer, TorchModuleWrapper, StringLookup, IntegerLookup, TextVectorization.
LAYERS = """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D Add AdditiveAttention AlphaDropout Attention AugMix
    AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization
    Bidirectional CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D Cropping1D Cropping2D Cropping3D CutMix Dense
    DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization
    LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MixUp
    MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN RandAugment
    RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue
    RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape
    Resizing ReversibleEmbedding SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax
    Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
    StackedRNNCells Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
MODELS = {"Functional", "Model", "Sequential"}
NAMES: dict[str, set[str]] = {
    "keras": MODELS | {"DTypePolicy"},
    "keras.models": MODELS,
    "keras.src.models.functional": MODELS,
    "keras.src.models.sequential": MODELS,
    "keras.dtype_policies": {"DTypePolicy", "FloatDTypePolicy"},
    "keras.layers": set(LAYERS.split()),
}
# All classes in these modules only compute with numbers, except operations that take functions.
NUMERIC_MODULES = {
    f"keras.{name}"
    for name in (
        "constraints", "initializers", "losses", "optimizers", "optimizers.schedules",
        "regularizers", "src.ops.core", "src.ops.einops", "src.ops.image", "src.ops.linalg",
        "src.ops.math", "src.ops.nn", "src.ops.numpy",
    )
}  # fmt: skip
# With PyTorch, `keras.optimizers` gives these classes, and checkpoints name them.
TORCH_OPTIMIZERS = {
    f"keras.src.backend.torch.optimizers.torch_{name}"
    for name in (
        "adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "nadam", "rmsprop", "sgd",
    )
}  # fmt: skip
TAKE_FUNCTIONS = {
    "AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop",
}  # fmt: skip
VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__"}


def require_openable(path: Path | str, architecture: Any) -> None:
    """Raise InputError unless a model of this architecture may be built.

    Args:
        path: its file, for messages.
        architecture: the parsed JSON.

    Raises:
        InputError: it has objects that may do more than compute, or exceeds the limits above.
        Exception: Keras cannot build it.

    """
    described = list(_iterate_objects(architecture))
    registered = list_registered()
    _require_known(path, described, registered)
    own = {str(entry.get("registered_name")) for entry in described} & registered
    # A class that this process registered is trusted, so its variables are not counted.
    if all(name.startswith("kaggle_digits>") for name in own):
        _require_small(path, start_keras(), architecture)


def _require_known(path: Path | str, described: list[dict[str, Any]], registered: set[str]) -> None:
    """Raise InputError if an architecture has unknown classes."""
    if len(described) > MAX_OBJECTS:
        raise InputError(
            f"{path} cannot be opened: it describes {len(described):,} objects. Expected at most "
            f"{MAX_OBJECTS:,}."
        )
    for entry in described:
        name, module = entry.get("class_name"), entry.get("module")
        if name in ("Lambda", "__lambda__"):
            raise InputError(
                f"{path} has a Lambda layer: Python code that would run here. Expected a model of "
                "Keras's own layers; replace the Lambda, or use a model from somebody you "
                "trust."
            )
        if not _is_known(entry, registered):
            called = f"{module}.{name}" if isinstance(module, str) else str(name)
            raise InputError(
                f"{path} cannot be opened: it holds {called[:100]}, which may do more than "
                "compute. Expected Keras's own layers for images and operations on them. If it is "
                "a custom layer of your own, use the run's folder, or export it as onnx."
            )
        for node in entry.get("inbound_nodes") or ():
            # Without an input Keras would compute immediately, with results of any size.
            if not any(
                two.get("class_name") == "__keras_tensor__" for two in _iterate_objects(node)
            ):
                raise InputError(
                    f"{path} cannot be opened: its {name} is called without an input. Expected "
                    "layers that are connected to the images."
                )


def list_registered() -> set[str]:
    """Return the names of classes that this process has registered; they are trusted."""
    keras = sys.modules.get("keras")
    return set(keras.saving.get_custom_objects()) if keras else set()


def _is_known(entry: dict[str, Any], registered: set[str]) -> bool:
    name, module = entry.get("class_name"), entry.get("module")
    custom = entry.get("registered_name")
    if isinstance(custom, str) and custom in registered:
        return True
    if not isinstance(name, str):
        return False
    if not isinstance(module, str):
        return name in VALUES
    if name == "function":  # a built-in activation, loss or similar, by its name
        return module == "builtins" and isinstance(entry.get("config"), str)
    numeric = NUMERIC_MODULES | (TORCH_OPTIMIZERS if backend_name() == "torch" else set())
    is_numeric = module in numeric and name[:1].isupper() and name not in TAKE_FUNCTIONS
    return custom in (None, name) and (is_numeric or name in NAMES.get(module, ()))


def _iterate_objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value that has a class name."""
    left = [value]
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            if "class_name" in inner or "inbound_nodes" in inner:
                yield inner
            left.extend(inner.values())
        elif isinstance(inner, list):
            left.extend(inner)


def _require_small(path: Path | str, keras: Any, architecture: Any) -> None:
    """Raise InputError unless it is a model within the limits of parameters and values.

    The model is built without memory for its variables. This happens in a separate thread, because
    Keras keeps state such as the names of layers per thread.
    """
    found: list[tuple[int, int]] = []
    failures: list[BaseException] = []

    def count() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = keras.saving.deserialize_keras_object(
                    json.loads(json.dumps(architecture | {"compile_config": None}))
                )
                found.append(_measure(path, keras, model))
        except BaseException as error:  # noqa: BLE001 — raised again below
            failures.append(error)

    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    [(parameters, values)] = found
    if parameters > MAX_PARAMETERS:
        raise InputError(
            f"{path} cannot be opened: its model has {parameters:,} parameters. Expected at most "
            f"{MAX_PARAMETERS:,}."
        )
    if values > MAX_VALUES:
        raise InputError(
            f"{path} cannot be opened: a layer of its model computes {values:,} values per image. "
            f"Expected at most {MAX_VALUES:,}."
        )


def _measure(path: Path | str, keras: Any, model: Any) -> tuple[int, int]:
    """Return the number of parameters, and of values between two layers, of a built model."""
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{path} does not describe a model but a {type(model).__name__}. Expected a Sequential "
            "or Functional model, as its to_json() returns it."
        )
    parameters = sum(math.prod(variable.shape) for variable in model.variables)
    return parameters, max(_values(model), default=0)


def _values(model: Any) -> Iterator[int]:
    """Yield the number of output values per image of each layer of a built model."""
    for operation in getattr(model, "operations", getattr(model, "layers", [])):
        yield from _values(operation)
        for node in operation._inbound_nodes:  # noqa: SLF001 — `output` only covers the first call
            for tensor in node.output_tensors:
                yield math.prod(size or 1 for size in tensor.shape[1:])
