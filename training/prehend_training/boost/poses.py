"""The poses that conditions are drawn from: grasps of the library, and hands that there are pictures of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, SIDES
from prehend.errors import AssetError
from prehend.hand_model.asset import load_hand_model
from prehend_training.assets.contact import penetration
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.boost.distances import Array, farthest_poses, novelty, pose_vectors
from prehend_training.boost.generator.data import open_crops
from prehend_training.grasps.hand import hand_model
from prehend_training.grasps.library import GraspSet, load_grasps
from prehend_training.scenes.layout.scene import mirror_thing_pose
from prehend_training.transforms import inverse, rigid


@dataclass(frozen=True, eq=False)
class RealHands:
    """Hands that there are pictures of, as right ones (left ones mirrored).

    Attributes:
        rotations: (N, 16, 3, 3), the first from the hand to its (mirrored) camera frame.
        betas: (N, 10).
        centre_m: (N, 3) middle of the joints, (mirrored) camera frame.
        right: (N,) bool.
        K: (N, 3, 3) of crops `size_px` (N,) wide.
        bare: (N,) bool, hands that surely hold nothing and do not go into themselves.
        object_ids: (N,) what each holds, "" where nobody knows a pose of it.
        T_hand_object: (N, 4, 4), the identity there.
    """

    rotations: Array
    betas: Array
    centre_m: Array
    right: NDArray[np.bool_]
    K: Array
    size_px: NDArray[np.int64]
    bare: NDArray[np.bool_]
    object_ids: NDArray[np.str_]
    T_hand_object: Array

    def __len__(self) -> int:
        return len(self.right)

    def vectors_beside(self, object_id: str) -> NDArray[np.float64]:
        """(M, D) pose vectors that grasps of a thing are compared with: of real grasps of it, else of all real hands,
        of which then only the fingers count."""
        rows = self.object_ids == object_id
        if rows.any():
            return pose_vectors(self.rotations[rows], self.T_hand_object[rows])
        return pose_vectors(self.rotations)


def read_real(folders: Sequence[Path]) -> RealHands:
    """The hands of folders of crops (`boost fit`, or any with hands in metres).

    Raises:
        AssetError: a folder cannot be read, or none has a hand in metres.
    """
    rows = [row for path in folders for row in _rows_of(path)]
    if not rows:
        raise AssetError(f"{', '.join(map(str, folders))}: no hand in metres: make fits with `prehend-train boost fit`")
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    whole = penetration(hand_model(), columns["rotations"]) <= MAX_PENETRATION_M
    return RealHands(**{**columns, "bare": columns["bare"] & whole})


def _rows_of(path: Path) -> list[dict[str, Any]]:
    folder = open_crops(path)
    found = (_row(folder.labels(number)) for number in range(len(folder)))
    return [row for row in found if row is not None]


def _row(labels: dict[str, Any]) -> dict[str, Any] | None:
    """A first hand's columns of its labels, None where its pose is not known."""
    hand = labels["hands"][0] if labels["hands"] else None
    if hand is None or hand["rotations"] is None or hand["betas"] is None:
        return None
    rotations, joints = np.array(hand["rotations"]), np.array(hand["joints_m"])
    right = hand["side"] == SIDES[1]
    number = hand["object_index"]
    thing = labels["objects"][number] if hand["grasp"] and number is not None else None
    T: Array = np.eye(4)
    if thing is not None:
        pose = np.array(thing["T_camera_object"])
        pose = pose if right else mirror_thing_pose(pose)
    rotations = rotations if right else MIRROR @ rotations @ MIRROR
    joints = joints if right else joints @ MIRROR
    if thing is not None:
        T = inverse(rigid(rotations[0], joints[0])) @ pose
    return {
        "rotations": rotations,
        "betas": np.array(hand["betas"]),
        "centre_m": joints.mean(0),
        "right": right,
        "K": np.array(labels["camera"]["K"]),
        "size_px": int(labels["camera"]["width"]),
        "bare": hand["grasp"] is False,
        "object_ids": "" if thing is None else str(thing["object_id"]),
        "T_hand_object": T,
    }


@dataclass(frozen=True, eq=False)
class Chosen:
    """The grasps of one thing that conditions are drawn from, Q_s of the paper.

    Attributes:
        grasps: those that farthest-point sampling left.
        probability: (N,) of each, eq. (6).
    """

    grasps: GraspSet
    probability: NDArray[np.float64]


def choose_grasps(object_id: str, count: int, real: RealHands | None, seed: int, folder: Path | None = None) -> Chosen:
    """Q_s of a thing, and the probability of each grasp.

    Args:
        object_id: of it.
        count: N, how many grasps farthest-point sampling leaves.
        real: what the grasps shall be unlike to; None for nothing.
        seed: of the first grasp.
        folder: of the library, None for the shipped one.

    Raises:
        AssetError: the library has no grasps of it.
    """
    every = load_grasps(object_id, folder)
    rng = np.random.default_rng([seed, *object_id.encode()])
    grasps = every.rows(farthest_poses(grasp_vectors(every), count, rng))
    beside = np.zeros((0, 0)) if real is None else real.vectors_beside(object_id)
    return Chosen(grasps, novelty(grasp_vectors(grasps), beside))


def grasp_vectors(grasps: GraspSet) -> NDArray[np.float64]:
    """(N, 67) pose vectors of grasps of the library."""
    angles = grasps.hands.angles
    rotations = pose_from_angles(hand_model(), angles[..., 0], angles[..., 1], angles[..., 2])
    T_hand_object = np.stack([inverse(T) for T in grasps.hands.T_object_hand])
    return pose_vectors(rotations, T_hand_object)


def choose_real(real: RealHands, count: int, seed: int) -> NDArray[np.int64]:
    """Q_r: rows of bare real hands that farthest-point sampling leaves, at most M; none where there are none."""
    rows = np.flatnonzero(real.bare)
    if len(rows) == 0:
        return rows
    vectors = pose_vectors(real.rotations[rows])
    return rows[farthest_poses(vectors, count, np.random.default_rng([seed, 1]))]


def hand_sha256() -> str:
    """Of the hand model that poses are told in."""
    return load_hand_model().sha256
