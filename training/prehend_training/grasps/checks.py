"""Whether a grasp is valid: the three checks of HandBooster (Xu et al., CVPR 2024), and whether it could hold.

HandBooster asks that the hand makes contact, that hand and object share at most a small volume (1 cm3 in its code), and
that the hand does not go into itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import skin
from prehend_training.assets.contact import fit_balls, penetration
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.grasps.hand import FINGERS, hand_model
from prehend_training.grasps.kinds import Kind
from prehend_training.grasps.volume import VOXEL_M, inner_voxels
from prehend_training.objects import Solid
from prehend_training.sample import HAND_PARTS, PART_OF_JOINT

Array = NDArray[np.floating]

TOUCH_M = 0.003
"""Skin closer than this touches."""
MAX_VOLUME_CM3 = 1.0
DEEPEST_M = 0.004
"""A vertex may not be deeper than this in the object (flesh gives way a little)."""
FRICTION = 0.6
MAX_RESIDUAL = 0.1
_BONE_SHARE = 0.4
_CONE_EDGES = 6
_LEVER_M = 0.04
_MOST_CONTACTS = 24
CHECKS = ("contact", "volume", "self_penetration", "depth", "opposed", "closure")


@dataclass(frozen=True)
class Report:
    """What was found about one grasp.

    Attributes:
        contact: (6,) which of thumb, index, middle, ring, little, palm touch.
        volume_cm3: shared by hand and object.
        self_penetration_m: depth of the digits in each other or the palm.
        deepest_m: of the skin in the object.
        bone: smallest share of a digit's radius at which the object comes to its middle.
        residual: of force closure, 0 where the contacts can balance each other (see `closure_residual`).
    """

    contact: NDArray[np.bool_]
    volume_cm3: float
    self_penetration_m: float
    deepest_m: float
    bone: float
    residual: float

    @property
    def passed(self) -> dict[str, bool]:
        """The outcome by the names of `CHECKS`."""
        fingers = int(self.contact[1:5].sum())
        return {
            "contact": bool(self.contact.any()),
            "volume": self.volume_cm3 <= MAX_VOLUME_CM3,
            "self_penetration": self.self_penetration_m <= MAX_PENETRATION_M,
            "depth": self.deepest_m <= DEEPEST_M and self.bone >= _BONE_SHARE,
            "opposed": bool((self.contact[0] and fingers >= 1) or (self.contact[5] and fingers >= 2)),
            "closure": self.residual <= MAX_RESIDUAL,
        }

    @property
    def valid(self) -> bool:
        """Whether all checks passed."""
        return all(self.passed.values())


def check(solid: Solid, betas: Array, angles: Array, T_object_hand: Array, *, filled: bool = True) -> Report:
    """Check a grasp on the whole mesh of the hand.

    Args:
        solid: at the size it has.
        betas, angles: (10,), (15, 3) [rad].
        T_object_hand: (4, 4) [m].
        filled: hollows count as inside, see `Solid.distance`; what touches is always told by the real walls.
    """
    model = hand_model()
    rotations = pose_from_angles(model, angles[:, 0], angles[:, 1], angles[:, 2])
    posed = skin(model, rotations, betas)
    vertices = (posed.vertices - posed.joints[0]) @ T_object_hand[:3, :3].T + T_object_hand[:3, 3]
    wall = solid.distance(vertices)
    distance = solid.distance(vertices, filled=True) if filled else wall
    near = np.abs(distance) <= TOUCH_M
    points = vertices[near]
    return Report(
        touching_parts(wall),
        shared_volume_cm3(solid, vertices, filled=filled),
        float(penetration(model, rotations[None])[0]),
        float(-min(distance.min(), 0.0)),
        _bone_share(solid, rotations, posed.joints16, betas, T_object_hand, filled),
        _residual(solid, points, filled) if len(points) else np.inf,
    )


def touching_parts(distance_m: Array) -> NDArray[np.bool_]:
    """(6,) whether thumb, index, middle, ring, little and palm touch, of the distances (V,) of the hand's vertices."""
    part = np.array(PART_OF_JOINT)[hand_model().weights.argmax(1)]
    return np.array([(distance_m[part == k] <= TOUCH_M).any() for k in range(len(HAND_PARTS))])


def shared_volume_cm3(solid: Solid, vertices: Array, *, filled: bool = True, step_m: float = VOXEL_M) -> float:
    """Volume of what lies in the hand and in the solid [cm3].

    Counted on voxels of `step_m` (2 mm): right to some hundredths of a cm3 near the limit of one.

    Args:
        solid: at the size it has.
        vertices: (V, 3) of the hand, in the object frame.
        filled: hollows count as inside.
        step_m: size of a voxel.
    """
    centres = inner_voxels(vertices, hand_model().faces, step_m)
    reach = solid.extents_m / 2
    centres = centres[(np.abs(centres - solid.center_m) <= reach).all(1)]
    inside = int((solid.distance(centres, filled=filled) <= 0).sum()) if len(centres) else 0
    return inside * (step_m * 100) ** 3


def _bone_share(
    solid: Solid, rotations: Array, joints16: Array, betas: Array, T_object_hand: Array, filled: bool
) -> float:
    """How near the solid comes to the middle of a digit, as a share of its radius: thin objects do not go through."""
    balls, model = fit_balls(hand_model()), hand_model()
    spin = [np.asarray(rotations[0], np.float64)]
    for j in range(1, 16):
        spin.append(spin[0 if j % 3 == 1 else j - 1] @ rotations[j])
    local = balls.centers - model.joints_template[balls.joint]
    centers = joints16[balls.joint] + (np.stack(spin)[balls.joint] @ local[..., None])[..., 0] - joints16[0]
    distance = solid.distance(centers @ T_object_hand[:3, :3].T + T_object_hand[:3, 3], filled=filled)
    return float((distance / balls.radii).min())


def _residual(solid: Solid, points: Array, filled: bool) -> float:
    """Of force closure with contacts at (C, 3)."""
    if len(points) > _MOST_CONTACTS:
        points = points[np.linspace(0, len(points) - 1, _MOST_CONTACTS).astype(int)]
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float64)
    near = solid.distance(points[:, None] + 5e-4 * corners, filled=filled)
    normals = near @ corners
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return closure_residual(points[length[:, 0] > 1e-9], (normals / np.maximum(length, 1e-12))[length[:, 0] > 1e-9])


def closure_residual(points_m: Array, normals: Array, friction: float = FRICTION, steps: int = 150) -> float:
    """How far contacts are from balancing each other: the shortest wrench in the convex hull of those they can exert.

    0 where the hull holds the origin: forces inside the friction cones exist that add up to nothing, so the hand can
    press without moving the object. One contact alone gives about one. Found by Frank and Wolfe's method.

    Args:
        points_m: (C, 3) contacts.
        normals: (C, 3) outward unit normals of the object there.
        friction: coefficient of Coulomb's law.
        steps: of the method.
    """
    if len(points_m) == 0:
        return np.inf
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    side = np.cross(normals, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(normals, side)
    angle = np.arange(_CONE_EDGES) * 2 * np.pi / _CONE_EDGES
    around = np.cos(angle)[:, None, None] * side + np.sin(angle)[:, None, None] * other
    force = (friction * around - normals).reshape(-1, 3)
    arm = np.tile((points_m - points_m.mean(0)) / _LEVER_M, (_CONE_EDGES, 1))
    wrench = np.concatenate([force, np.cross(arm, force)], 1)
    best = wrench.mean(0)
    for _ in range(steps):
        corner = wrench[(wrench @ best).argmin()]
        way = best - corner
        length = way @ way
        if length < 1e-12 or best @ way <= 1e-9:
            break
        best = best - min(best @ way / length, 1.0) * way
    return float(np.linalg.norm(best))


def suits(report: Report, kind: Kind) -> bool:
    """Whether those digits touch that a kind of grasp uses: enough fingers, and the thumb (or the palm, in wraps)."""
    fingers = [FINGERS.index(name) + 1 for name in kind.fingers] or [1]
    against = report.contact[0] or (kind.wraps and report.contact[5])
    return bool(against and report.contact[fingers].sum() >= kind.needed[1])
