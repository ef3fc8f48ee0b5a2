"""Depth puts a hand where its skin was measured, and leaves it alone where it says nothing of it."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.geometry.root import fit_root
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.depth.layers import own_depth
from prehend.pipeline.depth.refine import agreement, checked_depth, refine_depth
from prehend.pipeline.depth.register import UnalignedDepth
from prehend.pipeline.depth.skin import measured, visible_skin
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.networks.decode import DecodedHand
from prehend.types import Camera

MM = 1e-3
MODEL = load_hand_model(side="right")
CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
WALL_M = 1.5


def true_hand(new_hand, seed: int) -> DecodedHand:
    return new_hand("right", 0.03, seed=seed, z=0.5).decoded(CAMERA)


def lengths(hand: DecodedHand) -> np.ndarray:
    return np.linalg.norm(np.diff(hand.joints_m, axis=0), axis=-1)


def misplaced(hand: DecodedHand, turn_rad: np.ndarray, scale: float, bend: np.ndarray | float = 0.0) -> DecodedHand:
    """As a network sees it that turns, sizes and bends it wrong; its keypoints stay right, and its place follows."""
    rotations = matrix_from_axis_angle(bend + np.zeros((16, 3))) @ hand.rotations
    rotations[0] = matrix_from_axis_angle(turn_rad) @ hand.rotations[0]
    betas = MODEL.grown(hand.betas, scale)
    posed = skin(MODEL, rotations, betas)
    joints, vertices = posed.joints - posed.joints[0], posed.vertices - posed.joints[0]
    fit = fit_root(joints, hand.keypoints_px, CAMERA)
    return replace(
        hand,
        joints_m=joints + fit.translation_m,
        vertices_m=(vertices + fit.translation_m).astype(np.float32),
        rotations=rotations,
        betas=betas,
    )


def worst(hand: DecodedHand, truth: DecodedHand) -> float:
    """Largest distance of a joint from its true place [m]."""
    return float(np.linalg.norm(hand.joints_m - truth.joints_m, axis=-1).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_hand_at_a_wrong_distance_comes_back(depth_of, new_hand, seed: int, factor: float) -> None:
    truth = true_hand(new_hand, seed)
    depth = depth_of(truth.vertices_m, CAMERA)
    seen = truth.moved_away(factor)
    found = refine_depth(seen, MODEL, depth, CAMERA)
    assert abs(seen.joints_m[0, 2] - truth.joints_m[0, 2]) > 40 * MM
    assert abs(found.joints_m[0, 2] - truth.joints_m[0, 2]) < 8 * MM
    ratio = lengths(found) / lengths(seen)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)  # fingers stay bent as they were
    assert abs(ratio[0] - 1) < 0.03
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
    found = refine_depth(truth.moved_away(1.08), MODEL, depth, CAMERA)
    assert abs(found.joints_m[0, 2] - truth.joints_m[0, 2]) < 8 * MM


@pytest.mark.parametrize("seed", range(4))
def test_a_hand_that_is_turned_and_sized_wrong_is_put_right(depth_of, new_hand, seed: int) -> None:
    truth = true_hand(new_hand, seed)
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=3)
    seen = misplaced(truth, 0.35 * turn / np.linalg.norm(turn), 0.9)
    found = refine_depth(seen, MODEL, depth_of(truth.vertices_m, CAMERA), CAMERA)
    assert worst(seen, truth) > 25 * MM
    assert worst(found, truth) < 14 * MM
    assert np.linalg.norm(found.joints_m[0] - truth.joints_m[0]) < 8 * MM
    assert np.degrees(geodesic_angle(found.rotations[0], truth.rotations[0])) < 5
    assert lengths(found).sum() / lengths(truth).sum() == pytest.approx(1, abs=0.08)
    # what is posed anew from turns and shape, as smoothing does, is the same hand
    posed = skin(MODEL, found.rotations, found.betas).joints
    np.testing.assert_allclose(posed - posed[0], found.joints_m - found.joints_m[0], atol=2 * MM)


def spoiled(depth: np.ndarray, kind: str, other: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(3)
    depth, chance = depth.copy(), rng.uniform(size=depth.shape)
    if kind == "sparse":
        depth[chance < 0.95] = 0
    elif kind == "outliers":
        wrong = chance < 0.5
        depth[wrong] = rng.uniform(0.2, WALL_M, wrong.sum())
    elif kind == "coarse":
        depth = np.round(depth / 0.02).astype(np.float32) * 0.02
    elif kind == "another hand":
        depth = np.minimum(depth, other)
    return depth


@pytest.mark.parametrize("kind", ["sparse", "outliers", "coarse", "another hand"])
@pytest.mark.parametrize("seed", range(3))
def test_depth_that_is_poor_or_wrong_makes_nothing_worse(depth_of, new_hand, kind: str, seed: int) -> None:
    truth = true_hand(new_hand, seed)
    seen = misplaced(truth, np.array([0.2, -0.2, 0.1]), 0.93)
    # 8 cm before it, with its middle before the tip of the middle finger
    other = true_hand(new_hand, seed + 7).vertices_m
    other = other - other.mean(0) + 0.84 * truth.joints_m[12]
    depth = spoiled(depth_of(truth.vertices_m, CAMERA), kind, depth_of(other, CAMERA))
    found = refine_depth(seen, MODEL, depth, CAMERA)
    assert worst(found, truth) < worst(seen, truth) + 1 * MM
    # nor where the network was right already
    kept = refine_depth(truth, MODEL, depth, CAMERA)
    assert np.linalg.norm(kept.joints_m[0] - truth.joints_m[0]) < 8 * MM


def test_errors_are_as_large_as_it_says(depth_of, new_hand) -> None:
    """Wrists along the ray, of hands that a network puts wrong as far as `depth.fit` expects it, with noise."""
    rng, shares = np.random.default_rng(0), []
    for seed in range(6):
        truth = true_hand(new_hand, seed)
        depth = depth_of(truth.vertices_m, CAMERA)
        ray = truth.joints_m[0] / np.linalg.norm(truth.joints_m[0])
        for _ in range(6):
            bend = rng.normal(0, 0.15, (16, 3))
            seen = misplaced(truth, rng.normal(0, 0.2, 3), np.exp(rng.normal(0, 0.06)), bend)
            std = np.full(21, 5.0)
            pixels = truth.keypoints_px + rng.normal(0, 5.0, 2) + rng.normal(0, 3.0, (21, 2))
            seen = replace(seen, keypoints_px=pixels, keypoint_std_px=std)
            noisy = (depth * (1 + rng.normal(0, 0.005)) + rng.normal(0, 0.003, depth.shape)).astype(np.float32)
            found = refine_depth(seen, MODEL, noisy, CAMERA)
            if found.measured:
                shares.append(abs((found.joints_m[0] - truth.joints_m[0]) @ ray) / found.position_std_m)
    assert len(shares) > 18
    assert 0.6 < np.mean(np.array(shares) < 1) < 0.97
    assert np.mean(np.array(shares) < 2) > 0.85


def test_what_says_nothing_changes_nothing(depth_of, new_hand) -> None:
    hand = true_hand(new_hand, 2)
    wall = np.full((480, 640), WALL_M, np.float32)
    for depth in (None, np.zeros_like(wall), np.full_like(wall, np.nan), wall, -wall):
        assert refine_depth(hand, MODEL, depth, CAMERA) is hand
    own = depth_of(hand.vertices_m, CAMERA)
    hidden = replace(hand, visible=np.zeros(21, np.bool_))
    assert refine_depth(hidden, MODEL, own, CAMERA) is hidden


def test_what_tells_little_tells_roughly_how_far_it_is(depth_of, new_hand) -> None:
    """Two joints are too few to turn a hand by; its distance follows as far as the image is less sure of it."""
    truth = true_hand(new_hand, 0)
    depth = depth_of(truth.vertices_m, CAMERA)
    two = np.isin(np.arange(21), [0, 9])
    for factor, unsure_m, share in ((1.2, 0.2, 0.96), (1.08, 0.02, 0.2)):
        seen = replace(truth.moved_away(factor), visible=two, position_std_m=unsure_m)
        found = refine_depth(seen, MODEL, depth, CAMERA)
        gone = (seen.joints_m[0] - found.joints_m[0]) / (seen.joints_m[0] - truth.joints_m[0])
        assert not found.measured and found.position_std_m < unsure_m
        assert gone[2] == pytest.approx(share, abs=0.15)
        np.testing.assert_array_equal(found.rotations, seen.rotations)


def test_an_assumed_camera_stays_unsure(depth_of, new_hand) -> None:
    hand = replace(true_hand(new_hand, 2), position_std_m=float("nan"))
    found = refine_depth(hand.moved_away(1.1), MODEL, depth_of(hand.vertices_m, CAMERA), CAMERA)
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


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
@pytest.mark.parametrize("nearer_m", [0.04, 0.05, 0.1])
def test_what_covers_a_third_of_a_hand_does_not_draw_it(depth_of, new_hand, seed: int, nearer_m: float) -> None:
    truth = true_hand(new_hand, seed)
    depth, seen = depth_of(truth.vertices_m, CAMERA), truth.moved_away(0.97)  # which takes the covered part for seen
    plate, edge = depth.copy(), int(np.quantile(truth.keypoints_px[:, 0], 2 / 3))
    plate[:, edge:] = truth.joints_m[:, 2].min() - nearer_m
    free, covered = (refine_depth(seen, MODEL, image, CAMERA) for image in (depth, plate))
    assert covered.measured
    assert np.linalg.norm(covered.joints_m[0] - free.joints_m[0]) < 2 * MM


def test_a_nearer_surface_alone_is_left_out_and_nothing_else(depth_of, new_hand) -> None:
    truth = true_hand(new_hand, 0)
    depth = depth_of(truth.vertices_m, CAMERA)
    skin = visible_skin(truth.vertices_m, MODEL.faces, truth.joints_m, truth.visible)
    pixels = project(skin.points_m, CAMERA)
    away = measured(depth, skin.points_m, CAMERA) - skin.points_m[:, 2]
    assert own_depth(depth, skin, pixels, away, CAMERA, 0.2) is depth
    plate, edge = depth.copy(), int(np.quantile(truth.keypoints_px[:, 0], 2 / 3))
    plate[:, edge:] = truth.joints_m[:, 2].min() - 0.05
    before = plate.copy()
    left = own_depth(plate, skin, pixels, measured(plate, skin.points_m, CAMERA) - skin.points_m[:, 2], CAMERA, 0.2)
    np.testing.assert_array_equal(plate, before)  # which is the caller's
    x, y = np.rint(pixels).astype(int).T
    on_it = x > edge + 12
    assert on_it.sum() > 20 and (left[y[on_it], x[on_it]] == 0).all()
    free = x < edge - 12
    np.testing.assert_array_equal(left[y[free], x[free]], plate[y[free], x[free]])


def test_skin_agrees_where_it_was_measured(depth_of, new_hand) -> None:
    truth = true_hand(new_hand, 1)
    depth = depth_of(truth.vertices_m, CAMERA)
    assert agreement(truth, MODEL, depth, CAMERA) > 0.9
    aside = UnalignedDepth(depth, CAMERA, np.eye(4))
    assert agreement(truth, MODEL, aside, CAMERA) > 0.9
    away = truth.moved_away(1.06)
    assert agreement(away, MODEL, depth, CAMERA) < 0.1
    assert agreement(truth, MODEL, np.zeros_like(depth), CAMERA) == 0
    covered = depth.copy()
    covered[:, : int(truth.keypoints_px[:, 0].mean())] = 0
    assert 0.2 < agreement(truth, MODEL, covered, CAMERA) < 0.8
