import time

import numpy as np
import pytest

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, MIRROR
from prehend.errors import InvalidInput
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.skinning import spins_of

IDENTITY = np.tile(np.eye(3, dtype=np.float32), (16, 1, 1))


@pytest.fixture
def pose(random_axis_angles, to_matrices):
    rng = np.random.default_rng(0)
    return to_matrices(random_axis_angles(rng, 4)), rng.normal(0, 1, (4, 10))


def test_zero_pose_is_the_shaped_template(rich):
    betas = np.random.default_rng(1).normal(0, 1, 10).astype(np.float32)
    result = skin(rich, IDENTITY, betas)
    shaped = rich.v_template + rich.shapedirs @ betas
    np.testing.assert_allclose(result.vertices, shaped, atol=1e-6)
    np.testing.assert_allclose(result.joints16, rich.J_regressor @ shaped, atol=1e-6)


def test_joints_are_the_named_ones(rich, pose):
    result = skin(rich, *pose)
    stacked = np.concatenate([result.joints16, result.vertices[:, rich.tips]], 1)
    np.testing.assert_array_equal(result.joints, stacked[:, list(JOINTS_FROM_MANO)])


def test_turning_the_wrist_turns_everything_about_it(rich, pose, to_matrices):
    rotations, betas = pose
    turn = to_matrices(np.array([0.3, -1.2, 2.0]))
    turned = rotations.copy()
    turned[:, 0] = turn @ rotations[:, 0]
    before, after = skin(rich, rotations, betas), skin(rich, turned, betas)
    wrist = before.joints[:, :1]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose((a - wrist) @ turn.T + wrist, b, atol=2e-6)


def test_translation_moves_everything(hand, pose):
    rotations, betas = pose
    offset = np.random.default_rng(2).normal(0, 1, (4, 3))
    for a, b in zip(skin(hand, rotations, betas), skin(hand, rotations, betas, offset), strict=True):
        np.testing.assert_allclose(a + offset[:, None], b, atol=1e-6)


def test_bones_keep_their_lengths(rich, pose):
    rotations, betas = pose
    posed, rest = skin(rich, rotations, betas).joints16, skin(rich, IDENTITY, betas).joints16
    for j in range(1, 16):
        parent = 0 if j % 3 == 1 else j - 1
        np.testing.assert_allclose(
            np.linalg.norm(posed[:, j] - posed[:, parent], axis=1),
            np.linalg.norm(rest[:, j] - rest[:, parent], axis=1),
            atol=1e-6,
        )


def test_a_mirrored_hand_moves_as_in_the_mirror(rich, pose):
    rotations, betas = pose
    right = skin(rich, rotations, betas)
    left = skin(rich.mirrored(), MIRROR @ rotations @ MIRROR, betas)
    for a, b in zip(right, left, strict=True):
        np.testing.assert_allclose(a @ MIRROR, b, atol=1e-6)


def test_leading_dimensions_are_kept_and_broadcast(hand, pose):
    rotations, betas = pose
    every = skin(hand, rotations.reshape(2, 2, 16, 3, 3), betas.reshape(2, 2, 10))
    one = skin(hand, rotations[3], betas[3])
    assert every.vertices.shape == (2, 2, hand.num_vertices, 3)
    assert one.joints.shape == (21, 3)
    for a, b in zip(every, one, strict=True):
        np.testing.assert_allclose(a[1, 1], b, atol=1e-6)
    shared = skin(hand, rotations, np.zeros(10))
    assert shared.joints.shape == (4, 21, 3)


def test_the_forearm_changes_nothing_of_the_hand(hand, pose):
    whole = load_hand_model(forearm=True)
    np.testing.assert_allclose(skin(whole, *pose).vertices[:, whole.hand_mask], skin(hand, *pose).vertices, atol=1e-6)


def test_bending_goes_towards_the_palm(hand, to_matrices):
    palm = -1.0
    for joint in range(15):
        rotations = IDENTITY.copy()
        rotations[joint + 1] = to_matrices(hand.flexion_axes[joint] * np.float32(0.5))
        moved = skin(hand, rotations, np.zeros(10)).joints - skin(hand, IDENTITY, np.zeros(10)).joints
        tip = moved[[8, 12, 20, 16, 4][joint // 3]]
        assert np.linalg.norm(tip) > 0.005
        assert tip @ hand.abduction_axes[joint] < 0, "away from the back of the digit"
        if joint < 12:
            assert tip[1] * palm > 0, "to -y"


def test_wrong_shapes_are_named(hand):
    with pytest.raises(InvalidInput, match="rotations"):
        skin(hand, np.eye(3), np.zeros(10))
    with pytest.raises(InvalidInput, match="betas"):
        skin(hand, IDENTITY, np.zeros(11))


def test_one_hand_takes_a_moment(hand, pose):
    rotations, betas = pose[0][0].astype(np.float32), pose[1][0].astype(np.float32)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        skin(hand, rotations, betas)
        times.append(time.perf_counter() - start)
    assert min(times) < 5e-3, "generous, for busy machines; about 0.6 ms on an idle core"


def test_spins_turn_bones_of_the_rest_pose_into_those_of_the_pose(hand, pose):
    rotations = pose[0][0]
    spins = spins_of(rotations)
    rest, posed = (
        skin(hand, r, np.zeros(10), mesh=False).joints16 for r in (np.tile(np.eye(3), (16, 1, 1)), rotations)
    )
    for joint, parent in enumerate(MANO_PARENTS[1:], start=1):
        np.testing.assert_allclose(
            spins[parent] @ (rest[joint] - rest[parent]), posed[joint] - posed[parent], atol=1e-6
        )
