"""Grasps made better by gradients: a batch of hands at one solid, stretched differently for each.

The energy has terms for contact, penetration, penetration of the hand by itself, natural angles, and force closure by
Liu et al., "Synthesizing Diverse and Physically Stable Grasps with Arbitrary Hand Structures using Differentiable Force
Closure Estimator" (RA-L 2021): the squared length of G c, the wrench of contacts that all press along their normals.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.hand_model.torch_ import HandLayer
from prehend_training.grasps.closing import Hands
from prehend_training.grasps.hand import Probe, hand_model, probe
from prehend_training.grasps.kinds import Kind
from prehend_training.objects.sdf import SdfGrid

Array = NDArray[np.floating]

_PRESS_M = 0.0006
_REACH_M = 0.012
"""Skin further away than this is hardly drawn to the solid."""
_LEVER_M = 0.04
_BONE_SHARE = 0.75
"""The solid may not come nearer to the middle of a ball of flesh than this share of its radius."""
_STEP = 0.011
_SHIFT_M = 0.05
"""Metres per unit of the variable that moves the hand."""
_FLEX_RAD, _SIDE_RAD, _TENDON_RAD = 0.45, 0.13, 0.3
_TENDON = 0.66
"""One tendon bends both outer joints of a finger: the last by this share of the middle one."""


@dataclass(frozen=True)
class EnergyWeights:
    """Of the terms of the energy; each is about one for a grasp that is visibly wrong in that respect."""

    contact: float = 12.0
    closure: float = 1.0
    penetration: float = 0.6
    bone: float = 2.0
    self_penetration: float = 1.0
    natural: float = 0.25
    table: float = 1.0


class GraspEnergy:
    """Energy of N hands of one kind at one solid.

    Args:
        kind: which skin is to touch.
        grid: of the solid at its nominal size.
        hands: where the optimisation starts; natural is what is near it.
        weights: of the terms.
        table_m: (N,) height z of the table in the object's frame, None for none.
    """

    def __init__(
        self,
        kind: Kind,
        grid: SdfGrid,
        hands: Hands,
        weights: EnergyWeights | None = None,
        table_m: Array | None = None,
    ):
        self.weights, self.grid = weights or EnergyWeights(), grid
        self.hand = probe()
        self.layer = HandLayer(self.hand.model)
        self.axes = _Axes(self.hand)
        self.betas, self.scale = _tensor(hands.betas), _tensor(hands.scale)
        self.angles0, self.T0 = _tensor(hands.angles), _tensor(hands.T_object_hand)
        self.which = torch.zeros(len(hands), dtype=torch.int64)
        self.table = None if table_m is None else _tensor(table_m)
        names = (*kind.side_a, *kind.side_b)
        self.rows, self.padding = _padded([self.hand.patches[name] for name in names])
        self.side = torch.tensor([1.0] * len(kind.side_a) + [-1.0] * len(kind.side_b))
        self.pull = torch.tensor([_pull(name) for name in names])
        self.radii = _tensor(self.hand.radii) * _size(self.betas)[:, None]
        pairs = torch.from_numpy(self.hand.pairs)
        self.reach = torch.zeros(len(hands), len(self.hand.radii), len(self.hand.radii))
        self.reach[:, pairs[:, 0], pairs[:, 1]] = self.radii[:, pairs].sum(-1) - _tensor(self.hand.allowed_m)

    def __call__(self, angles: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
        """Energy (N,) of angles (N, 15, 3) [rad], a turn (N, 3) and a shift (N, 3) [5 cm] from the start."""
        points = self.points(angles, turn, shift)
        skin, balls = points[:, : self.hand.felt], points[:, self.hand.felt : -16]
        distance, slope = self.grid.lookup(torch.cat([skin, balls], 1), self.which, self.scale)
        on_skin, in_flesh = distance[:, : self.hand.felt], distance[:, self.hand.felt :]
        weights = self.weights
        energy = weights.penetration * (torch.relu(-on_skin - 2 * _PRESS_M) / 0.002).square().sum(1)
        energy = energy + weights.bone * (torch.relu(_BONE_SHARE - in_flesh / self.radii) / 0.3).square().sum(1)
        energy = energy + weights.self_penetration * self._self_penetration(balls)
        energy = energy + weights.natural * self._unnatural(angles)
        if self.table is not None:
            below = torch.relu(self.table[:, None] + 0.002 - skin[..., 2])
            energy = energy + weights.table * (below / 0.004).square().sum(1)
        return energy + self._contact(skin, on_skin, slope[:, : self.hand.felt])

    def points(self, angles: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
        """(N, F + B + 16, 3) vertices of the probe in the object's frame."""
        posed = self.layer(self.axes.rotations(angles), self.betas)
        local = posed.vertices - posed.joints16[:, :1]
        R = self.T0[:, :3, :3] @ _exponential(turn)
        return local @ R.transpose(1, 2) + (self.T0[:, :3, 3] + _SHIFT_M * shift)[:, None]

    def _contact(self, skin: Tensor, distance: Tensor, slope: Tensor) -> Tensor:
        """Distance of the patches, and what their presses add up to."""
        felt = torch.where(self.padding, torch.inf, distance[:, self.rows])
        share = torch.softmax(-felt / 0.002, -1)
        gap = (share * torch.where(self.padding, 0.0, felt)).sum(-1)
        far = (gap + _PRESS_M).square()
        contact = self.pull * far / (far + _REACH_M**2)
        place = (share[..., None] * skin[:, self.rows]).sum(2)
        normal = torch.nn.functional.normalize((share[..., None] * slope[:, self.rows]).sum(2), dim=-1)
        press = torch.exp(-((gap.detach() / 0.006) ** 2)) * self.pull + 1e-3
        total = torch.stack([(press * (self.side == sign)).sum(1) for sign in (1.0, -1.0)], 1)
        force = press * (self.side == 1) / total[:, :1] + press * (self.side == -1) / total[:, 1:]
        wrench_force = -(force[..., None] * normal).sum(1)
        arm = (place - place.mean(1, keepdim=True)) / _LEVER_M
        wrench_torque = -(force[..., None] * torch.linalg.cross(arm, normal)).sum(1)
        closure = wrench_force.square().sum(1) + wrench_torque.square().sum(1)
        return self.weights.contact * contact.sum(1) + self.weights.closure * closure

    def _self_penetration(self, balls: Tensor) -> Tensor:
        middle = balls - balls.mean(1, keepdim=True)
        length = middle.square().sum(-1)
        square = length[:, :, None] + length[:, None] - 2 * middle @ middle.transpose(1, 2)
        overlap = self.reach - square.clamp(min=1e-8).sqrt()  # without pairs gathered: four times as quick
        return (torch.relu(overlap) / 0.002).square().sum((1, 2))

    def _unnatural(self, angles: Tensor) -> Tensor:
        away = (angles - self.angles0).square()
        tendon = angles[:, 2:12:3, 0] - _TENDON * angles[:, 1:12:3, 0]
        return (
            away[..., 0].sum(1) / _FLEX_RAD**2
            + away[..., 1:].sum((1, 2)) / _SIDE_RAD**2
            + (tendon / _TENDON_RAD).square().sum(1)
        )


def optimise(
    kind: Kind,
    grid: SdfGrid,
    hands: Hands,
    steps: int = 48,
    weights: EnergyWeights | None = None,
    table_m: Array | None = None,
) -> tuple[Hands, Array]:
    """Descend the energy by Adam; angles stay inside the joints' limits at every step.

    Args:
        kind: how they hold.
        grid: of the solid at its nominal size, hollows filled or not as the kind asks.
        hands: N to start with, at most a few hundred at a time.
        steps: of the descent.
        weights: of the energy's terms.
        table_m: (N,) height z of the table in the object's frame, None for none.

    Returns:
        The hands, and the energies (2, N) at the start and at the end.
    """
    if not len(hands):
        return hands, np.zeros((2, 0))
    energy = GraspEnergy(kind, grid, hands, weights, table_m)
    limits = _tensor(np.asarray(hand_model().limits_rad))
    angles = energy.angles0.clamp(limits[..., 0], limits[..., 1]).requires_grad_()
    turn = torch.zeros(len(hands), 3, requires_grad=True)
    shift = torch.zeros(len(hands), 3, requires_grad=True)
    adam = torch.optim.Adam([{"params": [angles], "lr": _STEP}, {"params": [turn, shift], "lr": _STEP / 2}])
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, _STEP / 20)
    with torch.no_grad():
        before = energy(angles, turn, shift)
    for _ in range(steps):
        adam.zero_grad()
        energy(angles, turn, shift).sum().backward()
        adam.step()
        decay.step()
        with torch.no_grad():
            angles.clamp_(limits[..., 0], limits[..., 1])
    with torch.no_grad():
        after = energy(angles, turn, shift)
        T = energy.T0.clone()
        T[:, :3, :3] = T[:, :3, :3] @ _exponential(turn)
        T[:, :3, 3] += _SHIFT_M * shift
    done = Hands(hands.betas, _array(angles), _array(T), hands.scale)
    return done, np.stack([_array(before), _array(after)])


class _Axes:
    """Rotations of joints about their fixed axes."""

    def __init__(self, hand: Probe):
        axes = (hand.model.flexion_axes, hand.model.abduction_axes, hand.model.twist_axes)
        self.skews = [_skew(_tensor(np.asarray(part))) for part in axes]

    def rotations(self, angles: Tensor) -> Tensor:
        """(N, 16, 3, 3) of angles (N, 15, 3); as `assets.poses.pose_from_angles`."""
        unit = torch.eye(3, dtype=angles.dtype)
        turns = []
        for k, skew in enumerate(self.skews):
            angle = angles[..., k, None, None]
            turns.append(unit + torch.sin(angle) * skew + (1 - torch.cos(angle)) * (skew @ skew))
        fingers = turns[0] @ turns[1] @ turns[2]
        return torch.cat([unit.expand(len(angles), 1, 3, 3), fingers], 1)


def _skew(axes: Tensor) -> Tensor:
    """(..., 3, 3) matrices of the cross product with (..., 3)."""
    x, y, z = axes.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _exponential(axis_angle: Tensor) -> Tensor:
    """Rotations (N, 3, 3) of (N, 3) [rad], smooth at zero."""
    return torch.linalg.matrix_exp(_skew(axis_angle))


def _size(betas: Tensor) -> Tensor:
    """(N,) how large hands are, 1 for the mean hand."""
    model = hand_model()
    bones = _tensor(model.joints_template[1:13] - model.joints_template[0])
    shaped = bones + torch.einsum(
        "jkb,nb->njk", _tensor(model.joints_shapedirs[1:13] - model.joints_shapedirs[0]), betas
    )
    return shaped.norm(dim=-1).mean(1) / bones.norm(dim=-1).mean()


def _padded(patches: list[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Rows (K, L) of K patches and where they are filled up (K, L)."""
    longest = max(len(patch) for patch in patches)
    rows = torch.zeros(len(patches), longest, dtype=torch.int64)
    padding = torch.ones(len(patches), longest, dtype=torch.bool)
    for k, patch in enumerate(patches):
        rows[k, : len(patch)], padding[k, : len(patch)] = torch.from_numpy(patch), False
    return rows, padding


def _pull(name: str) -> float:
    """How strongly a patch is drawn to the solid: pads more than the skin between joints."""
    return 0.5 if name.endswith("_mid") else 1.0


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.tensor(np.asarray(array, np.float32))


def _array(tensor: Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)
