"""Of which kind a crop is, and what each kind shows and asks."""

from dataclasses import replace

import numpy as np
import pytest
from fake import fake_sample

from prehend_training.data.cuts import CropDataConfig, draw_cut, exact
from prehend_training.data.pixels.plans import ALL, HELD_ALONE, NOTHING
from prehend_training.data.records import record_of
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.views import apply_affine, mirror
from prehend_training.sample import Sample

CONFIG = CropDataConfig(absent_p=0.0, wrong_side_p=0.0, background_p=0.0)


@pytest.fixture(scope="module")
def dataset(crops):
    return ShardDataset([crops], "crops")


@pytest.fixture(scope="module")
def place():
    """A record of a place without a hand."""
    sample = fake_sample(3, 0)
    return record_of(Sample(sample.image, None, sample.camera, np.eye(4), (), (), None, sample.frame_id), 1)


def cuts(record, config, dataset, count=30):
    return [draw_cut(record, config, dataset, np.random.default_rng(seed)) for seed in range(count)]


def test_the_same_draws_are_the_same_cut(dataset):
    config = replace(CONFIG, absent_p=0.5, wrong_side_p=0.5, background_p=0.5)
    for one, other in zip(cuts(dataset[0], config, dataset), cuts(dataset[0], config, dataset), strict=True):
        assert (one.has_hand, one.front, one.smear) == (other.has_hand, other.front, other.smear)
        np.testing.assert_array_equal(one.view.affine, other.view.affine)


def test_a_hand_is_shown_as_a_right_one_unless_the_wrong_side_is_wanted(dataset):
    for index in range(8):
        for p, right in ((0.0, 1), (1.0, 0)):
            for cut in cuts(dataset[index], replace(CONFIG, wrong_side_p=p), dataset, 3):
                assert cut.has_hand and cut.labelled and cut.targets["right"] == cut.record["side"][0] == right


def test_without_a_hand_all_that_a_hand_would_say_is_void(dataset, place):
    gone = [cut for k in range(6) for cut in cuts(dataset[k], replace(CONFIG, absent_p=1.0), dataset, 6)]
    for cut in [*gone, *cuts(place, CONFIG, dataset, 6)]:
        assert not cut.has_hand and cut.targets["presence"] == cut.targets["grasp"] == cut.targets["has_points"] == 0
        for name in ("joints", "keypoints", "visible", "object_points", "object_moments"):
            assert not cut.targets[name].any(), name
    names = {frozenset(cut.targets) for cut in [*gone, draw_cut(dataset[0], CONFIG, dataset, np.random.default_rng(0))]}
    assert len(names) == 1, "one batch holds all kinds"


def test_without_a_hand_each_kind_comes_and_shows_what_it_says(dataset):
    record = dataset[next(k for k in range(24) if dataset[k]["has_object"][0])]
    gone = cuts(record, replace(CONFIG, absent_p=1.0), dataset, 60)
    assert {cut.front for cut in gone} == {ALL, HELD_ALONE, NOTHING}
    for cut in gone:
        # the hand is beside the crop, or there is nothing of it in front of another background
        assert (cut.background is None) == (cut.front == ALL)
        if cut.front == ALL:
            joints = apply_affine(cut.view.affine, cut.record["keypoints_px"][0])
            inside = ((joints >= 0) & (joints < CONFIG.size_px)).all(-1)
            assert inside.mean() < 0.5


def test_where_more_hands_may_be_near_none_is_taken_for_missing(dataset):
    crowded = {**dataset[0], "has_beside": np.array(False)}
    assert all(cut.has_hand for cut in cuts(crowded, replace(CONFIG, absent_p=1.0), dataset))


def test_where_nobody_knows_what_is_in_front_no_background_is_changed(dataset):
    unknown = {**dataset[0], "has_front": np.array(False)}
    config = replace(CONFIG, background_p=1.0)
    assert all(cut.background is not None for cut in cuts(dataset[0], config, dataset))
    assert all(cut.background is None for cut in cuts(unknown, config, dataset))
    assert {cut.front for cut in cuts(unknown, replace(config, absent_p=1.0), dataset)} == {ALL}


def test_an_arm_in_a_place_is_nobodys(place, dataset):
    for cut in cuts(place, replace(CONFIG, absent_p=1.0, background_p=1.0), dataset, 6):
        assert not cut.labelled and cut.background is None and cut.front == ALL


def test_a_cut_of_the_mirror_image_is_the_mirror_image_of_the_cut(dataset):
    """Both are shown as a right hand: the same crop, whichever of the two was stored."""
    config = exact(CONFIG)
    for index in range(6):
        record = dataset[index]
        one, other = (draw_cut(each, config, dataset, np.random.default_rng(1)) for each in (record, mirror(record)))
        np.testing.assert_allclose(one.view.affine, other.view.affine, atol=1e-4)
        for name in ("joints", "keypoints", "rotations", "object_box", "visible"):
            np.testing.assert_allclose(one.targets[name], other.targets[name], atol=2e-4, err_msg=name)


def test_a_hand_without_a_known_direction_is_turned_anywhere(dataset):
    """With `upright` crops point up; where only a box is known, up may be anywhere."""
    upright = replace(exact(CONFIG), view=replace(exact(CONFIG).view, upright=True))
    record = dataset[0]
    known = [cut.view.affine for cut in cuts(record, upright, dataset, 8)]
    assert np.ptp(known, axis=0).max() < 1e-9
    boxed = {**record, "has_keypoints": np.zeros(1, np.bool_)}
    turns = [np.arctan2(A[1, 0], A[1, 1]) for A in (cut.view.affine for cut in cuts(boxed, upright, dataset, 40))]
    assert np.histogram(turns, 4, (-np.pi, np.pi))[0].min() >= 3
