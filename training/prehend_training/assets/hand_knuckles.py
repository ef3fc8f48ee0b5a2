"""Skinning of knuckles: the rig of the body bends its fingers at the webs, people bend them in the palm."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from prehend_training.assets.hand_shapes import RestHand, chain_joints

Array = NDArray[np.float64]

_FINGERS = (0, 1, 2, 3)
_HALF_WIDTH_M = 0.0125  # of the skin along a finger that shares a knuckle's turn
_PALM_OFFSET_M = 0.005  # the palm folds a little beyond the knuckle
_PALM_DEPTH_M = 0.015
_OWN = 1.5  # how strongly skin of the palm belongs to the nearest finger


def knuckle_weights(hand: RestHand, quads: NDArray[np.int64], weights: Array) -> Array:
    """Skinning weights for the knuckles of `with_knuckles_back`.

    Only what a vertex shares between the wrist and the first bones of the four fingers is dealt out anew: between the
    fingers as the skin beyond the webs has it, carried on smoothly into the palm; between finger and wrist by the place
    along the finger.

    Args:
        hand: with its knuckles set back.
        quads: (Q, 4) faces of the skin.
        weights: (V, 17) of the body's rig.

    Returns:
        (V, 17).
    """
    firsts = np.array([chain_joints(chain)[0] for chain in _FINGERS])
    belongs = _membership(hand.vertices, quads, weights)
    moves = np.zeros(len(weights))
    for chain, first in enumerate(firsts):
        bone = hand.joints[first + 1] - hand.joints[first]
        bone /= np.linalg.norm(bone)
        local = hand.vertices - hand.joints[first]
        palmar = np.clip(-local[:, 1] / _PALM_DEPTH_M, 0, 1)
        share = np.clip(0.5 + (local @ bone - _PALM_OFFSET_M * palmar) / (2 * _HALF_WIDTH_M), 0, 1)
        moves += belongs[:, chain] * share**2 * (3 - 2 * share)
    mass = weights[:, [0, *firsts]].sum(1)
    result = weights.copy()
    result[:, firsts] = (mass * moves)[:, None] * belongs
    result[:, 0] = mass * (1 - moves)
    return result


def _membership(vertices: Array, quads: NDArray[np.int64], weights: Array) -> Array:
    """(V, 4) to which finger skin belongs: as weighted beyond the webs, a smooth (harmonic) continuation before."""
    shares = np.stack([weights[:, list(chain_joints(chain))].sum(1) for chain in _FINGERS], 1)
    known = shares.sum(1) > 0.5
    start, end = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)]).T
    near = 1 / np.linalg.norm(vertices[start] - vertices[end], axis=1)
    count = len(vertices)
    pull = coo_matrix((near, (start, end)), (count, count)).tocsr()
    pull = pull + pull.T
    flow = (diags(np.asarray(pull.sum(1)).ravel()) - pull).tocsc()
    result = np.where(known[:, None], shares, 0.0)
    result[known] /= result[known].sum(1, keepdims=True)
    free = ~known
    result[free] = spsolve(flow[free][:, free], -flow[free][:, known] @ result[known])
    result[free] = np.clip(result[free], 1e-9, None) ** _OWN
    return result / result.sum(1, keepdims=True)
