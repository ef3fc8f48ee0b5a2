from dataclasses import replace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.geometry.camera import project
from prehend.geometry.pnp import MIRRORED_ORDER
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.estimator import Estimator
from prehend.types import Box, Camera, FoundHand, FrameResult

MM = 1e-3


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
    assert hand.keypoint_std_px.shape == (21,) and 0.1 < hand.keypoint_std_px.max() < 2, (
        "0.01 of the hand's longer side"
    )
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


def test_the_object_stage_is_told_what_is_known_of_the_object(oracle, finder, brick, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=0.0, seed=3, grasp=True)]
    Estimator(oracle, finder, object_model=brick).estimate(image, camera)
    np.testing.assert_array_equal(oracle.kinds, brick.kind[None])
    Estimator(oracle, finder).estimate(image, camera)
    np.testing.assert_array_equal(oracle.kinds, np.zeros((1, len(brick.kind))))


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
                inputs = {**inputs, "image": np.zeros_like(inputs["image"])}
            return super().infer(stage, inputs)

    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    box = Box(61, 42, 139, 150)
    flipped = Box(camera.width - 1 - box.x1, box.y0, camera.width - 1 - box.x0, box.y1)
    Estimator(Watching(camera)).estimate(picture, camera, boxes=[FoundHand(box, "left")])
    Estimator(Watching(camera)).estimate(picture[:, ::-1].copy(), camera, boxes=[FoundHand(flipped, "right")])
    half = len(seen) // 2
    for a, b in zip(seen[:half], seen[half:], strict=True):
        assert np.abs(a - b).max() < 0.05
        assert np.abs(a - b).mean() < 2e-3


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


def test_warm_up_runs_every_stage_and_leaves_no_trace(estimator, oracle, finder, camera, image, new_hand) -> None:
    estimator.warm_up()
    assert oracle.calls == {"encode": 1, "object": 1, "hand": 1}
    assert finder.calls == 1
    oracle.scene = [new_hand("right", x=0.0)]
    assert ids(estimator.estimate(image, camera)) == [1]


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


def test_the_object_stage_runs_once_for_all_hands(oracle, finder, brick, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("right", x=-0.1, grasp=True), new_hand("left", x=0.1, grasp=True)]
    sizes = []
    oracle.spoil = lambda stage, outputs: sizes.append(len(outputs["object_points"])) if stage == "object" else None
    hands = Estimator(oracle, finder, object_model=brick).estimate(image, camera).hands
    assert sizes == [2] and all(hand.held_object.T_camera_object is not None for hand in hands)
    by_side = {hand.side: hand for hand in hands}
    for truth in oracle.scene:
        assert np.linalg.norm(by_side[truth.side].joints_m - truth.joints, axis=-1).max() < 0.005
