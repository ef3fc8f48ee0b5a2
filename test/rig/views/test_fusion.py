"""Laws of the fusion: what perfect and imperfect views of true hands become."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.rig import fuse
from prehend.types import GraspEstimate, ObjectEstimate


def off_mm(one, truth) -> float:
    return 1e3 * float(np.linalg.norm(one.hand.joints_m - truth.joints, axis=-1).mean())


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("side", ["left", "right"])
def test_perfect_views_give_the_truth(new_rig, new_hand, count, side):
    truth = new_hand(side, seed=count)
    [one] = fuse(new_rig(count).views([truth]))
    assert one.hand.side == side and len(one.cameras) == count
    assert np.abs(one.hand.joints_m - truth.joints).max() < 1e-4
    assert np.abs(one.hand.rotations - truth.rotations).max() < 1e-2
    assert np.abs(one.hand.vertices_m - truth.vertices).max() < 1e-3, "the mesh goes with the joints"
    assert all(view.used.all() and view.rms_px < 0.01 and view.apart_m < 1e-4 for view in one.views)


def test_views_that_err_in_distance_meet_where_their_rays_do(new_rig, new_hand, errors):
    """A single camera knows the pixels and guesses the distance; two cameras know it."""
    for seed in range(4):
        truth = new_hand(seed=seed)
        views = new_rig(2).views(
            [truth], errors(px=2, depth=0.1, turn=0.15, betas=0.7, rng=np.random.default_rng(seed))
        )
        [one] = fuse(views)
        alone = [
            np.linalg.norm(
                v.hands[0].joints_m @ v.T_rig_camera[:3, :3].T + v.T_rig_camera[:3, 3] - truth.joints, axis=-1
            )
            for v in views
        ]
        assert off_mm(one, truth) < 5 and off_mm(one, truth) < 0.5e3 * min(float(d.mean()) for d in alone)


def test_more_views_are_better_and_the_covariance_says_how_good(new_rig, new_hand, errors):
    def run(count: int) -> tuple[float, float]:
        off, said = [], []
        for seed in range(6):
            truth = new_hand(seed=seed)
            [one] = fuse(
                new_rig(count).views([truth], errors(px=4, depth=0.08, turn=0.2, rng=np.random.default_rng(seed)))
            )
            off.append(np.linalg.norm(one.hand.joints_m - truth.joints, axis=-1))
            said.append(np.sqrt(np.trace(one.joint_covariance_m2, axis1=1, axis2=2)))
        return float(np.sqrt(np.mean(np.square(off)))), float(np.sqrt(np.mean(np.square(said))))

    (off2, said2), (off8, said8) = run(2), run(8)
    assert off8 < off2 and said8 < said2
    assert off2 < said2 < 6 * off2 and off8 < said8 < 6 * off8, "cautious, for keypoints err together"


def test_the_order_of_cameras_is_no_matter(new_rig, new_hand, errors):
    truths = [new_hand("left", 1, (-0.08, 0, 0)), new_hand("right", 2, (0.08, 0, 0.03))]
    views = new_rig(4).views(truths, errors(px=3, depth=0.06, turn=0.1))
    straight, turned = fuse(views), fuse([views[0], *views[:0:-1]])
    assert len(straight) == len(turned) == 2
    for a, b in zip(straight, turned, strict=True):
        assert a.hand.side == b.hand.side and np.array_equal(a.hand.joints_m, b.hand.joints_m)
        assert [view.camera for view in a.views] == [view.camera for view in b.views]


def test_a_view_that_is_off_is_thrown_out_and_its_error_told(new_rig, new_hand, errors):
    truth = new_hand(seed=3)
    views = new_rig(4).views([truth], errors(px=1, depth=0.05))
    wrong = views[2].hands[0]
    size = float(np.ptp(wrong.keypoints_px, axis=0).max())
    moved = replace(wrong, keypoints_px=wrong.keypoints_px + np.array([0.35, 0.2]) * size)
    [one] = fuse([*views[:2], replace(views[2], hands=(moved,)), views[3]])
    assert one.cameras == ("cam0", "cam1", "cam3") and off_mm(one, truth) < 2
    told = {view.camera: view for view in one.views}
    assert not told["cam2"].used.any() and told["cam2"].rms_px > 0.3 * size > 10 * told["cam0"].rms_px


def test_a_joint_that_is_off_in_one_view_drops_out_there(new_rig, new_hand, errors):
    truth = new_hand(seed=5)
    views = new_rig(3).views([truth], errors(px=1))
    hand = views[1].hands[0]
    keypoints = hand.keypoints_px.copy()
    keypoints[8] += [60, 0]
    [one] = fuse([views[0], replace(views[1], hands=(replace(hand, keypoints_px=keypoints),)), views[2]])
    used = {view.camera: view.used for view in one.views}
    assert not used["cam1"][8] and used["cam1"].sum() == 20 and used["cam0"].all() and used["cam2"].all()
    assert np.linalg.norm(one.hand.joints_m[8] - truth.joints[8]) < 0.003


def test_a_hand_that_one_camera_alone_sees_is_what_that_camera_says(new_rig, new_hand, errors):
    truth = new_hand(seed=2)
    views = new_rig(3).views([truth], errors(px=2, depth=0.1, turn=0.1))
    own = views[1]
    [one] = fuse([replace(views[0], hands=()), own, replace(views[2], hands=())])
    T = own.T_rig_camera
    assert one.cameras == ("cam1",)
    assert np.allclose(one.hand.joints_m, own.hands[0].joints_m @ T[:3, :3].T + T[:3, 3])
    assert one.hand.position_std_m > 0.03, "as unsure of the distance as that camera"


def test_two_views_that_contradict_each_other_are_not_averaged(new_rig, new_hand, errors):
    """They may be two hands, or one may be wrong: either way nothing lies between them."""
    views = new_rig(2).views([new_hand(seed=1)], errors(px=1))
    other = new_rig(2).views([new_hand(seed=4, center=(0.0, 0.18, 0.0))], errors(px=1))
    found = fuse([views[0], other[1]])
    assert [len(one.cameras) for one in found] == [1, 1]


def test_hands_of_one_person_stay_two(new_rig, new_hand, errors):
    truths = {"left": new_hand("left", 7, (-0.06, 0, 0)), "right": new_hand("right", 8, (0.06, 0.02, 0))}
    for count in (2, 4):
        found = fuse(new_rig(count).views(list(truths.values()), errors(px=3, depth=0.08, turn=0.2)))
        assert sorted(one.hand.side for one in found) == ["left", "right"]
        assert all(len(one.cameras) == count and off_mm(one, truths[one.hand.side]) < 8 for one in found)


def test_one_view_of_the_wrong_side_is_outvoted(new_rig, new_hand, errors):
    truth = new_hand("right", 3)
    views = new_rig(3).views([truth], errors(px=1), cam1={"side": "left", "side_score": 0.6})
    [one] = fuse(views)
    assert one.hand.side == "right" and off_mm(one, truth) < 3


def test_grasps_are_voted_by_what_the_views_see(new_rig, new_hand):
    truth = new_hand(seed=1)
    grasp = new_rig(1).views([truth])[0].hands[0].grasp
    yes, no = replace(grasp, probability=0.95), replace(grasp, probability=0.1)
    hidden = {"grasp": no, "visible": np.zeros(21, np.bool_)}
    [one] = fuse(new_rig(3).views([truth], cam0={"grasp": yes}, cam1={"grasp": yes}, cam2=hidden))
    assert one.hand.grasp.probability > 0.85 and one.hand.grasp.state == "grasping"
    [one] = fuse(new_rig(3).views([truth], cam0={"grasp": yes}, cam1={"grasp": no}, cam2={"grasp": no}))
    assert one.hand.grasp.probability < 0.5 and one.hand.grasp.state == "not_grasping"


def test_what_is_held_lies_where_the_rays_of_its_views_meet(new_rig, new_hand):
    truth, place = new_hand(seed=1), np.array([0.03, 0.02, -0.01])
    changes, rig = {}, new_rig(3)
    for k, (name, T) in enumerate(zip(rig.names, rig.poses, strict=True)):
        pose = np.eye(4)
        pose[:3, :3] = T[:3, :3].T
        pose[:3, 3] = (1 + 0.06 * (k - 1)) * ((place - T[:3, 3]) @ T[:3, :3])  # along its ray
        box = rig.views([truth])[0].hands[0].box_px
        changes[name] = {
            "grasp": GraspEstimate("grasping", 0.9),
            "held_object": ObjectEstimate("mug", 0.8, np.zeros((21, 2)), box, pose, np.full(3, 0.1)),
        }
    [one] = fuse(rig.views([truth], **changes))
    held = one.hand.held_object
    assert held.object_id == "mug" and np.linalg.norm(held.T_camera_object[:3, 3] - place) < 0.012
    assert np.abs(held.T_camera_object[:3, :3] - np.eye(3)).max() < 1e-6


def test_nothing_gives_nothing(new_rig):
    assert fuse([]) == () and fuse(new_rig(2).views([])) == ()
