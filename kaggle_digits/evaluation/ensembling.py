"""Many models' probabilities into one: mean, geometric mean, vote, hill climbing. NumPy alone."""

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
TIE_BREAK = 1e-6  # less than any vote is worth, more than the rounding of a mean


def blend(
    probabilities: Sequence[Floats] | Floats,
    method: str = "mean",
    weights: npt.ArrayLike | None = None,
) -> Probabilities:
    """Return float64 ``[n, c]``, rows with sum 1: what the k members say together.

    Args:
        probabilities: k members of float ``[n, c]``, about the same images in the same order.
        method: one of `METHODS`.
        weights: ``[k]``, 0 or more, brought to sum 1. ``hill-climb`` is the mean with the weights
            that `hill_climb` found on out-of-fold probabilities, and needs them.

    Raises:
        InputError: names the member that does not fit, or the setting that is unknown.

    """
    require_method(method)
    if weights is not None and method not in WEIGHTED:
        raise InputError(
            f"received weights for the method {method!r}. Expected none: they belong to "
            f"{' and '.join(WEIGHTED)}."
        )
    if weights is None and method == "hill-climb":
        raise InputError(
            "received no weights for the method 'hill-climb'. Expected those that hill_climb "
            "returns for the members' out-of-fold probabilities."
        )
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
    """Return the members' mean, float64 ``[n, c]``; ``weights`` ``[k]`` are brought to sum 1."""
    members = stacked(probabilities)
    shares = normalize_weights(np.ones(len(members)) if weights is None else weights, len(members))
    return normalize_rows(np.tensordot(shares, members, axes=1))


def geometric(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Return the members' geometric mean, float64 ``[n, c]``.

    Clipped at 1e-7 first, so that one member's zero does not overrule all others.
    """
    return normalize_rows(np.exp(np.log(np.clip(stacked(probabilities), CLIP, 1)).mean(axis=0)))


def vote(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Return the share of members that prefer each class, float64 ``[n, c]``.

    A millionth of the mean probability is mixed in: of classes with equally many votes the one
    with the higher mean wins, and it never outweighs a vote. Where the means are equal too, the
    smaller label wins.
    """
    members = stacked(probabilities)
    classes = np.arange(members.shape[2])
    votes = (members.argmax(axis=2)[..., np.newaxis] == classes).mean(axis=0)
    return normalize_rows((1 - TIE_BREAK) * votes + TIE_BREAK * members.mean(axis=0))


def hill_climb(
    probabilities: Sequence[Floats] | Floats, labels: Integers, rounds: int = 100
) -> npt.NDArray[np.float64]:
    """Return the weights ``[k]``, sum 1, of the mean with a low log loss.

    Ensemble selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of
    models"): start with the best member; again and again add the one, be it new or not, that
    gives the lowest log loss; of all sizes on the way keep the best. It does not stop where the
    loss rises once: a member that spoils the mean with half the weight may help with a tenth.

    Args:
        probabilities: k members of float ``[n, c]``. Out-of-fold ones: on images that a member was
            trained on, the most overfitted would win.
        labels: int ``[n]``.
        rounds: how many members, repetitions counted, to add.

    """
    members = stacked(probabilities)
    check_labels(labels, (members.shape[1], members.shape[2]))
    # The log loss of a mean depends on each member's probability of the true label alone.
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


def stacked(probabilities: Sequence[Floats] | Floats) -> Probabilities:
    """Return float64 ``[k, n, c]``; raise InputError that names the member that does not fit."""
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
    """Return ``weights`` with sum 1, or raise InputError unless there is one for each member."""
    array = np.asarray(weights, np.float64)
    good = array.shape == (members,) and np.isfinite(array).all() and (array >= 0).all()
    if not good or array.sum() == 0:
        raise InputError(
            f"received the weights {array.tolist()}. Expected {members}, one for each member, "
            "none below 0 and not all 0."
        )
    return np.asarray(array / array.sum())


def normalize_rows(rows: Probabilities) -> Probabilities:
    """Return ``rows`` (float64 ``[n, c]``) with sum 1 each."""
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
