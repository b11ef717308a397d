"""The optimizer Muon: what it does to kernels, and what it leaves to AdamW."""

from dataclasses import replace

import numpy as np
import pytest

from kaggle_digits.backend import start_keras
from kaggle_digits.recipes import Training
from kaggle_digits.training.building import make_optimizer

RATE, MOMENTUM = 0.01, 0.95
TRAINING = Training(optimizer="muon", learning_rate=RATE, batch_size=8, epochs=1)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.fixture(scope="module")
def muon():
    start_keras()
    from kaggle_digits.training import muon

    return muon


def matrix(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(25, 48), (432, 96), (7, 7), (1, 5)])
def test_singular_values_come_close_to_1_and_directions_stay(muon, shape):
    given = matrix(*shape)
    found = np.asarray(muon.orthogonalize(given))
    left, sizes, right = np.linalg.svd(given, full_matrices=False)
    after = np.diag(left.T @ found @ right.T)
    np.testing.assert_allclose((left * after) @ right, found, atol=1e-4)
    well_conditioned = sizes > sizes[0] / 100
    assert (after[well_conditioned] > 0.65).all()
    assert (after < 1.25).all()


def test_orthogonalizes_like_keras(muon, keras):
    if not hasattr(keras.optimizers, "Muon"):
        pytest.skip("this Keras has no Muon")
    given = matrix(192, 864)
    theirs = keras.optimizers.Muon().zeropower_via_newtonschulz5(
        keras.ops.convert_to_tensor(given), sum(muon.STEPS)
    )
    np.testing.assert_allclose(muon.orthogonalize(given), theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(25, 16), (16, 25), (432, 96)])
@pytest.mark.parametrize("bits", [11, 8])
def test_products_rounded_as_on_a_gpu_do_not_grow(muon, shape, bits, monkeypatch):
    """TF32, which GPUs use for float32, has 11 significant bits; bfloat16 has 8."""

    def rounded(values):
        fraction, exponent = np.frexp(np.asarray(values))
        return np.ldexp(np.round(fraction * 2**bits) / 2**bits, exponent).astype(np.float32)

    monkeypatch.setattr(muon.ops, "matmul", lambda a, b: rounded(a) @ rounded(b))
    for seed in range(8):
        random = np.random.default_rng(seed)
        low_rank = random.normal(size=(shape[0], 2)) @ random.normal(size=(2, shape[1]))
        given = (low_rank + 0.01 * random.normal(size=shape)).astype(np.float32)
        sizes = np.linalg.svd(np.asarray(muon.orthogonalize(given)), compute_uv=False)
        assert sizes[0] < 1.4
        assert sizes[1] > 0.6


def test_a_gradient_of_zero_moves_no_kernel(muon):
    assert not np.asarray(muon.orthogonalize(np.zeros((3, 3), np.float32))).any()


def test_a_kernel_moves_by_the_orthogonal_momentum(muon, keras):
    kernel = keras.Variable(matrix(3, 3, 4, 6))
    first, second = matrix(3, 3, 4, 6), -matrix(3, 3, 6, 4).reshape(3, 3, 4, 6)
    optimizer = make_optimizer(TRAINING, steps_per_epoch=1)
    expected = matrix(3, 3, 4, 6)
    momentum = np.zeros_like(first)
    for gradient in (first, second):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
        momentum = MOMENTUM * momentum + gradient
        step = np.asarray(muon.orthogonalize((MOMENTUM * momentum + gradient).reshape(36, 6)))
        expected -= RATE * 0.2 * 36**0.5 * step.reshape(3, 3, 4, 6)
    np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_a_step_is_as_large_as_one_of_adam(keras):
    kernel = keras.Variable(np.zeros((3, 3, 64, 64), np.float32))
    optimizer = make_optimizer(TRAINING, steps_per_epoch=1)
    optimizer.apply([keras.ops.convert_to_tensor(1e-6 * matrix(3, 3, 64, 64))], [kernel])
    rms = np.sqrt(np.square(np.asarray(kernel)).mean())
    assert 0.1 * RATE < rms < 0.25 * RATE


@pytest.mark.parametrize("shape", [(5,), (12, 10), (3, 3, 1)])
def test_other_weights_move_like_those_of_adamw(keras, shape):
    weights = [keras.Variable(matrix(*shape)) for _ in range(2)]
    adamw = replace(TRAINING, optimizer="adamw", weight_decay=0.1)
    for training, weight in zip((replace(adamw, optimizer="muon"), adamw), weights, strict=True):
        optimizer = make_optimizer(training, steps_per_epoch=1)
        for step in range(1, 4):
            gradient = keras.ops.convert_to_tensor(step * matrix(*shape))
            optimizer.apply([gradient], [weight])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)


def test_weight_decay_is_off_unless_it_is_asked_for():
    assert make_optimizer(TRAINING, 1).weight_decay == 0


def test_its_configuration_makes_it_again(muon, keras):
    optimizer = muon.Muon(0.02, momentum=0.9, weight_decay=0.1)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, muon.Muon)
    assert again.get_config() == optimizer.get_config()
