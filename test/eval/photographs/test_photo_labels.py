"""COCO files as people have them: what is in them is read as it is meant, or refused with the way out."""

import json

import numpy as np
import pytest

from prehend.conventions import JOINT_NAMES
from prehend.errors import SourceError
from prehend.eval.photographs.keypoint_names import order_of_names
from prehend.eval.photographs.labels import read_labels
from prehend.types import Box

POINTS = np.random.default_rng(5).uniform(100, 200, (21, 2))
FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
FROM_THE_TIP = ["wrist", *(f"{finger}{step}" for finger in FINGERS for step in (4, 3, 2, 1))]
"""The order of RHD and InterHand2.6M in COCO files."""
TO_THAT_ORDER = [0, *(1 + 4 * finger + step for finger in range(5) for step in (3, 2, 1, 0))]


def annotation(points=POINTS, image=1, seen=2.0, **more):
    known = np.full((21, 1), seen)
    return {"id": 1, "image_id": image, "category_id": 1, "keypoints": np.c_[points, known].ravel().tolist(), **more}


@pytest.fixture
def read(tmp_path):
    """read(annotations, names, **file): the photographs of a COCO file with image 1 of 640 x 480."""

    def photos(annotations, names=None, encoding="utf-8", **more):
        content = {
            "images": [{"id": 1, "file_name": "a/1.jpg", "width": 640, "height": 480}],
            "categories": [{"id": 1, "name": "left hand", **({} if names is None else {"keypoints": names})}],
            "annotations": annotations,
            **more,
        }
        path = tmp_path / "coco.json"
        path.write_text(json.dumps(content), encoding=encoding)
        return read_labels(path)

    return photos


def test_keypoints_of_another_order_are_put_into_ours_by_their_names(read):
    (photo,) = read([annotation(POINTS[TO_THAT_ORDER])], FROM_THE_TIP)
    (hand,) = photo.hands
    np.testing.assert_allclose(hand.keypoints_px, POINTS)
    assert hand.side == "left" and photo.size == (640, 480)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_named_joints_is_undone(seed):
    order = np.random.default_rng(seed).permutation(21)
    found = order_of_names([JOINT_NAMES[row] for row in order])
    assert found is not None and [int(order[row]) for row in found] == list(range(21))


@pytest.mark.parametrize(
    "names",
    [list(JOINT_NAMES), [str(n) for n in range(21)], ["wrist"] * 21, JOINT_NAMES[:20], None, "wrist", [None] * 21],
)
def test_names_that_are_ours_or_do_not_tell_change_nothing(names):
    assert order_of_names(names) is None


def test_a_hand_of_which_only_the_box_is_known_is_a_box(read):
    nothing = annotation(np.zeros((21, 2)), seen=0, bbox=[10, 20, 30, 40])
    (photo,) = read([nothing], all_hands_labelled=True)
    (hand,) = photo.hands
    assert hand.box_px == Box(9.5, 19.5, 39.5, 59.5) and hand.is_scored and photo.complete


@pytest.mark.parametrize(
    "more", [{"iscrowd": 1}, {"keypoints": [0] * 63}, {"keypoints": [0] * 63, "bbox": [1, 1, 0, 0]}]
)
def test_hands_that_are_there_and_not_labelled_leave_a_photograph_incomplete(read, more):
    (photo,) = read([annotation(), {**annotation(), **more}], all_hands_labelled=True)
    assert len(photo.hands) == 1 and not photo.complete
    (whole,) = read([annotation()], all_hands_labelled=True)
    assert whole.complete


def test_of_a_whole_body_hands_count_where_they_are_valid(read):
    kpts, nothing = annotation()["keypoints"], [0] * 63
    body = {"id": 3, "image_id": 1, "lefthand_kpts": kpts, "lefthand_valid": True, "lefthand_box": [100, 100, 99, 99]}
    beside = {"righthand_kpts": nothing, "righthand_valid": False, "righthand_box": [0, 0, 0, 0]}
    (photo,) = read([body | beside], all_hands_labelled=True)
    assert [hand.side for hand in photo.hands] == ["left"] and photo.complete
    blurred = beside | {"righthand_box": [5, 5, 20, 20]}
    (photo,) = read([body | blurred], all_hands_labelled=True)
    assert [hand.side for hand in photo.hands] == ["left"] and not photo.complete


def test_an_image_is_the_same_by_number_and_by_text(read):
    (photo,) = read([annotation(image="1")])
    assert len(photo.hands) == 1


def test_annotations_of_no_listed_image_are_told(read):
    with pytest.raises(SourceError, match="no annotation is of an image that the file lists"):
        read([annotation(image=17)])


def test_two_images_of_one_id_leave_open_whose_a_hand_is(read):
    images = [{"id": 1, "file_name": "a/1.jpg"}, {"id": "1", "file_name": "b/1.jpg"}]
    with pytest.raises(SourceError, match="two images have the id 1"):
        read([annotation()], images=images)


def test_a_byte_order_mark_changes_nothing(read):
    assert len(read([annotation()], encoding="utf-8-sig")) == 1


def test_shares_of_the_image_are_no_pixels(read):
    with pytest.raises(SourceError, match=r"annotation 1: keypoints lie between 0 and 1: give pixels"):
        read([annotation(POINTS / [640, 480])])


def test_joints_in_millimetres_are_refused(tmp_path):
    joints = np.random.default_rng(0).uniform(-0.08, 0.08, (21, 3)) + np.array([0, 0, 0.6])
    path = tmp_path / "labels.json"

    def read_joints(values):
        label = {"image": "1.jpg", "keypoints_px": POINTS.tolist(), "joints_m": values}
        path.write_text(json.dumps({"schema": "prehend.labels/1", "labels": [label]}))
        return read_labels(path)

    assert read_joints(joints.tolist())[0].hands[0].joints_m is not None
    with pytest.raises(SourceError, match=r"1.jpg: joints_m spans \d+ m: a hand does not; are they in metres?"):
        read_joints((1000 * joints).tolist())
    few = [row if number < 14 else None for number, row in enumerate((1000 * joints).tolist())]
    assert read_joints(few), "too few to tell"
