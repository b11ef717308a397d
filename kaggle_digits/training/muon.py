"""The optimizer Muon for networks of convolutions.

The update of a convolution's kernel is its momentum, made orthogonal: all directions in which the
kernel can change get steps of the same size (Jordan et al., "Muon: An optimizer for hidden layers
in neural networks", 2024). Steps are scaled as large as Adam's (Liu et al., "Muon is scalable for
LLM training", 2025), so learning rates are of the size of Adam's.

`keras.optimizers.Muon` treats two-dimensional weights only, and Keras 3.10 lacks it.

Importing this module starts Keras, because it subclasses a Keras optimizer: import it inside
functions.
"""

from typing import Any

from kaggle_digits.backend import start_keras

keras = start_keras()
ops = keras.ops
AdamW: Any = keras.optimizers.AdamW

# Steps of the Newton-Schulz iteration, in two parts. Within a part only matrices as small as the
# number of outputs are multiplied. In one part of five steps, small singular values would grow far
# above 1 on GPUs, which round products to TF32.
STEPS = (2, 3)
A, B, C = 3.4445, -4.7750, 2.0315  # Jordan et al. 2024: small singular values grow fastest
ADAM_RMS = 0.2  # root mean square of Adam's updates, in learning rates (Liu et al. 2025)
KERNEL_AXES = 4  # height, width, input channels, output channels


@keras.saving.register_keras_serializable(package="kaggle_digits")
class Muon(AdamW):  # type: ignore[misc]  # Keras has no types of its own
    """Update kernels of 2-D convolutions by Muon, all other weights by AdamW.

    Every weight with four axes counts as a kernel, with the outputs on its last axis. AdamW's
    second moment of a kernel is kept, but not used.

    Args:
        learning_rate: learning rate or schedule, of the size that AdamW needs.
        momentum: share of the momentum that is kept per step, 0-1; Nesterov momentum.
        **options: options of `keras.optimizers.AdamW`.

    """

    def __init__(self, learning_rate: Any = 0.001, momentum: float = 0.95, **options: Any) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum = momentum

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update ``variable`` by one step."""
        if len(variable.shape) != KERNEL_AXES:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = ops.cast(gradient, variable.dtype)
        momentum = self._momentums[self._get_variable_index(variable)]
        self.assign(momentum, self.momentum * momentum + gradient)
        outputs = variable.shape[-1]
        matrix = ops.reshape(self.momentum * momentum + gradient, (-1, outputs))
        size = ADAM_RMS * max(matrix.shape) ** 0.5
        update = ops.reshape(size * orthogonalize(matrix), variable.shape)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * update)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration from which `from_config` makes the optimizer."""
        return {**super().get_config(), "momentum": self.momentum}


def orthogonalize(matrix: Any) -> Any:
    """Move the singular values of ``matrix`` ``[m, n]``, float32, close to 1.

    They end between 0.7 and 1.2, or lower where they are less than a thousandth of the matrix's
    norm.
    """
    rows, columns = matrix.shape
    if rows < columns:
        return ops.transpose(orthogonalize(ops.transpose(matrix)))
    matrix = matrix / (ops.norm(matrix) + 1e-7)
    for steps in STEPS:
        gram = ops.matmul(ops.transpose(matrix), matrix)
        matrix = ops.matmul(matrix, multiply_steps(gram, steps))
    return matrix


def multiply_steps(gram: Any, steps: int) -> Any:
    """Return the product of the polynomials of ``steps`` steps, ``[n, n]``, from a Gram matrix.

    Each step multiplies the matrix by a polynomial of its Gram matrix, which so becomes
    ``factor @ gram @ factor``. All of these commute.
    """
    identity = ops.eye(gram.shape[0], dtype=gram.dtype)
    product = factor = A * identity + B * gram + C * ops.matmul(gram, gram)
    for _ in range(steps - 1):
        gram = ops.matmul(ops.matmul(gram, factor), factor)
        factor = A * identity + B * gram + C * ops.matmul(gram, gram)
        product = ops.matmul(product, factor)
    return product
