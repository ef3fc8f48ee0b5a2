"""Labels as truth: which hands count, what they hold, and the points that ADD is taken over."""

from dataclasses import replace
from types import SimpleNamespace

import dataset_writers as writers
import numpy as np
import pytest
from fake import fake_sample

from prehend.errors import AssetError
from prehend.eval.papers.protocols import PROTOCOLS
from prehend.hand_model import load_hand_model, skin
from prehend_training.data.frames import MIN_SIDE_PX, MIN_VISIBLE
from prehend_training.evaluate.crops import _object_error, hand_answer
from prehend_training.evaluate.labels import (
    Labels,
    Shards,
    is_in_picture,
    labelled_box,
    must_be_found,
    object_model,
    spread_rows,
    surface_points,
)
from prehend_training.objects.symmetry import equivalent_points
from prehend_training.storage.shards import ShardFolder

SCENES = PROTOCOLS["scenes"]


@pytest.fixture(scope="module")
def sample():
    return next(one for one in (fake_sample(3, k) for k in range(20)) if one.objects)


@pytest.mark.parametrize("length", [1, 2, 7, 100])
@pytest.mark.parametrize("limit", [None, 1, 3, 100, 500])
def test_rows_are_spread_from_the_first_to_the_last(length, limit):
    rows = spread_rows([None] * length, limit)
    assert len(rows) == len(set(rows)) == min(length, limit or length) and rows == sorted(rows)
    assert rows[0] == 0 and (len(rows) == 1 or rows[-1] == length - 1)
    if len(rows) > 1:
        assert np.ptp(np.diff(rows)) <= 1


def test_each_triangle_gets_points_by_its_area():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [3, 0, 5], [0, 1, 5]])
    mesh = SimpleNamespace(vertices=vertices, faces=np.array([[0, 1, 2], [3, 4, 5]]))
    points = surface_points(mesh, 4000)
    high = points[:, 2] > 1
    assert high.mean() == pytest.approx(0.75, abs=1e-3)  # areas of 0.5 and 1.5
    np.testing.assert_allclose(points[high].mean(0), [1, 1 / 3, 5], atol=0.03)
    assert (points[~high, :2].sum(1) <= 1 + 1e-9).all() and (points >= 0).all()
    np.testing.assert_array_equal(points, surface_points(mesh, 4000))


def test_a_model_s_listed_points_come_before_its_mesh(sample, tmp_path):
    thing = replace(sample.objects[0], object_id="brick")
    labels = Labels(SCENES, tmp_path)
    assert labels.points(thing) is None
    writers.write_box_model(tmp_path / "bricks")
    np.testing.assert_allclose(labels.points(replace(thing, object_id="bricks")), writers.box_corners(), atol=1e-6)
    writers.write_box_model(tmp_path / "listed")
    (tmp_path / "listed" / "points.xyz").write_text("0 0 1\n0 2 0\n")
    np.testing.assert_array_equal(labels.points(replace(thing, object_id="listed")), [[0, 0, 1], [0, 2, 0]])


def test_a_protocol_says_which_label_is_a_grasp_and_which_things_are_symmetric(sample):
    hand = replace(sample.hands[0], grasp=True, displaced=False, object_index=0)
    ours, papers = Labels(SCENES), Labels(PROTOCOLS["dexycb-s0"])
    assert ours.grasps(hand) is True and papers.grasps(hand) is False
    assert ours.held(sample, hand) is sample.objects[0] and papers.held(sample, hand) is None
    assert ours.held(sample, replace(hand, object_index=None)) is None
    assert ours.grasps(replace(hand, grasp=None)) is None
    assert papers.is_symmetric("024_bowl") and not papers.is_symmetric("apple") and ours.is_symmetric("apple")


def test_a_case_is_the_label_and_what_hides_is_what_is_not_seen(sample):
    hand = replace(sample.hands[0], grasp=True, object_index=0, visible_ratio=0.7)
    case = Labels(SCENES).case(sample, hand, None, None)
    assert case.hidden == pytest.approx(0.3) and case.grasp is True and case.answer is None
    np.testing.assert_array_equal(case.joints_m, hand.joints_m)
    np.testing.assert_array_equal(case.held.truth, sample.objects[0].T_camera_object)
    assert case.held.predicted is None and case.held.object_id == "box"
    bare = Labels(SCENES).case(sample, replace(hand, grasp=False), None, None)
    assert bare.held is None and bare.grasp is False
    unknown = Labels(SCENES).case(sample, replace(hand, visible_ratio=float("nan")), None, None)
    assert np.isnan(unknown.hidden)


def test_true_joints_are_those_of_the_mesh_where_the_protocol_says_so(sample):
    """They keep the annotated wrist."""
    hand = sample.hands[0]
    moved = replace(hand, joints_m=hand.joints_m + np.arange(21)[:, None] * 0.001)
    model = load_hand_model(side=hand.side)
    papers = Labels(PROTOCOLS["dexycb-s0"], None, lambda side: model)
    joints, vertices = papers._true_pose(moved)
    posed = skin(model, hand.rotations, hand.betas)
    np.testing.assert_allclose(joints, posed.joints - posed.joints[0] + moved.joints_m[0], atol=1e-6)
    np.testing.assert_allclose(vertices - joints[0], posed.vertices - posed.joints[0], atol=1e-6)
    for labels in (Labels(SCENES, None, lambda side: model), Labels(PROTOCOLS["dexycb-s0"])):
        assert labels._true_pose(moved)[0] is moved.joints_m


def test_whether_a_hand_must_be_found_changes_at_its_limits(sample):
    hand = sample.hands[0]
    assert must_be_found(sample, replace(hand, visible_ratio=MIN_VISIBLE))
    assert not must_be_found(sample, replace(hand, visible_ratio=MIN_VISIBLE - 1e-6))
    small = np.array([10.0, 10, 12, 10 + MIN_SIDE_PX])
    assert must_be_found(sample, replace(hand, box_px=small))
    assert not must_be_found(sample, replace(hand, box_px=small - [0, 0, 0, 0.01]))
    beside = replace(hand, keypoints_px=hand.keypoints_px + 1000)
    assert not is_in_picture(sample, beside) and not must_be_found(sample, beside)
    fingertip = beside.keypoints_px.copy()
    fingertip[8] = 0
    assert is_in_picture(sample, replace(hand, keypoints_px=fingertip))
    assert not must_be_found(sample, replace(hand, keypoints_px=fingertip))


def test_a_labelled_box_is_what_a_perfect_detector_says(sample):
    hand, thing = sample.hands[0], sample.objects[0]
    found = labelled_box(hand, thing)
    np.testing.assert_allclose(found.box_px.as_array(), hand.box_px)
    np.testing.assert_allclose(found.object_box_px.as_array(), thing.box_px)
    assert (found.side, found.score) == (hand.side, 1) and labelled_box(hand, None).object_box_px is None
    np.testing.assert_array_equal(object_model(thing).extents_m, thing.extents_m)


def test_folders_are_read_one_after_the_other(crops, frames):
    both = Shards([crops, frames])
    first, second = ShardFolder.open(crops), ShardFolder.open(frames)
    assert len(both) == len(first) + len(second)
    for row in (0, len(first) - 1):
        assert both[row].frame_id == first.sample(row).frame_id
    for row in (0, len(second) - 1):
        assert both[len(first) + row].frame_id == second.sample(row).frame_id
    assert both[0].maps is None
    with pytest.raises(IndexError):
        both[len(both)]
    with pytest.raises(AssetError, match="no folder"):
        Shards([])


def test_any_of_the_equally_right_answers_about_a_thing_is_right(sample):
    thing = sample.objects[0]
    answers = equivalent_points(thing)
    K = sample.camera.K
    for points in answers:
        flat = points @ K.T
        assert _object_error(flat[:, :2] / flat[:, 2:], sample, thing) == pytest.approx(0, abs=1e-9)
    box = np.asarray(thing.box_px)
    off = _object_error(thing.keypoints_px + np.array([3.0, 4.0]), sample, thing)
    assert 0 < off <= 5 / np.linalg.norm(box[2:] - box[:2]) + 1e-9


def test_an_answer_s_errors_are_told_in_boxes_and_angles(sample):
    hand = sample.hands[0]
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    rotations = hand.rotations.copy()
    rotations[0] = rotations[0] @ turn
    seen = ~hand.visible
    seen[:7] = hand.visible[:7]
    said = SimpleNamespace(
        joints_m=hand.joints_m, vertices_m=hand.vertices_m, keypoints_px=hand.keypoints_px + np.array([3.0, 4.0]),
        rotations=rotations, visible=seen,
    )  # fmt: skip
    answer = hand_answer(hand, said, 0.4)
    longer = (hand.box_px[2:] - hand.box_px[:2]).max()
    assert answer.keypoint_error_box == pytest.approx(5 / longer) and answer.grasp == 0.4
    assert answer.turn_error_rad == pytest.approx(np.pi / 2, abs=1e-5) and answer.visibility_right == pytest.approx(
        1 / 3
    )
    assert answer.side is None and answer.placed
    assert np.isnan(hand_answer(replace(hand, rotations=None), said, 0.4).turn_error_rad)
