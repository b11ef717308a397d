"""Blend the probabilities of models: mean, geometric mean, vote, hill climbing.

NumPy alone, but for the search of a temperature.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kaggle_digits.errors import InputError
from kaggle_digits.evaluation.metrics import (
    CLIP,
    Floats,
    Integers,
    check_labels,
    check_probabilities,
)

Probabilities = npt.NDArray[np.float64]

METHODS = ("mean", "geometric", "vote", "hill-climb")
WEIGHTED = ("mean", "hill-climb")
TEMPERATURES = (0.02, 50.0)  # limits of the search
TIE_BREAK = 1e-6  # smaller than the weight of a vote, larger than the rounding error of a mean


def blend(
    probabilities: Sequence[Floats] | Floats,
    method: str = "mean",
    weights: npt.ArrayLike | None = None,
    temperatures: npt.ArrayLike | None = None,
) -> Probabilities:
    """Blend the probabilities of k members.

    Args:
        probabilities: k members of float ``[n, c]``, for the same images in the same order.
        method: one of `METHODS`.
        weights: ``[k]``, 0 or more, normalised to sum 1. ``hill-climb`` requires the weights that
            `hill_climb` found on out-of-fold probabilities, and computes their weighted mean.
        temperatures: ``[k]``, with which `calibrate` changes the members first; None changes
            nothing.

    Returns:
        float64 ``[n, c]``; each row sums to 1.

    Raises:
        InputError: a member has another shape or no probabilities, or the method is unknown.

    """
    require_method(method)
    if weights is not None and method not in WEIGHTED:
        raise InputError(
            f"received weights for the method {method!r}. Only {' and '.join(WEIGHTED)} use "
            "weights."
        )
    if weights is None and method == "hill-climb":
        raise InputError(
            "received no weights for the method 'hill-climb'. Expected those that hill_climb "
            "returns for the members' out-of-fold probabilities."
        )
    if temperatures is not None:
        probabilities = calibrate(probabilities, temperatures)
    if method == "geometric":
        return geometric(probabilities)
    if method == "vote":
        return vote(probabilities)
    return mean(probabilities, weights)


def require_method(method: str) -> None:
    """Raise InputError unless ``method`` is one of `METHODS`."""
    if method not in METHODS:
        raise InputError(f"received the method {method!r}. Expected one of {', '.join(METHODS)}.")


def mean(
    probabilities: Sequence[Floats] | Floats, weights: npt.ArrayLike | None = None
) -> Probabilities:
    """Return the weighted mean, float64 ``[n, c]``; ``weights`` ``[k]`` are normalised to sum 1."""
    members = stacked(probabilities)
    shares = normalize_weights(np.ones(len(members)) if weights is None else weights, len(members))
    return normalize_rows(np.tensordot(shares, members, axes=1))


def geometric(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Return the members' geometric mean, float64 ``[n, c]``.

    Probabilities are clipped at 1e-7, so that a zero of one member does not overrule all others.
    """
    return normalize_rows(np.exp(np.log(np.clip(stacked(probabilities), CLIP, 1)).mean(axis=0)))


def vote(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Return the share of members that vote for each class, float64 ``[n, c]``.

    A millionth of the mean probability is added, which breaks ties and never outweighs a vote. If
    the means are equal too, the smaller label wins.
    """
    members = stacked(probabilities)
    classes = np.arange(members.shape[2])
    votes = (members.argmax(axis=2)[..., np.newaxis] == classes).mean(axis=0)
    return normalize_rows((1 - TIE_BREAK) * votes + TIE_BREAK * members.mean(axis=0))


def hill_climb(
    probabilities: Sequence[Floats] | Floats, labels: Integers, rounds: int = 100
) -> npt.NDArray[np.float64]:
    """Find weights of the members' mean that give a low log loss.

    This is ensemble selection with replacement (Caruana et al., "Ensemble selection from libraries
    of models", 2004). Start with the best member. In every round add the member, new or not, that
    gives the lowest log loss. Keep the best ensemble of all rounds. The search continues when the
    loss rises: a member that hurts with half of the weight may help with a tenth.

    Args:
        probabilities: k members of float ``[n, c]``. They must be out-of-fold: on its training
            images, the most overfitted member would win.
        labels: int ``[n]``.
        rounds: number of rounds.

    Returns:
        float64 ``[k]``; the weights sum to 1.

    """
    members = stacked(probabilities)
    check_labels(labels, (members.shape[1], members.shape[2]))
    # The log loss of a mean depends only on each member's probability of the true label.
    own = members[:, np.arange(len(labels)), labels]
    counts, total = np.zeros(len(members)), np.zeros(len(labels))
    lowest, kept = np.inf, counts
    for size in range(1, rounds + 1):
        losses = -np.log(np.clip((total + own) / size, CLIP, 1)).mean(axis=1)
        chosen = int(losses.argmin())
        total += own[chosen]
        counts[chosen] += 1
        if losses[chosen] < lowest:
            lowest, kept = losses[chosen], counts.copy()
    return normalize_weights(kept, len(members))


def find_temperatures(
    probabilities: Sequence[Floats] | Floats, labels: Integers
) -> npt.NDArray[np.float64]:
    """Find the temperature of each member that gives it the lowest log loss.

    This is temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017). A
    member that was trained with label smoothing is too unsure: its temperature is below 1.

    Args:
        probabilities: k members of float ``[n, c]``, out-of-fold.
        labels: int ``[n]``.

    Returns:
        float64 ``[k]``, above 0; 1 for a member without errors.

    """
    from scipy.optimize import minimize_scalar

    members = stacked(probabilities)
    check_labels(labels, (members.shape[1], members.shape[2]))
    rows = np.arange(len(labels))

    def loss(logarithm: float, logits: Probabilities) -> float:
        scaled = logits / np.exp(logarithm)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]).mean())

    bounds = np.log(TEMPERATURES)
    found = []
    for logits in _to_logits(members):
        if (logits.argmax(axis=1) == labels).all():
            found.append(0.0)  # without errors, the log loss falls with the temperature down to 0
            continue
        found.append(minimize_scalar(loss, bounds=bounds, args=(logits,), method="bounded").x)
    return np.exp(found)


def calibrate(
    probabilities: Sequence[Floats] | Floats, temperatures: npt.ArrayLike
) -> Probabilities:
    """Apply a temperature to each member: below 1 it becomes surer, above 1 less sure.

    Args:
        probabilities: k members of float ``[n, c]``.
        temperatures: ``[k]``, above 0.

    Returns:
        float64 ``[k, n, c]``; each row sums to 1. The order of a row's classes stays the same.

    """
    logits = _to_logits(stacked(probabilities))
    scaled = np.exp(logits / np.asarray(temperatures, np.float64)[:, np.newaxis, np.newaxis])
    return np.asarray(scaled / scaled.sum(axis=2, keepdims=True))


def _to_logits(members: Probabilities) -> Probabilities:
    """Return logits, float64 ``[k, n, c]``, of which each row's largest is 0."""
    logits = np.log(np.clip(members, CLIP, 1))
    return np.asarray(logits - logits.max(axis=2, keepdims=True))


def stacked(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Stack the members as float64 ``[k, n, c]``; raise InputError if one has another shape."""
    if not len(probabilities):
        raise InputError("received no members to blend. Expected the probabilities of one or more.")
    first = probabilities[0]
    for number, member in enumerate(probabilities, start=1):
        check_probabilities(member, name=f"probabilities of member {number}")
        if member.shape != first.shape:
            raise InputError(
                f"received probabilities of shape {member.shape} from member {number} and "
                f"{first.shape} from member 1. Expected the same images and classes from all."
            )
    return np.stack([np.asarray(member, np.float64) for member in probabilities])


def normalize_weights(weights: npt.ArrayLike, members: int) -> npt.NDArray[np.float64]:
    """Normalise ``weights`` to sum 1; raise InputError unless there is one for each member."""
    array = np.asarray(weights, np.float64)
    good = array.shape == (members,) and np.isfinite(array).all() and (array >= 0).all()
    if not good or array.sum() == 0:
        raise InputError(
            f"received the weights {array.tolist()}. Expected {members}, one for each member, "
            "none below 0 and not all 0."
        )
    return np.asarray(array / array.sum())


def normalize_rows(rows: Probabilities) -> Probabilities:
    """Normalise each of ``rows`` (float64 ``[n, c]``) to sum 1."""
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
