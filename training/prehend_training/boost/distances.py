"""Similarity-aware distribution sampling (HandBooster, section 3.3): which grasps are unlike each other, and unlike
those there are images of."""

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.geometry.rotations import quaternion_from_matrix

Array = NDArray[np.floating]

HAND_NUMBERS = 15 * 4
"""First numbers of a pose vector: those of the hand alone."""


def pose_vectors(rotations: Array, T_hand_object: Array | None = None) -> NDArray[np.float64]:
    """Eq. (4): quaternions of the fingers, and of the object its quaternion and place in the hand's frame [m].

    The hand's own orientation is left out, and of the two quaternions of a rotation the one with w >= 0 is taken.

    Args:
        rotations: (N, 16, 3, 3) of right hands.
        T_hand_object: (N, 4, 4), None where no objects are known.

    Returns:
        (N, 60), or (N, 67) with objects.
    """
    hands = np.asarray(quaternion_from_matrix(rotations[:, 1:]), np.float64).reshape(len(rotations), HAND_NUMBERS)
    if T_hand_object is None:
        return hands
    return np.concatenate([hands, quaternion_from_matrix(T_hand_object[:, :3, :3]), T_hand_object[:, :3, 3]], 1)


def cosine_distances(first: Array, second: Array) -> NDArray[np.float64]:
    """(N, M) 1 minus the cosine similarity of vectors (N, D) and (M, D).

    Eq. (5) calls the similarity itself a distance; farthest points need what grows as poses part. Where one side knows
    no objects only the hands are compared.
    """
    shared = min(first.shape[1], second.shape[1])
    one, other = (
        part[:, :shared] / np.maximum(np.linalg.norm(part[:, :shared], axis=1, keepdims=True), 1e-12)
        for part in (np.asarray(first, np.float64), np.asarray(second, np.float64))
    )
    return 1 - np.clip(one @ other.T, -1, 1)


def farthest_poses(vectors: Array, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Algorithm 1: numbers of `count` vectors of (N, D), each the farthest from those before; the first by chance.

    All of them, in that order, where there are no more than `count`.

    Raises:
        InvalidInput: there are no vectors, or none is wanted.
    """
    if len(vectors) == 0 or count < 1:
        raise InvalidInput(f"{count} of {len(vectors)} poses: one at least is needed")
    chosen = [int(rng.integers(len(vectors)))]
    nearest = cosine_distances(vectors, vectors[chosen])[:, 0]
    while len(chosen) < min(count, len(vectors)):
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, cosine_distances(vectors, vectors[chosen[-1:]])[:, 0])
    return np.array(chosen)


def novelty(synthetic: Array, real: Array) -> NDArray[np.float64]:
    """Eq. (6): (N,) probabilities of synthetic poses (N, D), larger the less they are like the real ones (M, D).

    Sums of distances, stretched to 0 to 1; where all are alike, or nothing real is known, each has the same.
    """
    if len(real) == 0:
        return np.full(len(synthetic), 1 / len(synthetic))
    away = cosine_distances(synthetic, real).sum(1)
    spread = float(np.ptp(away))
    weights = (away - away.min()) / spread if spread > 1e-12 else np.ones(len(away))
    return np.asarray(weights / weights.sum())


def spread_of(vectors: Array) -> float:
    """Mean distance of each of (N, D) vectors to the nearest other one: how little a set repeats itself."""
    distances = cosine_distances(vectors, vectors)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(1).mean())
