"""Depth bends fingers as far as the network's rotations may be wrong, and says how sure each joint is then."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.root import fit_root
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin, spins_of
from prehend.pipeline.depth.refine import refine_depth
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.networks.pose_refine import TURNS, PosePrior, of_side, pose_covariance
from prehend.pipeline.networks.uncertainty import joint_std
from prehend.types import Camera, Side

CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
STD_RAD = [[0.12, 0.1, 0.13], *[[0.03, 0.03, 0.3]] * 15]
CALIBRATION = {"rotations": {"std_rad": STD_RAD, "correlation_percent": [0] * 1128}}
COVARIANCE = pose_covariance({"calibration": CALIBRATION})
MODELS = {side: load_hand_model(side=side) for side in ("left", "right")}


def seen_wrong(truth: DecodedHand, side: Side, rng: np.random.Generator, share: float = 1.0) -> DecodedHand:
    """As a network sees it whose rotations are off as its weights say; keypoints are right."""
    assert COVARIANCE is not None
    covariance = of_side(COVARIANCE, side)
    turns = share * rng.multivariate_normal(np.zeros(TURNS), covariance).reshape(16, 3)
    rotations = truth.rotations @ matrix_from_axis_angle(turns)
    posed = skin(MODELS[side], rotations, truth.betas)
    fit = fit_root(posed.joints - posed.joints[0], truth.keypoints_px, CAMERA)
    assert fit is not None
    shift = fit.translation_m - posed.joints[0]
    return replace(
        truth,
        rotations=rotations,
        joints_m=posed.joints + shift,
        vertices_m=(posed.vertices + shift).astype(np.float32),
        keypoint_std_px=np.full(21, 3.0),
        prior=PosePrior(rotations, covariance),
    )


def off(hand: DecodedHand, truth: DecodedHand) -> np.ndarray:
    """(21,) distances of the joints about the wrist [m]."""
    return np.linalg.norm(hand.joints_m - hand.joints_m[0] - truth.joints_m + truth.joints_m[0], axis=-1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_come_to_where_depth_has_them(depth_of, new_hand, side: Side) -> None:
    rng, before, after, rigid = np.random.default_rng(0), [], [], []
    for seed in range(6):
        truth = new_hand(side, 0.03, seed=seed, z=0.5).decoded(CAMERA)
        depth = depth_of(truth.vertices_m, CAMERA)
        seen = seen_wrong(truth, side, rng)
        found = refine_depth(seen, MODELS[side], depth, CAMERA)
        before.append(off(seen, truth).mean())
        after.append(off(found, truth).mean())
        rigid.append(off(refine_depth(replace(seen, prior=None), MODELS[side], depth, CAMERA), truth).mean())
        # what is posed anew from turns and shape, as smoothing does, is the same hand
        posed = skin(MODELS[side], found.rotations, found.betas).joints
        np.testing.assert_allclose(posed - posed[0], found.joints_m - found.joints_m[0], atol=1e-4)
    assert np.mean(after) < 0.6 * np.mean(before)
    assert np.mean(after) < 0.8 * np.mean(rigid)


def test_how_sure_a_joint_is_follows_from_what_was_measured(depth_of, new_hand) -> None:
    rng = np.random.default_rng(1)
    truth = new_hand("right", 0.03, seed=3, z=0.5).decoded(CAMERA)
    seen = seen_wrong(truth, "right", rng, 0.5)
    depth = depth_of(truth.vertices_m, CAMERA)
    found = refine_depth(seen, MODELS["right"], depth, CAMERA)
    std = found.joint_std_m
    assert std is not None and std[0] == 0 and (std[1:] > 0.002).all() and (std[1:] < 0.03).all()
    unsure = refine_depth(replace(seen, keypoint_std_px=np.full(21, 12.0)), MODELS["right"], depth, CAMERA)
    assert unsure.joint_std_m is not None and (unsure.joint_std_m[1:] > std[1:]).all()
    bent_less = PosePrior(seen.rotations, 0.01 * of_side(COVARIANCE, "right"))
    held = refine_depth(replace(seen, prior=bent_less), MODELS["right"], depth, CAMERA)
    assert held.joint_std_m is not None and (held.joint_std_m[1:] < std[1:]).all()
    # one that depth says nothing of has none of it
    assert refine_depth(seen, MODELS["right"], np.zeros_like(depth), CAMERA).joint_std_m is None


def test_an_estimate_says_what_depth_says(depth_of, oracle, finder, camera, image, new_hand) -> None:
    oracle.bundle.manifest["calibration"] = CALIBRATION
    truth = new_hand("right", x=0.0, z=0.5)
    oracle.scene = [truth]
    depth = depth_of(truth.skinned.vertices, camera)
    alone, hand, empty = (
        Estimator(oracle, finder).estimate(image, camera, depth=one).hands[0]
        for one in (None, depth, np.zeros_like(depth))
    )
    assert hand.measured and not alone.measured
    assert hand.joint_std_m[0] == 0 and (hand.joint_std_m[1:] > 0).all()
    assert hand.position_std_m < alone.position_std_m
    assert joint_std(hand) is hand.joint_std_m
    for name in ("joints_m", "joint_std_m", "rotations", "position_std_m"):
        np.testing.assert_array_equal(getattr(empty, name), getattr(alone, name))


@pytest.mark.parametrize("joint", [0, 1, 5, 13])
def test_skin_turns_with_its_joint_and_those_before(joint: int) -> None:
    """A small turn of a joint moves vertices by share x (axis x arm), but for the pose's corrections."""
    model = replace(MODELS["right"], posedirs=np.zeros_like(MODELS["right"].posedirs))
    rng = np.random.default_rng(joint)
    rotations = matrix_from_axis_angle(rng.normal(0, 0.3, (16, 3)))
    turned, turn = rotations.copy(), 1e-3 * rng.normal(size=3)
    turned[joint] = rotations[joint] @ matrix_from_axis_angle(turn)
    before, after = (skin(model, R, np.zeros(10)) for R in (rotations, turned))
    axis = spins_of(rotations)[joint] @ turn
    expected = model.turned_by[:, joint, None] * np.cross(axis, before.vertices - before.joints16[joint])
    np.testing.assert_allclose(after.vertices - before.vertices, expected, atol=1e-5)
