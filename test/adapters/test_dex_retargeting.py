import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from prehend.adapters.dex_retargeting import T_camera_operator, operator_joints, reference
from prehend.conventions import MIRROR
from prehend.errors import InvalidInput

SIDES = ("left", "right")
OPERATOR_FROM_MANO = {
    "right": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    "left": np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}
"""The package's constants, as documented."""


def as_documented(joints: np.ndarray, side: str) -> np.ndarray:
    """What the documentation says to do: a MANO frame by SVD of joints 0, 5 and 9, then the constant."""
    centred = joints - joints[0]
    points = centred[[0, 5, 9]]
    to_wrist = points[0] - points[2]
    normal = np.linalg.svd(points - points.mean(0))[2][2]
    x = to_wrist - (to_wrist @ normal) * normal
    x /= np.linalg.norm(x)
    z = np.cross(x, normal)
    if z @ (points[1] - points[2]) < 0:
        normal, z = -normal, -z
    return centred @ np.stack([x, normal, z], 1) @ OPERATOR_FROM_MANO[side]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_the_documented_procedure(bent, side, seed):
    joints = bent(side, seed).joints_m
    np.testing.assert_allclose(operator_joints(joints, side), as_documented(joints, side), atol=1e-9)


def test_constants_are_the_packages():
    constants = pytest.importorskip("dex_retargeting.constants")
    np.testing.assert_array_equal(constants.OPERATOR2MANO_RIGHT, OPERATOR_FROM_MANO["right"])
    np.testing.assert_array_equal(constants.OPERATOR2MANO_LEFT, OPERATOR_FROM_MANO["left"])


@pytest.mark.parametrize("side", SIDES)
def test_axes_of_the_flat_hand(flat, side):
    hand = flat(side)
    T = T_camera_operator(hand.joints_m, side)
    np.testing.assert_allclose(T[:3, 3], hand.joints_m[0])
    np.testing.assert_allclose(T[:3, 0], [0, -1, 0], atol=0.2)  # x out of the palm; the back is +y here
    np.testing.assert_allclose(T[:3, 1], [0, 0, 1 if side == "right" else -1], atol=0.2)  # +z is the thumb's side
    np.testing.assert_allclose(T[:3, 2], [-1 if side == "right" else 1, 0, 0], atol=0.2)
    assert np.isclose(np.linalg.det(T[:3, :3]), 1)


def test_a_mirrored_hand_is_mirrored_across_y(bent):
    right, left = bent("right", 1), bent("left", 1)
    np.testing.assert_allclose(
        operator_joints(left.joints_m, "left"), operator_joints(right.joints_m, "right") * [1, -1, 1], atol=1e-6
    )
    assert np.isclose(np.linalg.det(MIRROR), -1)


def test_the_operators_frame_moves_with_the_hand(bent):
    joints = bent("right", 2).joints_m
    turn = T_camera_operator(bent("right", 3).joints_m, "right")[:3, :3]
    np.testing.assert_allclose(
        operator_joints(joints @ turn.T + 0.4, "right"), operator_joints(joints, "right"), atol=1e-9
    )


def test_reference(bent):
    joints = operator_joints(bent("left").joints_m, "left")
    vectors = reference(joints, np.array([[0, 0, 4], [4, 8, 8]]))
    np.testing.assert_allclose(vectors, [joints[4], joints[8], joints[8] - joints[4]], atol=1e-12)
    np.testing.assert_array_equal(reference(joints, np.array([4, 8])), joints[[4, 8]])


def test_bad_input(bent):
    joints = bent("right").joints_m.copy()
    joints[5] = (joints[0] + joints[9]) / 2
    with pytest.raises(InvalidInput, match="on a line"):
        operator_joints(joints, "right")


def allegro(side: str) -> Path:
    """The description that PyPI's example-robot-data carries."""
    try:
        files = importlib.metadata.files("example-robot-data") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("example-robot-data, which has the Allegro hand, is not installed")
    return Path(str(next(f for f in files if f.name == f"allegro_{side}_hand.urdf").locate()))


@pytest.mark.parametrize("side", SIDES)
def test_an_allegro_hand_follows(flat, bent, side):
    """Real optimiser, real robot: its fingertips point where ours do, and a fist closes its fingers."""
    config = pytest.importorskip("dex_retargeting.retargeting_config").RetargetingConfig
    constants = pytest.importorskip("dex_retargeting.constants")
    given = {
        "type": "vector",
        "urdf_path": str(allegro(side)),
        "target_origin_link_names": ["palm_link"] * 4,
        "target_task_link_names": ["link_15.0_tip", "link_3.0_tip", "link_7.0_tip", "link_11.0_tip"],
        "scaling_factor": 1.6,
        "target_link_human_indices": np.array([[0, 0, 0, 0], [4, 8, 12, 16]]),
        "low_pass_alpha": 1.0,
    }
    assert constants.OPERATOR2MANO[constants.HandType[side]].shape == (3, 3)
    config.set_default_urdf_dir("/")
    retargeting = config.from_dict(given).build()
    hand = flat(side)
    indices = retargeting.optimizer.target_link_human_indices
    wanted = reference(operator_joints(hand.joints_m, side), indices)
    for _ in range(20):
        qpos = retargeting.retarget(wanted)
    robot = retargeting.optimizer.robot
    robot.compute_forward_kinematics(qpos)
    palm, *tips = (
        robot.get_link_pose(robot.get_link_index(name))[:3, 3]
        for name in ("palm_link", *given["target_task_link_names"])
    )
    reached = np.stack(tips) - palm
    for got, want in zip(reached[1:], 1.6 * wanted[1:], strict=True):
        cosine = got @ want / np.linalg.norm(got) / np.linalg.norm(want)
        assert cosine > 0.95, f"{got} points elsewhere than {want}"
