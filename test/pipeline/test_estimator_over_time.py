import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import FoundHand, FrameResult

MM = 1e-3


def ids(result: FrameResult) -> list[int]:
    return [hand.track_id for hand in result.hands]


def moved(hand, shift):
    T = hand.T_camera_object
    if T is not None:
        T = T.copy()
        T[:3, 3] += shift
    return replace(hand, translation=hand.translation + shift, T_camera_object=T)


def test_ids_persist_while_hands_move_and_cross_and_the_finder_rests(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorOptions(find_interval_s=8 / 30))
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


@pytest.mark.parametrize("hz", [5, 15, 30])
@pytest.mark.parametrize("phase", range(6))
def test_a_hand_hidden_for_less_than_half_a_second_keeps_its_number_at_any_rate(
    estimator, oracle, camera, image, new_hand, hz, phase
) -> None:
    left, right = new_hand("left", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)
    begin = 1.0 + phase / hz
    for k in range(round((begin + 1.2) * hz)):
        hidden = begin <= k / hz + 1e-6 and k / hz < begin + 0.4 - 1e-6
        oracle.scene = [left] if hidden else [left, right]
        result = estimator.estimate(image, camera, stamp=k / hz)
        numbers = {hand.side: hand.track_id for hand in result.hands}
        if k == 0:
            first = numbers
        if hidden:
            assert numbers == {"left": first["left"]}
    assert numbers == first


def test_the_finder_rests_while_all_is_well(estimator, finder, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    for k in range(10):
        result = estimator.estimate(image, camera, stamp=k / 30)
        assert result.found == (k == 0)
    assert finder.calls == 1
    estimator.estimate(image, camera, stamp=10 / 30)
    assert finder.calls == 2


def test_without_tracking_every_picture_stands_alone(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorOptions(tracking=False))
    oracle.scene = [new_hand("right", x=0.0, grasp=True, seed=3)]
    results = [estimator.estimate(image, camera) for _ in range(3)]
    assert finder.calls == 3
    assert [ids(result) for result in results] == [[1], [2], [3]]
    assert {result.hands[0].grasp.state for result in results} == {"grasping"}
    np.testing.assert_array_equal(results[0].hands[0].joints_m, results[2].hands[0].joints_m)


def test_the_side_comes_with_its_probability(oracle, finder, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=-0.08), new_hand("left", x=0.08)]
    estimator = Estimator(oracle, finder)
    for _ in range(3):
        for hand in estimator.estimate(image, camera).hands:
            assert 0.9 < hand.side_score < 1.0
    boxes = [FoundHand(hand.box_px, hand.side) for hand in estimator.estimate(image, camera).hands]
    assert {hand.side_score for hand in estimator.estimate(image, camera, boxes=boxes).hands} == {1.0}, "a user's word"
    oracle.spoil = lambda stage, outputs: outputs.get("side_logit", np.zeros(0)).fill(0)
    assert all(np.isnan(hand.side_score) for hand in Estimator(oracle, finder).estimate(image, camera).hands)


def test_grasp_begins_unknown_and_is_dated(oracle, finder, camera, image, new_hand) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorOptions())
    free = new_hand("right", x=0.0, seed=3)
    holding = new_hand("right", x=0.0, seed=3, grasp=True)
    states = []
    for k in range(8):
        oracle.scene = [holding if k >= 4 else free]
        grasp = estimator.estimate(image, camera, stamp=float(k) / 10).hands[0].grasp
        states.append((grasp.state, grasp.since))
    assert [state for state, _ in states] == ["unknown"] + ["not_grasping"] * 4 + ["grasping"] * 3
    assert states[-1][1] == pytest.approx(0.4)


@pytest.mark.parametrize("held", [False, True])
def test_a_single_photograph_says_whether_something_is_grasped(oracle, finder, camera, image, new_hand, held) -> None:
    oracle.scene = [new_hand("right", x=0.0, seed=3, grasp=held)]
    grasp = Estimator(oracle, finder).estimate(image, camera).hands[0].grasp
    assert (grasp.state, grasp.since) == ("grasping" if held else "not_grasping", None)


def test_a_held_object_moves_with_its_hand_and_its_own_errors_are_smoothed(
    oracle, finder, brick, camera, image, new_hand
) -> None:
    rng = np.random.default_rng(0)
    hand = new_hand("right", x=-0.06, seed=3, grasp=True)

    def spoil(stage, outputs):
        if stage == "object":
            outputs["object_points"][..., :2] += rng.normal(0, 0.02, (1, 21, 1, 2)).astype(np.float32)

    oracle.spoil = spoil
    errors = []
    for cutoff_hz in (0.0, 1.5):
        config, against = EstimatorOptions(smooth_min_cutoff_hz=cutoff_hz), []
        estimator = Estimator(oracle, finder, config=config, object_model=brick)
        for k in range(40):
            oracle.scene = [moved(hand, [0.12 * np.sin(k / 8), 0, 0])]
            (seen,) = estimator.estimate(image, camera, stamp=k / 30).hands
            pose = seen.held_object.T_camera_object
            assert pose is not None
            if k > 15:
                against.append(pose[:3, 3] - seen.joints_m[0])
        errors.append(np.linalg.norm(np.std(against, axis=0)))
    assert errors[1] < 0.5 * errors[0]


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
    assert len(counts) == 1 + 12 + 6, "one look to turn it; the mirrored crop until the side is settled"
    oracle.sure_of_side = 5.0
    oracle.batches.clear()
    estimator.reset()
    estimator.estimate(image, camera)
    assert [count for stage, count in oracle.batches if stage == "encode"] == [1, 1], "turned, and clear at once"


def test_only_the_hands_in_doubt_are_mirrored_and_in_one_batch(estimator, oracle, camera, image, new_hand) -> None:
    left, right = new_hand("left", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)
    oracle.scene = [replace(left, found_as="right"), replace(right, found_as="left"), new_hand("right", x=0.0, seed=4)]
    hands = estimator.estimate(image, camera).hands
    assert sorted(hand.side for hand in hands) == ["left", "right", "right"]
    assert [count for stage, count in oracle.batches if stage == "encode"] == [3, 3, 2]


def test_evidence_that_wavers_does_not_flip_a_hand(estimator, oracle, camera, image, new_hand) -> None:
    rng = np.random.default_rng(0)
    oracle.scene = [new_hand("right", x=0.0)]
    for k in range(60):
        oracle.sure_of_side = 5.0 if k < 4 else float(rng.normal(1.0, 2.0))
        assert estimator.estimate(image, camera, stamp=k / 30).hands[0].side == "right"


def test_weights_that_know_no_sides_believe_the_finder(old_oracle, old_finder, camera, image, new_hand) -> None:
    oracle = old_oracle
    estimator = Estimator(oracle, old_finder, config=EstimatorOptions(max_fit_error=9.0))
    oracle.scene, oracle.sure_of_side = [replace(new_hand("right", x=0.05, seed=3), found_as="left")], 0.0
    for k in range(5):
        assert estimator.estimate(image, camera, stamp=k / 30).hands[0].side == "left"
    assert oracle.calls["encode"] == 5


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
    for config in (
        EstimatorOptions(),
        EstimatorOptions(smooth_min_cutoff_hz=1.0, smooth_beta=0.5),
    ):
        estimator = Estimator(oracle, finder, config=config)
        oracle.scene = [hand]
        places = [estimator.estimate(image, camera, stamp=k / 30).hands[0] for k in range(40)]
        for name in ("joints_m", "keypoints_px"):
            jitter.append(np.linalg.norm(np.diff([getattr(one, name) for one in places[10:]], axis=0), axis=-1).mean())
    assert jitter[2] < 0.4 * jitter[0]
    assert jitter[3] < 0.4 * jitter[1]
    np.testing.assert_allclose(places[-1].joints_m, hand.joints, atol=6 * MM)


def test_two_tracks_that_end_on_one_hand_become_one(estimator, oracle, camera, image, new_hand) -> None:
    still, coming = new_hand("right", x=0.0), new_hand("right", x=0.14)
    seen = []
    for k in range(15):
        oracle.scene = [still, moved(coming, [-0.01 * k, 0, 0])]
        seen.append(ids(estimator.estimate(image, camera, stamp=k / 30)))
    assert seen[0] == [1, 2]
    assert seen[-1] == [1]
    assert estimator.drops["duplicate"] == 1


def test_a_weak_hand_is_kept_longer_than_it_takes_to_begin(estimator, oracle, camera, image, new_hand) -> None:
    config = EstimatorOptions()
    between = (config.min_score + config.lowest_kept) / 2
    weak = replace(new_hand("right", x=0.0), presence=float(np.log(between / (1 - between))))
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


def test_small_hands_are_looked_for_where_nothing_else_is(oracle, palms, camera, image, new_hand) -> None:
    near, far = new_hand("right", x=0.0), new_hand("right", x=0.0, z=1.4)
    estimator = Estimator(oracle, palms, config=EstimatorOptions(tracking=False))
    for scene, stages in (([near], {"detect": 1}), ([far], {"detect": 1, "detect_wide": 1})):
        oracle.scene = scene
        palms.calls.clear()
        estimator.estimate(image, camera)
        assert palms.calls == stages
    assert len(palms.calls) == 2


@pytest.mark.parametrize(
    ("detector", "network", "found"),
    [(0.6, 0.5, True), (0.3, 0.5, False), (0.3, 0.95, True), (0.1, 0.99, False)],
)
def test_where_the_detector_is_unsure_the_network_has_to_be_sure(
    oracle, palms, camera, image, new_hand, detector, network, found
) -> None:
    palms.bundle.manifest["thresholds"] = {"detect": 0.5, "detect_wide": 0.5, "detect_unsure": 0.2}
    oracle.bundle.manifest["calibration"] = {"presence": {"sure": 0.9}}
    palms.logit = float(np.log(detector / (1 - detector)))
    hand = replace(new_hand("right", x=0.0), presence=float(np.log(network / (1 - network))))
    for tracking in (False, True):
        oracle.scene = [hand]
        estimator = Estimator(oracle, palms, config=EstimatorOptions(tracking=tracking))
        assert len(estimator.estimate(image, camera, stamp=0.0).hands) == found
    oracle.scene = [replace(hand, presence=0.0)]
    assert len(estimator.estimate(image, camera, stamp=0.03).hands) == found, "then it is followed as any other"
    sure = EstimatorOptions(tracking=False, detector_score=0.5)
    oracle.scene = [hand]
    assert len(Estimator(oracle, palms, config=sure).estimate(image, camera).hands) == (detector >= 0.5)


@pytest.mark.parametrize("tracking", [False, True])
def test_where_nothing_that_was_found_is_a_hand_a_wide_look_follows(
    oracle, palms, camera, image, new_hand, tracking
) -> None:
    """Here the normal look sees a hand where there is none, and is blind to the one that the wide look sees."""
    none, far = replace(new_hand("right", x=0.1), presence=-5.0), new_hand("left", x=-0.1, z=1.4)
    oracle.scene = [none, far]
    estimator = Estimator(oracle, palms, config=EstimatorOptions(tracking=tracking))
    cameras = CamerasEstimator(["one"], oracle, palms, EstimatorOptions(tracking=tracking))
    for result in (
        estimator.estimate(image, camera, stamp=0.0),
        cameras.estimate({"one": CameraFrame(image, camera, 0.0)})["one"],
    ):
        assert [hand.side for hand in result.hands] == ["left"]
        assert result.found
    assert palms.calls == {"detect": 2, "detect_wide": 2}
    if tracking:
        oracle.scene = [none]
        for k in range(1, 40):
            assert not estimator.estimate(image, camera, stamp=5 + k / 30).hands
        assert palms.calls["detect_wide"] <= 6, "every half second"
    cameras.close()


@pytest.mark.parametrize("hz", [5, 30])
def test_wide_looks_of_a_video_are_rare_and_none_while_a_hand_is_followed(
    oracle, palms, camera, image, new_hand, hz
) -> None:
    estimator = Estimator(oracle, palms)
    for k in range(2 * hz):
        estimator.estimate(image, camera, stamp=k / hz)
    assert palms.calls["detect"] == 2 * hz
    assert palms.calls["detect_wide"] == pytest.approx(4, abs=1)
    oracle.scene = [new_hand("right", x=0.0)]
    palms.calls.clear()
    for k in range(2 * hz, 4 * hz):
        assert len(estimator.estimate(image, camera, stamp=k / hz).hands) == 1
    assert palms.calls["detect_wide"] == 0
    assert palms.calls["detect"] == pytest.approx(6, abs=1)


def test_a_detector_that_tells_directions_saves_the_second_look(oracle, palms, camera, image, new_hand) -> None:
    truth = new_hand("left", x=0.02, seed=3)
    oracle.scene = [truth]
    (hand,) = Estimator(oracle, palms).estimate(image, camera).hands
    assert oracle.calls["encode"] == 1
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)
