from dataclasses import replace

import numpy as np
import pytest

from prehend.adapters.dex_retargeting import T_camera_operator
from prehend.adapters.frames import T_BODY_CAMERA
from prehend.adapters.joint_state import joint_angles
from prehend.adapters.lerobot import HandTeleoperator, action_names, hand_action, lerobot_teleoperator
from prehend.errors import MissingDependency, NotConnected, UnknownName
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.types import Camera, FrameResult

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


def frame(*hands) -> FrameResult:
    return FrameResult(CAMERA, tuple(hands), 0.0, {}, True)


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_action_says_the_pose(bent, side):
    hand = bent(side, 1)
    action = hand_action(hand.estimate())
    assert tuple(action) == action_names(side)
    assert all(type(value) is float for value in action.values())
    T = T_BODY_CAMERA @ T_camera_operator(hand.joints_m, side)
    np.testing.assert_allclose([action[f"{side}_wrist.{axis}"] for axis in "xyz"], T[:3, 3])
    quaternion = np.array([action[f"{side}_wrist.q{axis}"] for axis in "xyzw"])
    np.testing.assert_allclose(matrix_from_quaternion(quaternion), T[:3, :3], atol=1e-9)
    angles = joint_angles(hand.rotations, side)
    np.testing.assert_allclose([action[f"{name}.pos"] for name in angles.names], angles.positions_rad)
    assert action[f"{side}_hand.tracked"] == 1.0


def test_life_of_a_teleoperator(bent):
    right = bent("right", 1).estimate()
    frames = iter([frame(), frame(bent("left").estimate()), frame(replace(right, score=0.2), right), frame()])
    teleop = HandTeleoperator(lambda: next(frames), "right")
    assert teleop.action_features == dict.fromkeys(action_names("right"), float)
    assert teleop.feedback_features == {}
    assert not teleop.is_connected
    with pytest.raises(NotConnected, match="call connect"):
        teleop.get_action()
    teleop.connect()
    assert teleop.is_connected
    assert teleop.is_calibrated
    with pytest.raises(ConnectionError, match="connected already"):
        teleop.connect()
    unseen = teleop.get_action()
    assert unseen["right_hand.tracked"] == 0.0
    assert unseen["right_wrist.qw"] == 1.0
    seen = teleop.get_action()
    assert seen == hand_action(right)
    assert teleop.get_action() == seen | {"right_hand.tracked": 0.0}
    assert set(seen) == set(teleop.action_features)
    teleop.disconnect()
    with pytest.raises(NotConnected):
        teleop.get_action()


def test_lerobots_own_base_class(bent, tmp_path):
    """Real lerobot: the config is registered under its name, nothing abstract is left, and the loop of a robot runs."""
    base = pytest.importorskip("lerobot.teleoperators.teleoperator").Teleoperator
    config_class, teleop_class = lerobot_teleoperator()
    assert lerobot_teleoperator()[0] is config_class
    config = config_class(id="mine", calibration_dir=tmp_path, side="left")
    assert config.type == "prehend_hand"
    hand = bent("left", 2).estimate()
    teleop = teleop_class(config, lambda: frame(hand))
    assert isinstance(teleop, base)
    assert not teleop.__abstractmethods__
    with teleop:
        assert teleop.get_action() == hand_action(hand)
        teleop.send_feedback({})
    assert not teleop.is_connected


def test_without_lerobot():
    try:
        import lerobot.teleoperators.teleoperator  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependency, match=r"pip install '\S*\[lerobot\]'"):
            lerobot_teleoperator()
    else:
        pytest.skip("lerobot is installed")


def test_bad_side():
    with pytest.raises(UnknownName, match="middle"):
        HandTeleoperator(frame, "middle")
