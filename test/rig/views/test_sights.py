"""One view as measurements, and how views of one hand are told from views of two."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.rig.views.association import absorb, associate, pair_cost
from prehend.rig.views.fusion import fuse, in_pixels, voted_grasp, voted_side
from prehend.rig.views.held import fused_object
from prehend.rig.views.records import ViewError
from prehend.rig.views.sights import HIDDEN, LEAST_STD, UNKNOWN_STD, residuals, robust_weight, sights_of
from prehend.types import Box, Camera, GraspEstimate, ObjectEstimate

few = settings(max_examples=30, deadline=None, derandomize=True)


@few
@given(st.floats(0, 50), st.floats(0.1, 10), st.floats(1, 10))
def test_weights_fall_with_distance_and_never_exceed_one_over_the_variance(distance, std, limit):
    weights = robust_weight(np.array([0.0, distance, 2 * distance]), np.full(3, std), limit)
    assert weights[0] == pytest.approx(std**-2) and (np.diff(weights) <= 1e-12).all() and (weights >= 0).all()
    plain = robust_weight(np.array([distance]), np.array([std]), np.inf)
    assert plain[0] == pytest.approx(std**-2)
    assert robust_weight(np.array([distance]), np.array([np.inf]), limit)[0] == 0


def test_a_sight_is_what_its_camera_sees_in_the_rigs_frame(new_rig, new_hand):
    truth = new_hand(seed=1)
    for sight in sights_of(new_rig(3).views([truth])):
        np.testing.assert_allclose(sight.joints_m, truth.joints, atol=1e-6)
        assert geodesic_angle(sight.rotations[0], truth.rotations[0]) < 1e-5
        np.testing.assert_allclose(residuals(sight, truth.joints)[0], 0, atol=1e-3)
        assert sight.size_px == pytest.approx(np.ptp(sight.hand.keypoints_px, axis=0).max())


def test_the_image_of_a_sight_has_no_distortion(new_rig, new_hand):
    truth, rig = new_hand(seed=1), new_rig(2)
    view = rig.views([truth])[0]
    bent = Camera(view.camera.K, 640, 480, [0.1, -0.05, 0.001, 0, 0])
    there = in_pixels(replace(view.hands[0], joints_m=truth.joints), bent, view.T_rig_camera)
    (sight,) = sights_of([replace(view, camera=bent, hands=(replace(view.hands[0], keypoints_px=there.keypoints_px),))])
    np.testing.assert_allclose(residuals(sight, truth.joints)[0], 0, atol=0.05)


def test_how_sure_a_keypoint_is(new_rig, new_hand):
    view = new_rig(2).views([new_hand(seed=2)])[0]

    def std(**changes):
        (sight,) = sights_of([replace(view, hands=(replace(view.hands[0], **changes),))])
        return sight.std / sight.size_px

    np.testing.assert_allclose(std(keypoint_std_px=None), UNKNOWN_STD, rtol=1e-6)
    np.testing.assert_allclose(std(keypoint_std_px=np.full(21, 1e-6)), LEAST_STD, rtol=1e-6)
    visible = np.arange(21) != 8
    hidden = std(visible=visible) / std()
    assert hidden[8] == pytest.approx(HIDDEN) and np.delete(hidden, 8) == pytest.approx(1)


@pytest.mark.parametrize(
    "changes",
    [{"joints_m": np.full((21, 3), np.nan)}, {"keypoints_px": np.full((21, 2), np.nan)}, {"state": "coasting"}],
)
def test_hands_without_a_place_or_not_seen_now_are_no_measurement(new_rig, new_hand, changes):
    views = new_rig(2).views([new_hand()], cam0=changes)
    assert [sight.key for sight in sights_of(views)] == [("cam1", 1)]


@pytest.mark.parametrize("seed", range(3))
def test_what_speaks_against_two_views_does_not_depend_on_their_order_or_the_frame(new_rig, new_hand, errors, seed):
    views = new_rig(2).views([new_hand(seed=seed)], errors(px=3, depth=0.1, turn=0.2))
    a, b = sights_of(views)
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = matrix_from_axis_angle(np.array([0.5, 1.0, -0.3])), [4.0, 1, -2]
    c, d = sights_of([replace(view, T_rig_camera=move @ view.T_rig_camera) for view in views])
    assert pair_cost(a, b, {}) == pytest.approx(pair_cost(b, a, {}), rel=1e-3)
    assert pair_cost(c, d, {}) == pytest.approx(pair_cost(a, b, {}), rel=1e-3)


def test_what_was_one_hand_before_is_likelier_one_again_and_other_sides_speak_against_it(new_rig, new_hand):
    views = new_rig(2).views([new_hand(seed=1)])
    a, b = sights_of(views)
    plain = pair_cost(a, b, {})
    assert pair_cost(a, b, {a.key: 4, b.key: 4}) < plain == pair_cost(a, b, {a.key: 4, b.key: 5})
    other = replace(views[1], hands=(replace(views[1].hands[0], side="left"),))
    assert pair_cost(*sights_of([views[0], other]), {}) > plain + 1


@pytest.mark.parametrize("count", [2, 3])
def test_every_sight_is_in_one_group_and_no_group_has_a_camera_twice(new_rig, new_hand, errors, count):
    hands = [
        new_hand("left", 1, (-0.1, 0, 0)),
        new_hand("right", 2, (0.1, 0.02, 0)),
        new_hand("right", 3, (0, -0.2, 0)),
    ]
    sights = sights_of(new_rig(count).views(hands, errors(px=2, depth=0.05)))
    groups = associate(sights, {})
    keys = [sight.key for group in groups for sight in group]
    assert sorted(keys) == sorted(sight.key for sight in sights) and len(groups) == 3
    for group in groups:
        cameras = [sight.view.name for sight in group]
        assert len(set(cameras)) == len(cameras) and len({sight.key[1] for sight in group}) == 1


def test_a_bad_view_of_a_hand_that_others_see_is_thrown_out_and_one_elsewhere_is_not(new_rig, new_hand):
    truth = new_hand(seed=1)
    seen = sights_of(new_rig(3).views([truth]))
    assert absorb([seen[:2], [seen[2]]], [truth.joints, truth.joints]) == [(seen[:2], [seen[2]])]
    (elsewhere,) = sights_of(new_rig(3).views([new_hand(seed=1, center=(0.4, 0, 0))])[2:])
    kept = absorb([seen[:2], [elsewhere]], [truth.joints, elsewhere.joints_m])
    assert [len(group) for group, _ in kept] == [2, 1] and all(out == [] for _, out in kept)
    assert absorb([], []) == []


@few
@given(st.lists(st.tuples(st.sampled_from(["left", "right"]), st.floats(0.5, 1)), min_size=1, max_size=4))
def test_sides_are_voted_alike_in_any_order_and_in_the_mirror(votes):
    other = {"left": "right", "right": "left"}
    sights = [one_vote(side, score) for side, score in votes]
    odds = sum(
        (1 if side == "right" else -1) * np.log(np.clip(s, 0, 0.999) / (1 - np.clip(s, 0, 0.999))) for side, s in votes
    )
    if abs(odds) > 1e-6:
        won = voted_side(sights)
        assert voted_side(sights[::-1]) == won == ("right" if odds > 0 else "left")
        assert voted_side([one_vote(other[side], score) for side, score in votes]) == other[won]


class one_vote:
    """What `voted_side` looks at."""

    trust = 1.0

    def __init__(self, side, score, grasp=0.5):
        self.hand = type("Hand", (), {"side": side, "side_score": score, "grasp": GraspEstimate("unknown", grasp)})()


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_a_grasp_that_is_voted_lies_between_the_votes(chances):
    voted = voted_grasp([one_vote("left", 1.0, chance) for chance in chances])
    assert min(chances) - 1e-3 <= voted <= max(chances) + 1e-3
    denied = voted_grasp([one_vote("left", 1.0, 1 - chance) for chance in chances])
    assert voted == pytest.approx(1 - denied, abs=1e-6)
    with_unsure = voted_grasp(
        [*(one_vote("left", 1.0, chance) for chance in chances), one_vote("left", 1, float("nan"))]
    )
    assert with_unsure == pytest.approx(voted)
    assert np.isnan(voted_grasp([one_vote("left", 1.0, float("nan"))]))


def test_fused_hands_move_with_the_frame_of_the_rig(new_rig, new_hand, errors):
    views = new_rig(3).views([new_hand(seed=2)], errors(px=2, depth=0.05, turn=0.1))
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = matrix_from_axis_angle(np.array([0.4, -1.0, 0.3])), [3.0, -1.0, 2.0]
    [here] = fuse(views)
    [there] = fuse([replace(view, T_rig_camera=move @ view.T_rig_camera) for view in views])
    np.testing.assert_allclose(there.hand.joints_m, here.hand.joints_m @ move[:3, :3].T + move[:3, 3], atol=2e-4)
    np.testing.assert_allclose(there.hand.keypoints_px, here.hand.keypoints_px, atol=0.2)
    assert there.hand.position_std_m == pytest.approx(here.hand.position_std_m, rel=0.02)


def held(name="mug", score=0.9, place=(0, 0, 0.5), turn=0.0):
    T = None
    if place is not None:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array([0, 0, turn])), place
    return ObjectEstimate(name, score, np.zeros((21, 2)), Box(0, 0, 1, 1), T)


def with_held(sights, *things):
    return [
        sight._replace(hand=replace(sight.hand, held_object=thing)) for sight, thing in zip(sights, things, strict=True)
    ]


def test_what_most_trust_goes_to_is_held(new_rig, new_hand):
    truth = new_hand(seed=1)
    sights = sights_of(new_rig(3).views([truth]))
    assert fused_object(sights, truth.joints) is None
    told = fused_object(with_held(sights, held("mug", 0.5), held("box", 0.4), held("mug", 0.6)), truth.joints)
    assert told.object_id == "mug" and told.score == 0.6
    unposed = fused_object(with_held(sights, held("mug", place=None), None, None), truth.joints)
    assert unposed.T_camera_object is None and unposed.object_id == "mug"


def test_an_orientation_that_disagrees_with_the_surest_is_left_out(new_rig, new_hand):
    truth = new_hand(seed=1)
    sights = [sight._replace(R=np.eye(3), t=np.zeros(3)) for sight in sights_of(new_rig(3).views([truth]))]
    told = fused_object(with_held(sights, held(turn=0.1), held(turn=-0.1), held(turn=3.0, score=0.2)), truth.joints)
    R = told.T_camera_object[:3, :3]
    assert geodesic_angle(R, np.eye(3)) < 0.02
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)


def test_cameras_of_a_fused_hand_are_those_of_which_something_counts(new_rig, new_hand):
    [one] = fuse(new_rig(2).views([new_hand()]))
    assert one.cameras == ("cam0", "cam1")
    unused = replace(one, views=(*one.views, ViewError("cam9", 1, np.zeros(21, bool), 1.0, 0.1, 0.2)))
    assert unused.cameras == ("cam0", "cam1")
