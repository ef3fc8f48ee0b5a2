from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput, ParameterError
from prehend.geometry.camera import project
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Box, Camera, FoundHand, FrameResult

MM = 1e-3


def box_of(hand, camera: Camera) -> Box:
    return Box.around(project(hand.joints, camera))


def ids(result: FrameResult) -> list[int]:
    return [hand.track_id for hand in result.hands]


def test_a_box_with_a_side_keeps_it_and_one_without_is_tried_both_ways(oracle, camera, image, new_hand) -> None:
    truth = new_hand("left", x=0.05, seed=3)
    oracle.scene = [truth]
    box = box_of(truth, camera)
    with Estimator(oracle, config=EstimatorOptions(max_fit_error=9.0)) as estimator:
        assert estimator.estimate(image, camera, boxes=[FoundHand(box, "right")]).hands[0].side == "right"
        assert oracle.calls["encode"] == 2, "as it stands and upright, but no mirror image"
        estimator.reset()
        for k in range(3):
            (hand,) = estimator.estimate(image, camera, stamp=k / 30, boxes=[FoundHand(box, None)]).hands
            assert (hand.side, hand.track_id) == ("left", 2)
            np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_an_unknown_camera_is_assumed_and_said_so(estimator, finder, oracle, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0)]
    result = estimator.estimate(image)
    assert result.camera.estimated
    assert np.isnan(result.hands[0].position_std_m)
    assert np.isfinite(result.hands[0].joints_m).all()
    known = Estimator(oracle, finder).estimate(image, camera)
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
    with pytest.raises(InvalidInput, match="no detector"):
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


def test_every_box_of_the_caller_is_answered_even_on_one_hand(estimator, oracle, camera, image, new_hand) -> None:
    truth = new_hand("right", x=0.0)
    oracle.scene = [truth]
    box = box_of(truth, camera)
    shifted = Box(box.x0 + 4, box.y0, box.x1 + 4, box.y1)
    result = estimator.estimate(image, camera, boxes=[FoundHand(box, "right"), FoundHand(shifted, "right")])
    assert ids(result) == [1, 2]
    for hand in result.hands:
        np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"detector_score": 0.0},
        {"min_score": 1.0},
        {"keep_score": 0.8},
        {"detector_keep_score": 1.5},
        {"detector_keep_score": 0.5, "detector_score": 0.4},
        {"max_fit_error": 0.0},
        {"max_fit_error": float("nan")},
        {"fov_deg": 180.0},
    ],
)
def test_configuration_out_of_range_is_refused(wrong) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        EstimatorOptions(**wrong)
