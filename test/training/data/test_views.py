import numpy as np
from fake import project

from prehend.conventions import MIRROR
from prehend.geometry.camera import rotation_camera_crop
from prehend.geometry.control_points import MIRRORED_ORDER
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.crop import CropSpec
from prehend.types import Box, Camera
from prehend_training.data.augment_presets import PAPER_CROPS, PAPER_CROPS_HO3D
from prehend_training.data.crop_targets import from_box, hand_targets
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.views import EXACT_VIEW, ViewConfig, apply_affine, draw_box, draw_turn, mirror_left, view_of

WILD = ViewConfig(turn_p=1.0)


def views(crops, config, count=24):
    folder, rng = ShardDataset([crops], "crops"), np.random.default_rng(0)
    for index in range(count):
        record = mirror_left(folder[index])
        size = record["image"].shape[1::-1]
        turn = draw_turn(size, config, rng)
        box = draw_box(Box.around(apply_affine(turn, record["keypoints_px"][0])), config, rng)
        yield record, view_of(turn, box, None, size, record["K"], 128)


def test_joints_of_the_crop_frame_project_on_the_keypoints_of_the_crop(crops):
    for record, view in views(crops, WILD):
        target = hand_targets(record, view)
        seen = project(target["joints"] + target["root"], target["projection"])
        told = from_box(target["keypoints"], target["hand_box"])
        assert np.allclose(seen, told, atol=0.02)
        assert np.allclose(told, apply_affine(view.affine, record["keypoints_px"][0]), atol=0.01)


def test_rotations_and_joints_tell_the_same_of_a_right_hand(crops):
    model = load_hand_model()
    for record, view in views(crops, WILD):
        target = hand_targets(record, view)
        posed = skin(model, target["rotations"], target["betas"]).joints
        assert np.allclose(posed - posed[0], target["joints"], atol=1e-5)


def test_the_crop_frame_looks_through_the_middle_of_the_crop(crops):
    for record, view in views(crops, WILD):
        target = hand_targets(record, view)
        assert np.allclose(project(np.array([0, 0, 1.0]), target["projection"]), 63.5, atol=1e-3)
        # and its x axis is the crop's: a step along x moves no pixel up or down at the middle
        step = project(np.array([0.001, 0, 1.0]), target["projection"]) - 63.5
        assert abs(step[1]) < 0.02 * step[0]


def test_without_a_turn_it_is_the_pipelines_crop(crops):
    folder = ShardDataset([crops], "crops")
    exact = views(crops, EXACT_VIEW)
    for index, (_, view) in enumerate(exact):
        record = folder[index]
        side = ("left", "right")[int(record["side"][0])]
        spec = CropSpec.from_box(Box.around(record["keypoints_px"][0]), side, (160, 160))
        view_of_original = view.affine @ np.diag([1.0, 1, 1])
        if side == "left":  # undo the mirror image: x -> 159 - x
            view_of_original = np.column_stack(
                [-view.affine[:, 0], view.affine[:, 1], view.affine[:, 2] + 159 * view.affine[:, 0]]
            )
        assert np.allclose(view_of_original, spec.affine, atol=1e-5)
        R = rotation_camera_crop(spec.center_px, Camera(record["K"], 160, 160))
        expected = MIRROR @ R @ MIRROR if side == "left" else R
        assert np.allclose(view.R_crop_camera.T, expected, atol=1e-6)


def test_mirrored_twice_is_the_same(crops):
    folder = ShardDataset([crops], "crops")
    left = next(folder[i] for i in range(len(folder)) if folder[i]["side"][0] == 0)
    once = mirror_left(left)
    assert once["side"][0] == 1
    assert mirror_left(once) is once
    twice = mirror_left({**once, "side": left["side"]})
    for name in left.keys() - {"side"}:
        assert np.allclose(twice[name], left[name], atol=1e-4), name


def test_a_mirrored_object_is_a_right_handed_box(crops):
    folder = ShardDataset([crops], "crops")
    for index in range(len(folder)):
        if folder[index]["has_object"][0]:
            points = mirror_left(folder[index])["object_points_m"][0]
            corner = points[..., 0, :]
            edges = np.stack([points[..., other, :] - corner for other in (1, 2, 4)], -1)
            assert (np.linalg.det(edges) > 0).all()
    assert sorted(MIRRORED_ORDER) == list(range(21))
    assert [MIRRORED_ORDER[i] for i in MIRRORED_ORDER] == list(range(21))


def test_boxes_stay_within_what_was_asked_for():
    rng, points = np.random.default_rng(0), np.array([[10.0, 20], [50, 40]])
    config = ViewConfig(center=0.1, scale=(0.9, 1.2), aspect=0.0)
    for _ in range(200):
        box = draw_box(Box.around(points), config, rng)
        assert 0.9 * 40 - 1e-9 <= box.width <= 1.2 * 40 + 1e-9
        assert np.abs(np.array(box.center) - [30, 30]).max() <= 4 + 1e-9
    assert draw_box(Box.around(points), EXACT_VIEW, rng).as_array().tolist() == [10, 20, 50, 40]


def angles(config, count=400):
    rng = np.random.default_rng(0)
    turns = np.array([draw_turn((100, 80), config, rng) for _ in range(count)])
    return np.rad2deg(np.arctan2(turns[:, 1, 0], turns[:, 0, 0]))


def test_the_papers_views_are_as_published():
    drawn = angles(PAPER_CROPS.view)
    assert np.abs(drawn).max() <= 60 + 1e-6 and 0.3 < (drawn == 0).mean() < 0.5
    assert 15 < drawn[drawn != 0].std() < 35
    assert np.histogram(angles(PAPER_CROPS_HO3D.view), 6, (-180, 180))[0].min() > 40
    rng, points = np.random.default_rng(0), np.array([[10.0, 20], [50, 40]])
    scales = np.array([draw_box(Box.around(points), PAPER_CROPS.view, rng).width / 40 for _ in range(300)])
    assert np.allclose([scales.min(), scales.max()], [0.8, 1.2])
    assert 0.5 < ((scales > 0.81) & (scales < 1.19)).mean() < 0.8
