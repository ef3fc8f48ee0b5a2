import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput, ParameterError
from prehend.geometry.camera import project
from prehend.geometry.pnp import MIRRORED_ORDER
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.config import EstimatorConfig
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.grasp import GraspConfig
from prehend.pipeline.objects import ObjectModel
from prehend.pipeline.smooth import SmoothConfig
from prehend.pipeline.track import TrackConfig
from prehend.types import Box, Camera, FoundHand, FrameResult

MM = 1e-3


@pytest.fixture
def brick(brick_extents) -> ObjectModel:
    return ObjectModel("brick", "a brick", brick_extents, np.zeros(3))


@pytest.fixture
def estimator(oracle, finder, brick) -> Estimator:
    return Estimator(oracle, finder, object_model=brick)


def moved(hand, shift):
    T = hand.T_camera_object
    if T is not None:
        T = T.copy()
        T[:3, 3] += shift
    return replace(hand, translation=hand.translation + shift, T_camera_object=T)


def box_of(hand, camera: Camera) -> Box:
    return Box.around(project(hand.joints, camera))


def ids(result: FrameResult) -> list[int]:
    return [hand.track_id for hand in result.hands]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("seed", range(3))
def test_a_hand_comes_out_where_and_as_it_is(estimator, oracle, camera, image, new_hand, side, seed) -> None:
    truth = new_hand(side, x=0.04, seed=seed)
    oracle.scene = [truth]
    result = estimator.estimate(image, camera, stamp=1.5)
    (hand,) = result.hands
    assert (hand.side, hand.track_id, result.found, result.stamp) == (side, 1, True, 1.5)
    np.testing.assert_allclose(hand.keypoints_px, project(truth.joints, camera), atol=0.1)
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)
    np.testing.assert_allclose(hand.vertices_m, truth.skinned.vertices, atol=1 * MM)
    assert geodesic_angle(hand.rotations, truth.rotations).max() < 1e-3
    np.testing.assert_allclose(hand.betas, truth.betas, atol=1e-6)
    assert hand.fit_error_px < 0.1
    assert 0.03 < hand.position_std_m / truth.joints[0, 2] < 0.2
    assert hand.visible.all()
    assert hand.score > 0.9
    assert hand.held_object is None


def test_two_hands_one_grasping_in_one_picture(estimator, oracle, camera, image, new_hand) -> None:
    truths = [new_hand("left", x=-0.12, seed=1), new_hand("right", x=0.12, seed=2, grasp=True)]
    oracle.scene = truths
    for k in range(4):
        result = estimator.estimate(image, camera, stamp=k / 30)
    by_side = {hand.side: hand for hand in result.hands}
    for truth in truths:
        np.testing.assert_allclose(by_side[truth.side].joints_m, truth.joints, atol=1 * MM)
    assert by_side["left"].grasp.state == "not_grasping"
    assert by_side["right"].grasp.state == "grasping"
    assert by_side["right"].grasp.since == 0
    assert by_side["left"].held_object is None
    held = by_side["right"].held_object
    assert held is not None
    assert (held.object_id, round(held.score, 2)) == ("brick", 0.9)
    np.testing.assert_allclose(held.T_camera_object, truths[1].T_camera_object, atol=3 * MM)
    # both hands went through each stage in one batch, the object stage saw one
    assert ("encode", 2) in oracle.batches
    assert ("hand", 2) in oracle.batches
    assert {count for stage, count in oracle.batches if stage == "object"} == {1}


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_object_of_either_hand_has_its_true_pose(estimator, oracle, camera, image, new_hand, side) -> None:
    truth = new_hand(side, x=0.0, seed=3, grasp=True)
    oracle.scene = [truth]
    held = estimator.estimate(image, camera).hands[0].held_object
    assert held is not None
    np.testing.assert_allclose(held.T_camera_object, truth.T_camera_object, atol=3 * MM)
    points = truth.T_camera_object[:3, :3] @ np.array([0.03, 0.045, 0.08]) + truth.T_camera_object[:3, 3]
    np.testing.assert_allclose(held.keypoints_px[7], project(points, camera), atol=0.1)


def test_an_object_nobody_named_has_points_but_no_pose(oracle, finder, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0, seed=3, grasp=True)]
    held = Estimator(oracle, finder).estimate(image, camera).hands[0].held_object
    assert held is not None
    assert held.object_id == "unknown"
    assert held.T_camera_object is None
    assert np.isfinite(held.keypoints_px).all()


def test_an_object_far_from_the_hand_has_no_pose(estimator, oracle, camera, image, new_hand) -> None:
    truth = new_hand("right", x=0.0, seed=3, grasp=True)
    T = truth.T_camera_object.copy()
    T[:3, 3] *= 4
    oracle.scene = [replace(truth, T_camera_object=T)]
    held = estimator.estimate(image, camera).hands[0].held_object
    assert held is not None
    assert held.T_camera_object is None


def test_the_object_stage_is_not_run_without_a_grasp(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0), new_hand("left", x=0.15)]
    for _ in range(5):
        estimator.estimate(image, camera)
    assert oracle.calls["object"] == 0
    assert oracle.calls["hand"] == 5
    assert not np.concatenate(oracle.told).any(), "s of eq. (3) is 0"


class Replay:
    """A backend that answers what another one once answered, whatever it sees: what is made of it is then exact."""

    def __init__(self, oracle):
        self.name, self.bundle = "replay", oracle.bundle
        self.recorded: dict[str, dict[str, np.ndarray]] = {}
        oracle.spoil = lambda stage, outputs: self.recorded.__setitem__(stage, dict(outputs))

    def infer(self, stage, inputs):
        return self.recorded[stage]

    def close(self):
        pass


def test_the_mirror_image_gives_the_mirrored_result(oracle, camera, image, new_hand) -> None:
    mirrored_K = camera.K.copy()
    mirrored_K[0, 2] = camera.width - 1 - camera.K[0, 2]
    mirrored_camera = Camera(mirrored_K, camera.width, camera.height)

    def flip(b: Box) -> Box:
        return Box(camera.width - 1 - b.x1, b.y0, camera.width - 1 - b.x0, b.y1)

    truth = new_hand("right", x=0.06, seed=6, grasp=True)
    oracle.scene = [truth]
    box, thing = box_of(truth, camera), Box(100, 30, 190, 120)
    replay = Replay(oracle)
    plain = FoundHand(box, "right", object_box_px=thing)
    Estimator(oracle).estimate(image, camera, boxes=[plain])
    replay.recorded["hand"]["visibility_logit"] = np.linspace(-3, 3, 21, dtype=np.float32)[None]
    (a,) = Estimator(replay).estimate(image, camera, boxes=[plain]).hands
    flipped = FoundHand(flip(box), "left", object_box_px=flip(thing))
    (b,) = Estimator(replay).estimate(image[:, ::-1].copy(), mirrored_camera, boxes=[flipped]).hands
    assert (a.side, b.side) == ("right", "left")
    np.testing.assert_allclose(b.keypoints_px, a.keypoints_px * [-1, 1] + [camera.width - 1, 0], atol=1e-5)
    np.testing.assert_allclose(b.joints_m, a.joints_m * [-1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(b.vertices_m, a.vertices_m * [-1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(b.rotations, MIRROR @ a.rotations @ MIRROR, atol=1e-6)
    np.testing.assert_array_equal(b.visible, a.visible)
    assert 5 < a.visible.sum() < 15
    assert a.held_object is not None
    assert b.held_object is not None
    expected = (a.held_object.keypoints_px * [-1, 1] + [camera.width - 1, 0])[list(MIRRORED_ORDER)]
    np.testing.assert_allclose(b.held_object.keypoints_px, expected, atol=1e-5)


def test_crops_of_the_mirror_image_are_the_same(oracle, camera, new_hand) -> None:
    """The network is given the same numbers, up to the grey value that the warp rounds to."""
    seen = []

    class Watching(type(oracle)):
        def infer(self, stage, inputs):
            if stage == "encode":
                seen.append(np.array(inputs["image"]))
                inputs = {"image": np.zeros_like(inputs["image"])}
            return super().infer(stage, inputs)

    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    box = Box(61, 42, 139, 150)
    flipped = Box(camera.width - 1 - box.x1, box.y0, camera.width - 1 - box.x0, box.y1)
    Estimator(Watching(camera)).estimate(picture, camera, boxes=[FoundHand(box, "left")])
    Estimator(Watching(camera)).estimate(picture[:, ::-1].copy(), camera, boxes=[FoundHand(flipped, "right")])
    assert np.abs(seen[0] - seen[1]).max() < 0.05
    assert np.abs(seen[0] - seen[1]).mean() < 2e-3


def test_the_mirrored_scene_gives_the_mirrored_hands(oracle, finder, camera, image, new_hand) -> None:
    truth = new_hand("right", x=0.05, seed=4)
    centred = Camera(np.array([[260.0, 0, 127.5], [0, 255, 92], [0, 0, 1]]), camera.width, camera.height)
    oracle.camera = centred
    results = []
    for hand in (truth, truth.mirrored()):
        oracle.scene = [hand]
        results.append(Estimator(oracle, finder).estimate(image, centred).hands[0])
    a, b = results
    assert (a.side, b.side) == ("right", "left")
    np.testing.assert_allclose(b.joints_m, a.joints_m * [-1, 1, 1], atol=0.5 * MM)


def test_ids_persist_while_hands_move_and_cross_and_the_finder_rests(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorConfig(track=TrackConfig(find_interval=8)))
    left, right = new_hand("left", x=-0.14, seed=1), new_hand("right", x=0.14, seed=2)
    sides: dict[int, set[str]] = {}
    looked = []
    for k in range(24):
        oracle.scene = [moved(left, [0.012 * k, 0, 0.25]), moved(right, [-0.012 * k, 0, 0])]
        result = estimator.estimate(image, camera, stamp=k / 30)
        looked.append(result.found)
        assert len(result.hands) >= 1
        for hand in result.hands:
            sides.setdefault(hand.track_id, set()).add(hand.side)
    assert looked[:9] == [True] + [False] * 7 + [True]
    assert finder.calls == sum(looked) <= 12
    assert all(len(names) == 1 for names in sides.values())
    assert ids(result) == sorted(ids(result))


@pytest.mark.parametrize(("gap", "number"), [(1, 1), (5, 1), (20, 2)])
def test_a_hand_that_comes_back_soon_keeps_its_number(estimator, oracle, camera, image, new_hand, gap, number) -> None:
    hand = new_hand("right", x=0.0)
    seen = []
    for k in range(20 + gap):
        oracle.scene = [] if 10 <= k < 10 + gap else [hand]
        seen.append(ids(estimator.estimate(image, camera, stamp=k / 30)))
    assert seen[: 10 + gap] == [[1]] * 10 + [[]] * gap
    assert seen[-1] == [number]
    assert estimator.drops == {"no_hand": 1}


def test_the_finder_rests_while_all_is_well(estimator, finder, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    for k in range(10):
        result = estimator.estimate(image, camera, stamp=k / 30)
        assert result.found == (k == 0)
    assert finder.calls == 1
    estimator.estimate(image, camera, stamp=10 / 30)
    assert finder.calls == 2


def test_without_tracking_every_picture_stands_alone(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorConfig(tracking=False))
    oracle.scene = [new_hand("right", x=0.0, grasp=True, seed=3)]
    results = [estimator.estimate(image, camera) for _ in range(3)]
    assert finder.calls == 3
    assert [ids(result) for result in results] == [[1], [2], [3]]
    assert {result.hands[0].grasp.state for result in results} == {"grasping"}
    np.testing.assert_array_equal(results[0].hands[0].joints_m, results[2].hands[0].joints_m)


def test_grasp_begins_unknown_and_is_dated(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorConfig(grasp=GraspConfig(frames=2)))
    free = new_hand("right", x=0.0, seed=3)
    holding = new_hand("right", x=0.0, seed=3, grasp=True)
    states = []
    for k in range(8):
        oracle.scene = [holding if k >= 4 else free]
        grasp = estimator.estimate(image, camera, stamp=float(k) / 10).hands[0].grasp
        states.append((grasp.state, grasp.since))
    assert [state for state, _ in states] == ["unknown"] + ["not_grasping"] * 4 + ["grasping"] * 3
    assert states[-1][1] == pytest.approx(0.4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_finder_that_takes_sides_for_each_other_is_put_right_at_once(
    estimator, oracle, camera, image, new_hand, side
) -> None:
    hand = new_hand(side, x=0.04, seed=2)
    oracle.scene = [replace(hand, found_as="left" if side == "right" else "right")]
    for k in range(12):
        (seen,) = estimator.estimate(image, camera, stamp=k / 30).hands
        assert (seen.side, seen.track_id) == (side, 1)
        np.testing.assert_allclose(seen.joints_m, hand.joints, atol=1 * MM)


def test_a_settled_side_costs_nothing(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene, oracle.sure_of_side = [new_hand("right", x=0.0)], 1.0
    for k in range(12):
        estimator.estimate(image, camera, stamp=k / 30)
    counts = [count for stage, count in oracle.batches if stage == "encode"]
    assert len(counts) == 12 + 6, "the mirrored crop is looked at until the side is settled"
    oracle.sure_of_side = 5.0
    oracle.batches.clear()
    estimator.reset()
    estimator.estimate(image, camera)
    assert [count for stage, count in oracle.batches if stage == "encode"] == [1], "clear at once"


def test_only_the_hands_in_doubt_are_mirrored_and_in_one_batch(estimator, oracle, camera, image, new_hand) -> None:
    left, right = new_hand("left", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)
    oracle.scene = [replace(left, found_as="right"), replace(right, found_as="left"), new_hand("right", x=0.0, seed=4)]
    hands = estimator.estimate(image, camera).hands
    assert sorted(hand.side for hand in hands) == ["left", "right", "right"]
    assert [count for stage, count in oracle.batches if stage == "encode"] == [3, 2]


def test_evidence_that_wavers_does_not_flip_a_hand(estimator, oracle, camera, image, new_hand) -> None:
    rng = np.random.default_rng(0)
    oracle.scene = [new_hand("right", x=0.0)]
    for k in range(60):
        oracle.sure_of_side = 5.0 if k < 4 else float(rng.normal(1.0, 2.0))
        assert estimator.estimate(image, camera, stamp=k / 30).hands[0].side == "right"


def test_weights_that_know_no_sides_believe_the_finder(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorConfig(max_fit_error=9.0))
    oracle.scene, oracle.sure_of_side = [replace(new_hand("right", x=0.05, seed=3), found_as="left")], 0.0
    for k in range(5):
        assert estimator.estimate(image, camera, stamp=k / 30).hands[0].side == "left"
    assert oracle.calls["encode"] == 5


def test_a_box_with_a_side_keeps_it_and_one_without_is_tried_both_ways(oracle, camera, image, new_hand) -> None:
    truth = new_hand("left", x=0.05, seed=3)
    oracle.scene = [truth]
    box = box_of(truth, camera)
    with Estimator(oracle, config=EstimatorConfig(max_fit_error=9.0)) as estimator:
        assert estimator.estimate(image, camera, boxes=[FoundHand(box, "right")]).hands[0].side == "right"
        assert oracle.calls["encode"] == 1
        estimator.reset()
        for k in range(3):
            (hand,) = estimator.estimate(image, camera, stamp=k / 30, boxes=[FoundHand(box, None)]).hands
            assert (hand.side, hand.track_id) == ("left", 2)
            np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_another_hand_where_one_was_lost_is_another_number(estimator, oracle, camera, image, new_hand) -> None:
    right, left = new_hand("right", x=0.0), new_hand("left", x=0.0)
    seen = []
    for k in range(20):
        oracle.scene = [right] if k < 8 else [] if k < 14 else [left]
        seen.append([(hand.track_id, hand.side) for hand in estimator.estimate(image, camera, stamp=k / 30).hands])
    assert seen[7] == [(1, "right")]
    assert seen[-1] == [(2, "left")]


def test_smoothing_calms_the_answer_and_not_the_boxes(oracle, finder, camera, image, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    rng = np.random.default_rng(0)

    def spoil(stage, outputs):
        if stage == "hand":
            outputs["keypoints"] += rng.normal(0, 0.02, outputs["keypoints"].shape).astype(np.float32)

    oracle.spoil = spoil
    jitter = []
    for config in (EstimatorConfig(), EstimatorConfig(smooth=SmoothConfig(min_cutoff_hz=1.0, beta=0.5))):
        estimator = Estimator(oracle, finder, config=config)
        oracle.scene = [hand]
        places = [estimator.estimate(image, camera, stamp=k / 30).hands[0] for k in range(40)]
        for name in ("joints_m", "keypoints_px"):
            jitter.append(np.linalg.norm(np.diff([getattr(one, name) for one in places[10:]], axis=0), axis=-1).mean())
    assert jitter[2] < 0.4 * jitter[0]
    assert jitter[3] < 0.4 * jitter[1]
    np.testing.assert_allclose(places[-1].joints_m, hand.joints, atol=6 * MM)


def test_an_unknown_camera_is_assumed_and_said_so(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    result = estimator.estimate(image)
    assert result.camera.estimated
    assert np.isnan(result.hands[0].position_std_m)
    assert np.isfinite(result.hands[0].joints_m).all()
    known = Estimator(oracle, estimator._finder).estimate(image, camera)
    assert not known.camera.estimated


def test_a_distorted_camera_is_undone(oracle, finder, image, camera, new_hand) -> None:
    distorted = Camera(camera.K, camera.width, camera.height, np.array([0.15, -0.1, 0.002, -0.001, 0]))
    oracle.camera = distorted
    truth = new_hand("left", x=0.12, seed=5)
    oracle.scene = [truth]
    hand = Estimator(oracle, finder).estimate(image, distorted).hands[0]
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_a_camera_for_another_size_is_scaled_or_refused(estimator, oracle, camera, image, new_hand) -> None:
    truth = new_hand("right", x=0.0)
    oracle.scene = [truth]
    K = np.diag([2.0, 2, 1]) @ camera.K
    K[:2, 2] += 0.5
    double = Camera(K, 2 * camera.width, 2 * camera.height)
    result = estimator.estimate(image, double)
    np.testing.assert_allclose(result.camera.K, camera.K)
    np.testing.assert_allclose(result.hands[0].joints_m, truth.joints, atol=1 * MM)
    with pytest.raises(InvalidInput, match=r"640 x 640.*256 x 192"):
        estimator.estimate(image, Camera(camera.K, 640, 640))


def test_boxes_of_the_caller_are_used_and_answered(estimator, finder, oracle, camera, image, new_hand) -> None:
    truth = replace(new_hand("left", x=0.05), presence=-3.0)
    oracle.scene = [truth]
    result = estimator.estimate(image, camera, boxes=[FoundHand(box_of(truth, camera), "left")])
    assert not result.found
    assert finder.calls == 0
    np.testing.assert_allclose(result.hands[0].joints_m, truth.joints, atol=1 * MM)
    assert result.hands[0].score < 0.1, "whether there is a hand is for the reader to judge"
    assert estimator.estimate(image, camera, boxes=[]).hands == ()
    assert finder.calls == 0
    with pytest.raises(InvalidInput, match="does not touch the image of 256 x 192"):
        estimator.estimate(image, camera, boxes=[FoundHand(Box(300, 10, 400, 90), "left")])


def test_without_finder_and_boxes_it_says_so(oracle, camera, image, new_hand) -> None:
    estimator = Estimator(oracle)
    with pytest.raises(InvalidInput, match="no finder"):
        estimator.estimate(image, camera)
    truth = new_hand("right", x=0.0)
    oracle.scene = [truth]
    estimator.estimate(image, camera, boxes=[FoundHand(box_of(truth, camera), "right")])
    assert ids(estimator.estimate(image, camera)) == [1], "followed from the caller's box"


def test_an_empty_picture_has_no_hands(estimator, finder, oracle, camera, image) -> None:
    result = estimator.estimate(image, camera, stamp=3.0)
    assert result.hands == ()
    assert result.found
    assert oracle.calls == {}
    assert {"find", "crop", "infer", "decode", "total"} == set(result.timing_ms)
    assert all(value >= 0 for value in result.timing_ms.values())
    assert result.timing_ms["total"] == pytest.approx(sum(v for k, v in result.timing_ms.items() if k != "total"))


@pytest.mark.parametrize("name", ["keypoints", "rotations", "betas", "visibility_logit", "presence_logit"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_drop_that_hand_and_count(
    estimator, oracle, camera, image, new_hand, name, value
) -> None:
    oracle.scene = [new_hand("left", x=-0.12, seed=1), new_hand("right", x=0.12, seed=2)]

    def spoil(stage, outputs):
        if name in outputs:
            outputs[name][0].flat[0] = value

    oracle.spoil = spoil
    result = estimator.estimate(image, camera)
    if (name, value) in (("visibility_logit", np.inf), ("presence_logit", np.inf)):
        assert len(result.hands) == 2, "an infinite logit is a certainty"
    else:
        assert len(result.hands) == 1
        assert sum(estimator.drops.values()) == 1
        assert set(estimator.drops) == {"not_finite"}
    assert all(np.isfinite(hand.joints_m).all() for hand in result.hands)


def test_object_points_that_are_none_cost_the_object_and_not_the_hand(
    estimator, oracle, camera, image, new_hand
) -> None:
    oracle.scene = [new_hand("right", x=0.0, seed=3, grasp=True)]

    def spoil(stage, outputs):
        if stage == "object":
            outputs["object_points"][0, 3, 2, 1] = np.nan

    oracle.spoil = spoil
    (hand,) = estimator.estimate(image, camera).hands
    assert hand.held_object is None


def test_answers_that_contradict_themselves_are_dropped(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    faults = {
        "bad_fit": lambda out: out["keypoints"].__iadd__(np.float32(np.random.default_rng(0).normal(0, 0.4, (21, 2)))),
        "bad_rotation": lambda out: out["rotations"].__imul__(1.5),
        "no_position": lambda out: out["keypoints"].__imul__(0),
        "left_image": lambda out: out["keypoints"].__iadd__(50),
    }
    for reason, fault in faults.items():
        oracle.spoil = lambda stage, out, fault=fault: fault(out) if stage == "hand" else None
        assert estimator.estimate(image, camera).hands == ()
        assert estimator.drops.get(reason) == 1, reason


def test_two_tracks_that_end_on_one_hand_become_one(estimator, oracle, camera, image, new_hand) -> None:
    still, coming = new_hand("right", x=0.0), new_hand("right", x=0.14)
    seen = []
    for k in range(15):
        oracle.scene = [still, moved(coming, [-0.01 * k, 0, 0])]
        seen.append(ids(estimator.estimate(image, camera, stamp=k / 30)))
    assert seen[0] == [1, 2]
    assert seen[-1] == [1]
    assert estimator.drops["duplicate"] == 1


def test_every_box_of_the_caller_is_answered_even_on_one_hand(estimator, oracle, camera, image, new_hand) -> None:
    truth = new_hand("right", x=0.0)
    oracle.scene = [truth]
    box = box_of(truth, camera)
    shifted = Box(box.x0 + 4, box.y0, box.x1 + 4, box.y1)
    result = estimator.estimate(image, camera, boxes=[FoundHand(box, "right"), FoundHand(shifted, "right")])
    assert ids(result) == [1, 2]
    for hand in result.hands:
        np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_a_weak_hand_is_kept_longer_than_it_takes_to_begin(estimator, oracle, camera, image, new_hand) -> None:
    weak = replace(new_hand("right", x=0.0), presence=-0.4)
    oracle.scene = [weak]
    assert estimator.estimate(image, camera).hands == ()
    oracle.scene = [replace(weak, presence=2.0)]
    assert len(estimator.estimate(image, camera).hands) == 1
    oracle.scene = [weak]
    assert len(estimator.estimate(image, camera).hands) == 1


def test_stamps_that_go_back_start_again(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    for stamp, expected in ((10.0, [1]), (10.1, [1]), (2.0, [2]), (2.1, [2]), (9.0, [3])):
        assert ids(estimator.estimate(image, camera, stamp=stamp)) == expected
    with pytest.raises(InvalidInput, match="stamp"):
        estimator.estimate(image, camera, stamp=float("nan"))


def test_reset_forgets_hands_but_not_numbers(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    assert ids(estimator.estimate(image, camera)) == [1]
    estimator.reset()
    assert ids(estimator.estimate(image, camera)) == [2]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5000, 3), (4320, 7680, 3)])
def test_absurd_image_sizes_give_a_result(estimator, shape) -> None:
    result = estimator.estimate(np.zeros(shape, np.uint8))
    assert result.hands == ()
    box = Box(-0.4, -0.4, shape[1] - 0.6, shape[0] - 0.6)
    assert estimator.estimate(np.zeros(shape, np.uint8), boxes=[FoundHand(box, "left")]).hands == ()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((10, 10, 3), np.float32),
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_what_is_no_image_is_refused(estimator, wrong) -> None:
    with pytest.raises(InvalidInput, match="image"):
        estimator.estimate(wrong)


def test_the_same_frames_give_the_same_numbers(oracle, finder, camera, image, new_hand, brick) -> None:
    def run() -> list[np.ndarray]:
        estimator = Estimator(oracle, finder, object_model=brick)
        out = []
        for k in range(6):
            oracle.scene = [moved(new_hand("right", x=0.0, seed=3, grasp=True), [0.004 * k, 0, 0])]
            hand = estimator.estimate(image, camera, stamp=k / 30).hands[0]
            out += [hand.joints_m, hand.held_object.T_camera_object]
        return out

    for a, b in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_are_not_changed_by_later_frames(estimator, oracle, camera, image, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    oracle.scene = [hand]
    first = estimator.estimate(image, camera).hands[0]
    copies = [np.array(first.joints_m), np.array(first.keypoints_px), np.array(first.rotations), np.array(first.betas)]
    oracle.scene = [moved(hand, [0.03, 0, 0])]
    estimator.estimate(image, camera)
    for kept, copy in zip((first.joints_m, first.keypoints_px, first.rotations, first.betas), copies, strict=True):
        np.testing.assert_array_equal(kept, copy)


def test_warm_up_runs_every_stage_and_leaves_no_trace(estimator, oracle, finder, camera, image, new_hand) -> None:
    estimator.warm_up()
    assert oracle.calls == {"encode": 1, "object": 1, "hand": 1}
    assert finder.calls == 1
    oracle.scene = [new_hand("right", x=0.0)]
    assert ids(estimator.estimate(image, camera)) == [1]


def test_memory_does_not_grow(estimator, oracle, camera, image, new_hand) -> None:
    hand = new_hand("right", x=0.0, grasp=True, seed=3)
    sizes = []
    tracemalloc.start()
    try:
        for k in range(60):
            oracle.scene = [] if k % 10 == 9 else [hand]
            estimator.estimate(image, camera, stamp=k / 30)
            oracle.told.clear()
            oracle.batches.clear()
            if k % 20 == 8:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert abs(sizes[-1] - sizes[-2]) < 50_000


def test_it_closes_what_it_was_given(oracle, finder) -> None:
    with Estimator(oracle, finder) as estimator:
        assert estimator.bundle is oracle.bundle
    assert oracle.closed
    assert finder.closed


def test_meshes_have_the_faces_of_their_side(estimator, oracle, camera, image, new_hand) -> None:
    for side in ("left", "right"):
        oracle.scene = [new_hand(side, x=0.0)]
        estimator.reset()
        hand = estimator.estimate(image, camera).hands[0]
        faces = estimator.hand_models[hand.side].faces
        corners = (hand.vertices_m - hand.joints_m[0])[faces]
        volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        assert volume > 1e-4, "faces look outwards: about a third of a litre"


@pytest.mark.parametrize(
    "wrong",
    [
        {"find_threshold": 0.0},
        {"presence": 1.0},
        {"keep_presence": 0.8},
        {"keep_find_threshold": 0.5},
        {"max_fit_error": 0.0},
        {"max_fit_error": float("nan")},
        {"fov_deg": 180.0},
    ],
)
def test_configuration_out_of_range_is_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        EstimatorConfig(**wrong)
