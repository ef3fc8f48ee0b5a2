"""Moving a mesh towards what is known of it: Gauss-Newton over small motions of its bones.

HHMR adds the gradient of the squared error to every vertex (section 4.3). That tears a mesh: a joint hangs on a few
vertices, and only those would move. Here the same error moves the sixteen bones, each by a small turn and shift, the
skin follows by its skinning weights, and bones stay together at their joints.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_MANO_JOINTS
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.hand_model.model import HandModel


class Placement(NamedTuple):
    """Where hands are: R (n, 3, 3) and t (n, 3) take the hand's frame to the frame of what is known [m]."""

    R: Tensor
    t: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """(n, N, 3) in the hand's frame -> (n, N, 3)."""
        return points @ self.R.transpose(1, 2) + self.t[:, None]

    def undo(self, points: Tensor) -> Tensor:
        """(n or 1, N, 3) -> (n, N, 3) in the hand's frame."""
        return (points - self.t[:, None]) @ self.R


class Pull(NamedTuple):
    """Where some points of a mesh should go.

    Attributes:
        rows: (n, m) vertices; None for the 21 joints.
        error: (n, m, d) how far they are off.
        slope: (n, m, d, 3) change of the error by the point.
        weight: (n, m) of the squared error: 1 over its variance, 0 for what is not known.
    """

    rows: Tensor | None
    error: Tensor
    slope: Tensor
    weight: Tensor


class BoneLooseness(NamedTuple):
    """Standard deviations of what a step may change.

    Attributes:
        turn_rad: of a bone against where the prior has it. root_rad, root_m: of the whole hand.
        tear_m: between two bones at their joint.
    """

    turn_rad: float = 0.15
    root_rad: float = 0.5
    root_m: float = 0.03
    tear_m: float = 0.0015


class Bones:
    """The bones of a hand model's mesh.

    Args:
        model: the hand, without forearm.
    """

    def __init__(self, model: HandModel):
        self.weights = torch.from_numpy(np.array(model.weights, np.float32))
        self.regressor = torch.from_numpy(joints_of_mesh(model).copy())
        self.at_joint = [JOINTS_FROM_MANO.index(bone) for bone in range(NUM_MANO_JOINTS)]
        shared = self.regressor[:, None] * self.weights.T[None]
        self._joint_shares = shared.sum(2)
        self._joint_skin = shared.reshape(-1, self.weights.shape[0])

    def joints(self, mesh: Tensor) -> Tensor:
        """(n, V, 3) -> (n, 21, 3)."""
        return self.regressor @ mesh

    def moved(
        self, mesh: Tensor, pulls: list[Pull], place: Placement, loose: BoneLooseness
    ) -> tuple[Tensor, Placement]:
        """One step.

        Args:
            mesh: (n, V, 3) in the frame of what is known.
            pulls: where to.
            place: of the hands.
            loose: what may change.

        Returns:
            The mesh, and where its hand is then: the palm's motion is the hand's.
        """
        centres = self.joints(mesh)[:, self.at_joint]
        square, right = self._prior(centres, loose)
        for pull in pulls:
            slope = self._slope(mesh, centres, pull)
            weighted = slope * pull.weight[..., None, None]
            flat, weighted = slope.flatten(1, 2), weighted.flatten(1, 2)
            square = square + weighted.transpose(1, 2) @ flat
            right = right - (weighted.transpose(1, 2) @ pull.error.flatten(1, 2)[..., None])[..., 0]
        motion = torch.linalg.solve(square, right).unflatten(1, (NUM_MANO_JOINTS, 6)).float()
        turn = torch.linalg.matrix_exp(hat(motion[..., :3]))
        shift = centres + motion[..., 3:] - (turn @ centres[..., None])[..., 0]
        blend = self.weights @ torch.cat([turn.flatten(2), shift], 2)
        moved = (blend[..., :9].unflatten(2, (3, 3)) @ mesh[..., None])[..., 0] + blend[..., 9:]
        R = turn[:, 0] @ place.R
        t = (turn[:, 0] @ place.t[..., None])[..., 0] + shift[:, 0]
        return moved, Placement(R, t)

    def _slope(self, mesh: Tensor, centres: Tensor, pull: Pull) -> Tensor:
        """(n, m, d, 96) change of the errors by turn and shift of each bone."""
        if pull.rows is None:
            shares = self._joint_shares.expand(len(mesh), -1, -1)
            moments = (self._joint_skin @ mesh).unflatten(1, shares.shape[1:])
        else:
            shares = self.weights[pull.rows]
            points = mesh.gather(1, pull.rows[..., None].expand(-1, -1, 3))
            moments = shares[..., None] * points[:, :, None]
        arms = moments - shares[..., None] * centres[:, None]
        turns = -(pull.slope[:, :, :, None, None] @ hat(arms.double())[:, :, None])[..., 0, :]
        shifts = pull.slope[:, :, :, None] * shares[:, :, None, :, None]
        return torch.cat([turns, shifts], 4).flatten(3)

    def _prior(self, centres: Tensor, loose: BoneLooseness) -> tuple[Tensor, Tensor]:
        """(n, 96, 96), (n, 96) normal equations of bones that stay as they are and hold together."""
        count = len(centres)
        trust = torch.full((NUM_MANO_JOINTS, 6), loose.turn_rad**-2, dtype=torch.float64)
        trust[:, 3:] = 1.0  # shifts follow from the joints
        trust[0, :3], trust[0, 3:] = loose.root_rad**-2, loose.root_m**-2
        square = torch.diag(trust.flatten()).repeat(count, 1, 1)
        for bone, parent in enumerate(MANO_PARENTS[1:], start=1):
            arm = (centres[:, bone] - centres[:, parent]).double()
            apart = torch.zeros(count, 3, NUM_MANO_JOINTS, 6, dtype=torch.float64)
            apart[:, :, bone, 3:] = torch.eye(3, dtype=torch.float64)
            apart[:, :, parent, 3:] = -torch.eye(3, dtype=torch.float64)
            apart[:, :, parent, :3] = hat(arm)
            flat = apart.flatten(2)
            square = square + flat.transpose(1, 2) @ flat / loose.tear_m**2
        return square, torch.zeros(count, 6 * NUM_MANO_JOINTS, dtype=torch.float64)


def hat(vectors: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) matrices of the cross product from the left."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def rigid(source: Tensor, target: Tensor, weights: Tensor) -> Placement:
    """Where (n, N, 3) points of hands have to go to lie on (n or 1, N, 3) targets, without scale (Umeyama, PAMI 1991).

    Args:
        source, target: points. weights: (N,) of them, at least 0.
    """
    share = (weights / weights.sum())[:, None]
    target = target.expand_as(source)
    middles = (source * share).sum(1), (target * share).sum(1)
    spread = ((target - middles[1][:, None]) * share).transpose(1, 2) @ (source - middles[0][:, None])
    U, _, Vt = torch.linalg.svd(spread.double())
    sign = torch.ones(len(source), 3, dtype=torch.float64)
    sign[:, 2] = torch.det(U @ Vt).sign()
    R = ((U * sign[:, None]) @ Vt).float()
    return Placement(R, middles[1] - (R @ middles[0][..., None])[..., 0])
