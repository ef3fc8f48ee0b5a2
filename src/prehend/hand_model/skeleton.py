"""The joints of a posed hand and how they move with pose, shape and place: a hand model's kinematics alone, without its
skin (Romero et al., SIGGRAPH Asia 2017)."""

from typing import NamedTuple

import numpy as np

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS
from prehend.geometry.rotations import hat
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin
from prehend.types import FloatArray

TIP_PARENTS = (15, 3, 6, 12, 9)
"""The joint that each fingertip hangs on, thumb first."""

NUM_PARAMETERS = 3 + 3 * NUM_MANO_JOINTS + NUM_BETAS
"""Translation, a small turn of each joint about the axes of the outer frame, shape."""

_PARENTS = (*MANO_PARENTS, *TIP_PARENTS)
_ORDER = list(JOINTS_FROM_MANO)


def _moves() -> FloatArray:
    """(21, 16) 1 where a turn of a joint moves a point, in MANO's order and the tips."""
    table = np.zeros((len(_PARENTS), NUM_MANO_JOINTS))
    for point in range(len(_PARENTS)):
        joint = _PARENTS[point]
        while joint >= 0:
            table[point, joint] = 1
            joint = _PARENTS[joint]
    return table


_MOVES = _moves()
MOVES = _MOVES[_ORDER]
"""(21, 16) the same in the order of `conventions.JOINT_NAMES`."""


class Posture(NamedTuple):
    """A pose of a hand model: (16, 3, 3) rotations, the first from hand to the outer frame, (10,) betas, and (3,) what
    is added to all points [m]."""

    rotations: FloatArray
    betas: FloatArray
    translation_m: FloatArray


class Skeleton:
    """A hand model's joints.

    The tips are vertices, which the model's pose corrections shift; `settle` takes that in for a pose, and it is taken
    as fixed near that pose.

    Args:
        model: of either side, without forearm.
    """

    def __init__(self, model: HandModel):
        self.model = model
        tips = model.tips
        self._rest = np.concatenate([model.joints_template, model.v_template[tips]]).astype(np.float64)
        self._shapes = np.concatenate([model.joints_shapedirs, model.shapedirs[tips]]).astype(np.float64)
        self._corrections = np.zeros((len(tips), 3))

    def settle(self, posture: Posture) -> None:
        """Take in where the tips are at a pose, to a hundredth of a millimetre."""
        exact = skin(self.model, posture.rotations, posture.betas, posture.translation_m).joints.astype(np.float64)
        self._corrections = np.zeros_like(self._corrections)
        spins, points, _ = self._chain(posture)
        inverse = np.argsort(_ORDER)
        off = exact[inverse][NUM_MANO_JOINTS:] - points[NUM_MANO_JOINTS:]
        self._corrections = np.einsum("nji,nj->ni", spins[list(TIP_PARENTS)], off)

    def joints(self, posture: Posture) -> FloatArray:
        """(21, 3) float64 in the order of `conventions.JOINT_NAMES`."""
        return np.asarray(self._chain(posture)[1][_ORDER])

    def with_derivative(self, posture: Posture) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(21, 3) joints, their (21, 3, 61) derivative by translation, turns and betas, and (16, 3, 3) each joint's
        rotation in the outer frame."""
        spins, points, shapes = self._chain(posture)
        arms = points[:, None] - points[None, :NUM_MANO_JOINTS]
        turns = -hat(arms) * _MOVES[..., None, None]
        count = len(points)
        derivative = np.concatenate(
            [
                np.broadcast_to(np.eye(3), (count, 3, 3)),
                turns.transpose(0, 2, 1, 3).reshape(count, 3, 3 * NUM_MANO_JOINTS),
                shapes,
            ],
            axis=-1,
        )
        return points[_ORDER], derivative[_ORDER], spins

    def _chain(self, posture: Posture) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rotations (16, 3, 3), points (21, 3) and their derivatives by betas (21, 3, 10); MANO's joints, then tips."""
        rest = self._rest + self._shapes @ posture.betas
        rest[NUM_MANO_JOINTS:] += self._corrections
        spins = np.empty((NUM_MANO_JOINTS, 3, 3))
        points, shapes = np.empty_like(rest), np.empty_like(self._shapes)
        spins[0], points[0], shapes[0] = posture.rotations[0], rest[0] + posture.translation_m, self._shapes[0]
        for point, parent in enumerate(_PARENTS[1:], start=1):
            spin = spins[parent]
            points[point] = points[parent] + spin @ (rest[point] - rest[parent])
            shapes[point] = shapes[parent] + spin @ (self._shapes[point] - self._shapes[parent])
            if point < NUM_MANO_JOINTS:
                spins[point] = spin @ posture.rotations[point]
        return spins, points, shapes


def moved(posture: Posture, step: FloatArray, spins: FloatArray, turn: FloatArray) -> Posture:
    """The pose after a step (61,) of the parameters.

    Args:
        posture: before.
        step: as `Skeleton.with_derivative` counts.
        spins: (16, 3, 3) each joint's rotation in the outer frame, before.
        turn: (16, 3, 3) rotations of the step's turns.
    """
    outer = np.concatenate([np.eye(3)[None], spins[list(MANO_PARENTS[1:])]])
    rotations = np.swapaxes(outer, -1, -2) @ turn @ outer @ posture.rotations
    return Posture(rotations, posture.betas + step[-NUM_BETAS:], posture.translation_m + step[:3])
