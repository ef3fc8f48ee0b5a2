import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.conventions import NUM_BETAS, NUM_JOINTS
from prehend.errors import WeightsMismatch
from prehend.geometry.camera import project
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.skeleton import Posture
from prehend.pipeline.networks.pose_refine import TURNS, pose_covariance, refine_pose
from prehend.types import Camera
from prehend.weights import load_bundle

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
STD_RAD = [[0.12, 0.1, 0.13], *[[0.06, 0.05, 0.17]] * 15]
COVARIANCE = pose_covariance({"calibration": {"rotations": {"std_rad": STD_RAD, "correlation_percent": [10] * 1128}}})
SURE = np.full(NUM_JOINTS, 0.5)


def model(side="right"):
    return load_hand_model(side=side).without_forearm()


def posture(seed=0, side="right"):
    """A bent hand in front of the camera."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, 0.25, (16, 3))
    turns[0] = rng.normal(0, 0.6, 3)
    return Posture(Rotation.from_rotvec(turns).as_matrix(), np.zeros(NUM_BETAS), np.array([0.02, -0.03, 0.5]))


def joints_of(pose, side="right"):
    return skin(model(side), pose.rotations, pose.betas, pose.translation_m, mesh=False).joints.astype(np.float64)


def refined(said, keypoints, std=SURE, side="right"):
    return refine_pose(said, joints_of(said, side), keypoints, std, CAMERA, side, COVARIANCE)


def wrong(pose, rng, side="right", share=1.0):
    """A pose as the network may say it where `pose` is true."""
    turns = share * rng.multivariate_normal(np.zeros(TURNS), COVARIANCE).reshape(16, 3)
    turns = turns * ([1, 1, 1] if side == "right" else [1, -1, -1])
    return pose._replace(rotations=pose.rotations @ Rotation.from_rotvec(turns).as_matrix())


def off(pose, true, side="right"):
    """Mean distance of the joints about the wrist [m]."""
    a, b = joints_of(pose, side), joints_of(true, side)
    return np.linalg.norm((a - a[0]) - (b - b[0]), axis=-1).mean()


@pytest.mark.parametrize("side", ["left", "right"])
def test_keypoints_that_are_seen_well_mend_most_of_a_wrong_pose(side):
    rng = np.random.default_rng(1)
    before, after = [], []
    for seed in range(20):
        true = posture(seed)
        said = wrong(true, rng, side)
        found = refined(said, project(joints_of(true, side), CAMERA), SURE, side)
        before.append(off(said, true, side))
        after.append(off(found, true, side))
    assert np.mean(after) < 0.6 * np.mean(before)


def test_what_agrees_already_stays():
    true = posture(3)
    found = refined(true, project(joints_of(true), CAMERA))
    assert np.abs(joints_of(found) - joints_of(true)).max() < 1e-5
    assert found.betas is true.betas


def test_keypoints_that_nobody_is_sure_of_move_nothing():
    true, rng = posture(4), np.random.default_rng(4)
    keypoints = project(joints_of(true), CAMERA) + rng.normal(0, 20, (NUM_JOINTS, 2))
    found = refined(true, keypoints, np.full(NUM_JOINTS, 1e4))
    assert np.abs(found.rotations - true.rotations).max() < 1e-3


def test_the_less_sure_the_keypoints_the_less_they_move():
    true, rng = posture(5), np.random.default_rng(5)
    said, seen = wrong(true, rng), project(joints_of(true), CAMERA)
    moved = []
    for std in (1.0, 4.0, 16.0, 64.0):
        found = refined(said, seen, np.full(NUM_JOINTS, std))
        moved.append(np.linalg.norm(found.rotations - said.rotations))
    assert moved == sorted(moved, reverse=True) and moved[0] > 3 * moved[-1]


def test_a_mirrored_hand_gives_the_mirrored_answer():
    true, rng = posture(6), np.random.default_rng(6)
    said = wrong(true, rng)
    seen = project(joints_of(true), CAMERA) + rng.normal(0, 2, (NUM_JOINTS, 2))
    mirror = np.diag([-1.0, 1, 1])
    flipped = Posture(mirror @ said.rotations @ mirror, said.betas, said.translation_m * [-1, 1, 1])
    mirrored = np.column_stack([2 * CAMERA.K[0, 2] - seen[:, 0], seen[:, 1]])
    std = rng.uniform(1, 5, NUM_JOINTS)
    right = refined(said, seen, std)
    left = refined(flipped, mirrored, std, "left")
    assert np.allclose(mirror @ left.rotations @ mirror, right.rotations, atol=1e-5)
    assert np.allclose(left.translation_m * [-1, 1, 1], right.translation_m, atol=1e-6)


def test_of_a_hand_that_looks_smaller_less_than_half_is_taken_for_distance():
    rng, moved = np.random.default_rng(7), []
    for seed in range(10):
        true = posture(seed)
        said = wrong(true, rng)
        found = refined(said, project(joints_of(true) + np.array([0, 0, 0.05]), CAMERA))
        moved.append(joints_of(found)[:, 2].mean() - joints_of(said)[:, 2].mean())
    assert 0 < np.mean(moved) < 0.025


def test_rotations_stay_rotations_whatever_is_seen():
    rng = np.random.default_rng(8)
    for seed in range(20):
        keypoints = rng.uniform(-500, 1500, (NUM_JOINTS, 2))
        found = refined(posture(seed), keypoints)
        if found is not None:
            assert np.allclose(found.rotations @ np.swapaxes(found.rotations, 1, 2), np.eye(3), atol=1e-6)
            assert np.isfinite(found.translation_m).all()


def test_a_joint_that_does_not_count_may_lie_anywhere():
    true, rng = posture(9), np.random.default_rng(9)
    said, seen, std = wrong(true, rng), project(joints_of(true), CAMERA), SURE.copy()
    std[[4, 8]] = np.inf
    elsewhere = seen.copy()
    elsewhere[[4, 8]] = [[np.nan, 3], [9e3, -9e3]]
    one = refined(said, seen, std)
    other = refined(said, elsewhere, std)
    assert np.allclose(one.rotations, other.rotations)


def test_five_keypoints_or_a_hand_behind_the_camera_say_nothing():
    true, std = posture(10), np.full(NUM_JOINTS, np.inf)
    seen = project(joints_of(true), CAMERA)
    std[:5] = 1.0
    assert refined(true, seen, std) is None
    behind = true._replace(translation_m=np.array([0, 0, -0.5]))
    assert refined(behind, seen) is None


def told(**changes):
    rotations = {"std_rad": np.full((16, 3), 0.1).tolist(), "correlation_percent": [0] * 1128, "count": 500}
    return {"calibration": {"rotations": {**rotations, **changes}}}


def test_the_shipped_weights_tell_how_far_their_rotations_are_off():
    std = np.sqrt(np.diag(pose_covariance(load_bundle("unihope-s").manifest))).reshape(16, 3)
    assert 0.05 < std[0].mean() < 0.3 and 0.02 < std[1:].mean() < 0.2


def test_the_covariance_is_what_the_manifest_says():
    assert pose_covariance({}) is None and pose_covariance({"calibration": {}}) is None
    assert np.allclose(pose_covariance(told()), 0.01 * np.eye(48))
    tied = pose_covariance(told(correlation_percent=[100] * 1128))  # all one: not positive, were it not bounded
    assert np.allclose(tied, tied.T) and np.linalg.eigvalsh(tied).min() > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"std_rad": [0.1] * 47},
        {"std_rad": "much"},
        {"std_rad": np.full((16, 3), -0.1).tolist()},
        {"std_rad": np.full((16, 3), np.nan).tolist()},
        {"correlation_percent": [0] * 1127},
        {"correlation_percent": [101] * 1128},
        {"correlation_percent": None},
    ],
)
def test_a_garbled_calibration_is_named(changes):
    with pytest.raises(WeightsMismatch, match="calibration of rotations"):
        pose_covariance(told(**changes))
