import time

import numpy as np
import pytest

from kaggle_digits.datasets.near_copies import OTHERS, SOME, count_near
from tests.helpers import images

DIGITS = (28, 28, 1)
NOISE = np.where(np.arange(784).reshape(DIGITS) % 2, 3, -3)  # 3 in the mean square


def count_by_brute_force(some, others, distance) -> int:
    limit = distance**2 * some[0].size
    theirs = others.astype(np.int64)
    return sum(bool((((theirs - one) ** 2).sum(axis=(1, 2, 3)) <= limit).any()) for one in some)


def moved(image, squared: int):
    """Return ``image`` moved by exactly that squared distance."""
    pixels = image.astype(np.int64).ravel()
    for at in range(pixels.size):
        step = min(int(squared**0.5), int(max(pixels[at], 255 - pixels[at])))
        pixels[at] += step if pixels[at] + step <= 255 else -step
        squared -= step**2
    assert squared == 0
    return pixels.astype(np.uint8).reshape(image.shape)


@pytest.mark.parametrize("shape", [DIGITS, (32, 32, 3), (5, 7, 2), (3, 3, 1)])
@pytest.mark.parametrize("distance", [4, 30, 74])
def test_the_count_is_that_of_comparing_every_pair(shape, distance):
    random = np.random.default_rng(0)
    others = random.integers(0, 256, (40, *shape), np.uint8)
    noise = random.normal(0, distance, (60, *shape)) * random.uniform(0.5, 1.5, (60, 1, 1, 1))
    some = (others[random.integers(0, 40, 60)] + noise).clip(0, 255).astype(np.uint8)
    count = count_near(some, others, distance)
    assert count == count_by_brute_force(some, others, distance)
    assert 0 < count < 60


@pytest.mark.parametrize("shape", [DIGITS, (32, 32, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_the_limit_itself_is_near_and_a_grey_level_more_is_not(shape, seed):
    # Extreme pixels make the largest products, which round first.
    others = np.random.default_rng(seed).choice([0, 255], (20, *shape)).astype(np.uint8)
    limit = 4**2 * others[0].size
    on = np.stack([moved(image, limit) for image in others])
    above = np.stack([moved(image, limit + 1) for image in others])
    assert count_near(on, others) == 20
    assert count_near(above, others) == 0


def test_near_images_are_found_wherever_they_are():
    others = images(OTHERS + 200).reshape(-1, *DIGITS)
    some = images(SOME + 200, seed=1).reshape(-1, *DIGITS)
    assert count_near(some, others) == 0
    for at, other in ((0, 0), (SOME - 1, OTHERS - 1), (SOME, OTHERS), (SOME + 199, OTHERS + 199)):
        some[at] = (others[other] + NOISE).clip(0, 255)
    assert count_near(some, others) == 4


def test_equal_images_count_each():
    others = images(20).reshape(-1, *DIGITS)
    noisy = (others[7] + NOISE).clip(0, 255).astype(np.uint8)
    some = np.stack([others[3], noisy, others[3], noisy, noisy, 255 - others[0]])
    assert count_near(some, others) == 5
    assert count_near(others, others) == 20
    assert count_near(255 - others, others) == 0


def test_images_of_different_shapes_are_never_near():
    blank = np.zeros((3, 4, 6, 1), np.uint8)
    assert count_near(blank, blank.reshape(3, 6, 4, 1)) == 0


def blank(count, _random):
    return np.zeros((count, *DIGITS), np.uint8)


def nearly_blank(count, random):
    return random.integers(0, 3, (count, *DIGITS), np.uint8)


def gradients(count, random):
    down, right = np.indices((28, 28)) - 13.5
    slopes = random.uniform(-4, 4, (3, count, 1, 1))
    return (128 + slopes[0] * down + slopes[1] * right)[..., np.newaxis].astype(np.uint8)


def equal_blocks(count, random):
    """Images far from each other whose blocks have equal means: the projections tell nothing."""
    signs = random.choice([-10, 10], (count, 7, 1, 7, 1, 1))
    checks = (
        signs * np.where(np.indices((4, 4)).sum(axis=0) % 2, 1, -1)[:, np.newaxis, :, np.newaxis]
    )
    return (128 + checks).reshape(count, *DIGITS).astype(np.uint8)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [(blank, 3000), (nearly_blank, 3000), (gradients, 3000), (equal_blocks, 0)],
)
def test_no_data_takes_long(draw, expected):
    random = np.random.default_rng(0)
    some, others = draw(3000, random), draw(5000, random)
    started = time.process_time()
    assert count_near(some, others) == expected
    # Each pair by itself took 10 µs and more: minutes.
    assert time.process_time() - started < 10
