"""Balls in the flesh: they lie inside, tell apart what meets from what does not, and the mirror sees the same."""

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.hand_model import load_hand_model, skin
from prehend_training.assets.contact import fit_balls, penetration
from prehend_training.assets.gestures import FINGER_ROWS, GESTURES
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles

EYE = np.tile(np.eye(3), (16, 1, 1))
DIGIT_OF_JOINT = np.array([-1, *np.repeat(np.arange(5), 3)])


@pytest.fixture(scope="module")
def model():
    return load_hand_model()


@pytest.fixture(scope="module")
def balls(model):
    return fit_balls(model)


def posed(model, **digits):
    """The flat hand with flexions [degrees] of some digits."""
    angles = np.zeros((15, 3))
    for name, bends in digits.items():
        angles[FINGER_ROWS[name] : FINGER_ROWS[name] + 3, 0] = np.deg2rad(bends)
    return pose_from_angles(model, *angles.T)


def test_balls_lie_in_the_flesh_and_touch_the_skin(model, balls):
    rest = skin(model, EYE, np.zeros(10))
    away = np.linalg.norm(balls.centers[:, None] - rest.vertices, axis=2).min(1)
    np.testing.assert_allclose(balls.radii, away, atol=1e-6)  # as large as the skin allows, and no larger
    assert balls.radii.min() > 0.002 and balls.radii.max() < 0.02


def test_balls_lie_along_the_bone_that_carries_them(model, balls):
    rest = skin(model, EYE, np.zeros(10))
    assert set(balls.joint) == set(range(16))
    chains = {0: 1, 1: 2, 2: 4, 3: 3, 4: 0}  # MANO's digits as the fingers of the 21 joints
    for center, joint in zip(balls.centers, balls.joint, strict=True):
        if joint == 0:
            continue
        finger, part = chains[(joint - 1) // 3], (joint - 1) % 3
        start, end = rest.joints[1 + 4 * finger + part], rest.joints[2 + 4 * finger + part]
        share = (center - start) @ (end - start) / ((end - start) @ (end - start))
        assert 0.05 < share < 0.95
        assert np.linalg.norm(center - start - share * (end - start)) < 0.008


def test_pairs_are_of_different_digits_and_each_is_there_once(balls):
    first, second = DIGIT_OF_JOINT[balls.joint[balls.pairs]].T
    assert (first != second).all()
    assert len(np.unique(np.sort(balls.pairs, 1), axis=0)) == len(balls.pairs)
    bones = np.sort(balls.joint[balls.pairs], 1)
    assert not ((bones[:, 0] == 0) & (bones[:, 1] == 13)).any()  # the ball of the thumb is the palm's flesh
    assert (balls.allowed >= 0).all()


def test_one_pose_is_measured_as_in_a_batch(model):
    poses = np.stack([EYE, posed(model, index=(70, 90, 60)), posed(model, thumb=(40, 60, 80), index=(60, 40, 20))])
    together = penetration(model, poses)
    alone = [penetration(model, pose[None])[0] for pose in poses]
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert together[0] == 0


def test_fingers_that_cross_go_deeper_the_more_they_cross(model):
    angles = np.zeros((8, 15, 3))
    angles[:, 0, 1], angles[:, 3, 1] = np.linspace(0, -0.35, 8), np.linspace(0, 0.35, 8)
    depths = penetration(model, pose_from_angles(model, *np.moveaxis(angles, 2, 0)))
    assert depths[0] == 0 and (np.diff(depths) >= 0).all() and depths[-1] > depths[5] > 0


def test_fingers_that_only_bend_each_for_itself_do_not_meet(model):
    for name in ("index", "middle", "ring", "little"):
        assert penetration(model, posed(model, **{name: (60, 60, 30)})[None])[0] < MAX_PENETRATION_M


def test_the_depth_is_that_of_two_balls(model, balls):
    """Fingers crossed by their knuckles: the worst pair of balls overlaps by just that."""
    angles = np.zeros((15, 3))
    angles[0, 1], angles[3, 1] = -0.3, 0.3
    rotations = pose_from_angles(model, *angles.T)
    rest, moved = skin(model, EYE, np.zeros(10)), skin(model, rotations, np.zeros(10))
    centers = balls.centers.copy()
    for row, joint in enumerate(balls.joint):  # only two knuckles turn: all beyond them turns about them
        for knuckle in (1, 4):
            if knuckle <= joint < knuckle + 3:
                pivot = rest.joints16[knuckle]
                centers[row] = pivot + rotations[knuckle] @ (balls.centers[row] - pivot)
    np.testing.assert_allclose(moved.joints16[[1, 4]], rest.joints16[[1, 4]], atol=1e-6)
    gap = np.linalg.norm(centers[balls.pairs[:, 0]] - centers[balls.pairs[:, 1]], axis=1)
    deepest = (balls.radii[balls.pairs].sum(1) - gap - balls.allowed).max()
    assert penetration(model, rotations[None])[0] == pytest.approx(deepest, abs=1e-5)
    assert deepest > 0.005


@pytest.mark.parametrize("name", sorted(GESTURES)[::4])
def test_named_shapes_of_a_hand_are_within_the_limits_and_do_not_pierce(model, name):
    angles = GESTURES[name].angles_rad
    rotations = pose_from_angles(model, *angles.T)
    assert (angles >= model.limits_rad[..., 0] - 1e-9).all() and (angles <= model.limits_rad[..., 1] + 1e-9).all()
    depth = penetration(model, rotations[None])[0]
    assert depth <= MAX_PENETRATION_M
    assert penetration(model.mirrored(), (MIRROR @ rotations @ MIRROR)[None])[0] == pytest.approx(depth, abs=1e-6)


def test_angles_of_a_gesture_are_in_the_rows_of_its_digits_and_cannot_be_changed():
    point = GESTURES["point"]
    angles = point.angles_rad
    for name, row in FINGER_ROWS.items():
        np.testing.assert_allclose(np.rad2deg(angles[row : row + 3, 0]), getattr(point, name))
    np.testing.assert_allclose(np.rad2deg(angles[12, 1:]), [point.thumb_out, point.thumb_twist])
    spread = GESTURES["spread"].angles_rad
    np.testing.assert_allclose(np.rad2deg(spread[[0, 3, 9, 6], 1]), GESTURES["spread"].spread)
    with pytest.raises(ValueError, match="read-only"):
        angles[0, 0] = 1
