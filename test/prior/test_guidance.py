"""Each kind of guidance lowers what is left of its own condition, measured apart from what pulls at it."""

import cv2
import numpy as np
import pytest
from prior_work import CAMERA, posed, prior, seen

from prehend.conventions import TIP_JOINTS
from prehend.hand_model import load_hand_model
from prehend.prior.conditions import Conditions
from prehend.prior.sampler import Sampling

HAND = posed(3)
FACES = load_hand_model().faces
QUICK = Sampling(steps=3, seed=2)
TIPS = list(TIP_JOINTS)


def palm(std_m=0.01):
    """Wrist and knuckles: they place the hand and tell nothing of its fingers."""
    joints = np.full((21, 3), np.nan)
    joints[[0, 5, 9, 13, 17]] = HAND.joints[[0, 5, 9, 13, 17]]
    return {"joints_m": joints, "joints_std_m": std_m}


def drawn(vertices):
    """(480, 640) where the camera sees a mesh."""
    mask = np.zeros((480, 640), np.uint8)
    for triangle in seen(vertices)[FACES].round().astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 1)
    return mask.astype(bool)


def without_and_with(**more):
    known = palm()
    return (prior().sample(2, Conditions(**{**known, **extra}), QUICK) for extra in ({}, more))


def test_joints_in_the_image():
    known = Conditions(keypoints_px=seen(HAND.joints), camera=CAMERA)
    free, guided = (prior().sample(2, known, QUICK._replace(guidance=g)) for g in ((), QUICK.guidance))
    assert guided.error_px.max() < 0.5 * free.error_px.min()


def test_a_part_of_the_mesh():
    known = Conditions(vertices_m=np.where(np.arange(len(HAND.vertices))[:, None] % 3 == 0, HAND.vertices, np.nan))
    free, guided = (prior().sample(2, known, QUICK._replace(guidance=g)) for g in ((), QUICK.guidance))
    assert guided.error_m.max() < 0.5 * free.error_m.min()


def test_points_of_a_depth_camera():
    points = HAND.vertices[::5]
    left = []
    for found in without_and_with(points_m=points):
        gaps = np.linalg.norm(points[None, :, None] - found.vertices_m[:, None], axis=3).min(2)
        left.append(gaps.mean(1))
    assert left[1].max() < 0.6 * left[0].min()


def test_a_mask_holds_the_hand_and_the_hand_fills_it():
    mask = drawn(HAND.vertices)
    outside, empty, shared = [], [], []
    for found in without_and_with(mask=mask, camera=CAMERA):
        masks = [drawn(mesh) for mesh in found.vertices_m]
        outside.append(np.array([(one & ~mask).sum() for one in masks]))
        empty.append(np.array([(mask & ~one).sum() for one in masks]))
        shared.append(np.array([(one & mask).sum() / (one | mask).sum() for one in masks]))
    assert outside[1].sum() < 0.7 * outside[0].sum()
    assert empty[1].sum() < 0.7 * empty[0].sum()
    assert shared[1].min() > shared[0].max()


def board(height_m):
    """Points and normals of a board before the palm, which faces the hand; its height over the mean joint."""
    grid = np.stack(np.meshgrid(np.linspace(-0.15, 0.15, 60), np.linspace(-0.15, 0.15, 60)), -1).reshape(-1, 2)
    points = np.concatenate([grid, np.zeros((len(grid), 1))], 1) + HAND.joints.mean(0) + [0, 0, height_m]
    return {"object_points_m": points, "object_normals": np.tile([0.0, 0, -1], (len(points), 1))}


def test_a_known_object_keeps_the_hand_out():
    thing = board(0.01)
    depth = []
    for found in without_and_with(**thing):
        inside = (found.vertices_m - thing["object_points_m"][0])[..., 2]
        depth.append(np.clip(inside, 0, None).sum(1))
    assert depth[0].min() > 0 and depth[1].max() < 0.7 * depth[0].min()


@pytest.mark.parametrize("finger", ["index", "little"])
def test_named_fingertips_touch_a_known_object(finger):
    thing = board(0.03)
    tip = TIPS[["thumb", "index", "middle", "ring", "little"].index(finger)]
    gaps = []
    for contact in ((), (finger,)):
        found = prior().sample(2, Conditions(**palm(), **thing, contact=contact), QUICK)
        off = np.linalg.norm(found.joints_m[:, tip, None] - thing["object_points_m"], axis=2)
        gaps.append(off.min(1))
    assert gaps[1].max() < 0.6 * gaps[0].min()


def test_a_larger_weight_leaves_less_and_weights_count_in_their_step():
    known = Conditions(joints_m=HAND.joints)

    def left(*guidance):
        return prior().sample(2, known, QUICK._replace(guidance=guidance, last=0)).error_m.mean()

    assert left(1.0) < left(0.01) < left(0.0)
    assert left(0.0, 0.0, 1.0) < left(1.0, 0.0, 0.0)
    assert left(0.0, 0.0, 0.0) == left(0.0) == left()


def test_guided_hands_of_a_batch_do_not_see_each_other():
    known = Conditions(**palm(), points_m=HAND.vertices[::5], mask=drawn(HAND.vertices), camera=CAMERA)
    many, one = (prior().sample(count, known, QUICK) for count in (3, 1))
    np.testing.assert_allclose(many.vertices_m[0], one.vertices_m[0], atol=1e-4)
