"""Depth puts a hand where its skin was measured, and leaves it alone where it says nothing of it."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend.pipeline.decode import DecodedHand
from prehend.pipeline.depth_refine import checked_depth, refine_depth
from prehend.pipeline.estimator import Estimator
from prehend.types import Camera

MM = 1e-3
MODEL = load_hand_model(side="right")
CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
WALL_M = 1.5


def true_hand(new_hand, seed: int) -> DecodedHand:
    return new_hand("right", 0.03, seed=seed, z=0.5).decoded(CAMERA)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_hand_at_a_wrong_distance_comes_back(depth_of, new_hand, seed: int, factor: float) -> None:
    truth = true_hand(new_hand, seed)
    depth = depth_of(truth.vertices_m, CAMERA)
    seen = truth.moved_away(factor)
    found = refine_depth(seen, MODEL.faces, depth, CAMERA)
    assert abs(seen.joints_m[0, 2] - truth.joints_m[0, 2]) > 40 * MM
    assert abs(found.joints_m[0, 2] - truth.joints_m[0, 2]) < 8 * MM
    np.testing.assert_allclose(found.joints_m - found.vertices_m[0], seen.joints_m - seen.vertices_m[0], atol=1e-6)
    assert found.position_std_m < 0.02 < seen.position_std_m


def test_holes_the_wall_and_what_hides_fingers_do_not_draw_it_away(depth_of, new_hand) -> None:
    truth = true_hand(new_hand, 1)
    depth = depth_of(truth.vertices_m, CAMERA)
    rng = np.random.default_rng(0)
    depth[rng.uniform(size=depth.shape) < 0.4] = 0
    depth[rng.uniform(size=depth.shape) < 0.1] = np.nan
    fingertips = truth.keypoints_px[[8, 12, 16]].astype(int)
    for x, y in fingertips:  # something before them, which the network does not notice, and the wall between them
        depth[y - 6 : y + 6, x - 6 : x + 6] = truth.joints_m[0, 2] - 0.05
    found = refine_depth(truth.moved_away(1.08), MODEL.faces, depth, CAMERA)
    assert abs(found.joints_m[0, 2] - truth.joints_m[0, 2]) < 8 * MM


def test_what_says_nothing_changes_nothing(depth_of, new_hand) -> None:
    hand = true_hand(new_hand, 2)
    wall = np.full((480, 640), WALL_M, np.float32)
    for depth in (None, np.zeros_like(wall), np.full_like(wall, np.nan), wall, -wall):
        assert refine_depth(hand, MODEL.faces, depth, CAMERA) is hand
    own = depth_of(hand.vertices_m, CAMERA)
    hidden = replace(hand, visible=np.zeros(21, np.bool_))
    assert refine_depth(hidden, MODEL.faces, own, CAMERA) is hidden


def test_an_assumed_camera_stays_unsure(depth_of, new_hand) -> None:
    hand = replace(true_hand(new_hand, 2), position_std_m=float("nan"))
    found = refine_depth(hand.moved_away(1.1), MODEL.faces, depth_of(hand.vertices_m, CAMERA), CAMERA)
    assert found.joints_m[0, 2] == pytest.approx(hand.joints_m[0, 2], abs=8 * MM)
    assert np.isnan(found.position_std_m)


def test_depth_of_another_size_or_in_millimetres_is_refused() -> None:
    assert checked_depth(None, (4, 3)) is None
    with pytest.raises(InvalidInput, match=r"aligned to the image.*\(4, 3\), expected \(3, 4\)"):
        checked_depth(np.zeros((4, 3)), (4, 3))
    with pytest.raises(InvalidInput, match="uint16, expected floating numbers in metres"):
        checked_depth(np.zeros((3, 4), np.uint16), (4, 3))


def test_the_estimator_takes_it_and_the_held_object_goes_along(
    depth_of, oracle, finder, brick, camera, image, new_hand
) -> None:
    truth = new_hand("right", x=0.02, z=0.5, grasp=True)
    oracle.scene = [truth]

    def small(stage: str, outputs: dict[str, np.ndarray]) -> None:
        if stage == "hand":  # the network takes it for a child's hand, which is nearer
            outputs["betas"][:, 0] -= 2.0
        if stage == "object":  # and is not sure of the object's size
            outputs["object_scale"][:, 1] = np.log(0.2)

    oracle.spoil = small
    depth = depth_of(truth.skinned.vertices, camera)
    estimator = Estimator(oracle, finder, object_model=brick)
    alone = estimator.estimate(image, camera).hands[0]
    estimator.reset()
    with_depth = estimator.estimate(image, camera, depth=depth).hands[0]
    error, before = (abs(hand.joints_m[0, 2] - truth.joints[0, 2]) for hand in (with_depth, alone))
    assert before > 15 * MM
    assert error < 8 * MM
    step = with_depth.joints_m[0, 2] - alone.joints_m[0, 2]
    poses = [hand.held_object.T_camera_object for hand in (with_depth, alone)]
    assert (poses[0] - poses[1])[2, 3] * np.sign(step) > 5 * MM
    estimator.reset()
    empty = estimator.estimate(image, camera, depth=np.zeros((192, 256)))
    np.testing.assert_array_equal(empty.hands[0].joints_m, alone.joints_m)
    with pytest.raises(InvalidInput, match="depth"):
        estimator.estimate(image, camera, depth=depth[::2, ::2])
