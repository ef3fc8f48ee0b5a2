"""Labelled hands become whole: by a network's pose, the prior and the joints."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import estimated_camera, project
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.types import Box, GraspEstimate, HandEstimate
from prehend_training.data.stores.photographs import PhotoDataset
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, read_labels, write_labels
from prehend_training.photos.whole import WholeRule, by_prior, chosen_photos, make_whole, open_denoiser, whole_hand

SIZE = 320, 240
CAMERA = estimated_camera(*SIZE)


@pytest.fixture(scope="module")
def denoiser():
    return open_denoiser()


def a_hand(side="right", seed=0, off=0.0):
    """An estimate of a bent hand; its pose is off by chance, as a network's is."""
    rng = np.random.default_rng(seed)
    pose = np.zeros((16, 3))
    pose[1:, 2] = rng.uniform(0, 0.6, 15) * (1 if side == "right" else -1)
    pose[0] = (0.2, 0.3, -1.2)
    errors = rng.normal(size=(16, 3)) * off
    rotations = matrix_from_axis_angle(pose) @ matrix_from_axis_angle(errors)
    posed = skin(load_hand_model(side=side), rotations, np.zeros(10))
    move = np.array([0.01, 0.03, 0.45]) - posed.joints[0]
    joints = posed.joints + move
    keypoints = project(joints, CAMERA)
    return HandEstimate(
        1, side, 0.9, Box.around(keypoints), keypoints, joints, posed.vertices + move, rotations, np.zeros(10),
        np.ones(21, bool), GraspEstimate("unknown", 0.0),
    )  # fmt: skip


class Says:
    """An estimator that answers with one hand, whatever it is shown."""

    bundle = SimpleNamespace(name="toy")

    def __init__(self, *hands):
        self.hands = hands

    def estimate(self, image, camera, boxes):
        return SimpleNamespace(hands=self.hands)


def label_of(hand, **changes):
    return PhotoHand(**{"box_px": hand.box_px, "keypoints_px": hand.keypoints_px, "side": hand.side, **changes})


IMAGE = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_prior_draws_a_pose_to_labelled_joints(denoiser, side):
    true, said = a_hand(side), a_hand(side, off=0.25)
    found = by_prior(denoiser, said, true.keypoints_px, CAMERA, np.full(21, 1.0))
    square = found @ np.swapaxes(found, -1, -2)
    assert np.abs(square - np.eye(3)).max() < 1e-9 and (np.linalg.det(found) > 0).all()

    def away(rotations):
        joints = skin(load_hand_model(side=side), rotations, np.zeros(10)).joints
        seen = project(joints - joints[0] + said.joints_m[0], CAMERA)
        return np.linalg.norm((seen - seen[0]) - (true.keypoints_px - true.keypoints_px[0]), axis=1).mean()

    assert away(found) < 0.6 * away(said.rotations)


@pytest.mark.parametrize("prior", [True, False])
def test_a_hand_becomes_whole_on_its_labels(denoiser, prior):
    true, said = a_hand(), a_hand(off=0.15)
    whole, why = whole_hand(Says(said), denoiser if prior else None, IMAGE, label_of(true), WholeRule())
    assert why == "whole" and whole.residual < 0.03 and whole.betas.shape == (10,)
    assert geodesic_angle(whole.rotations, true.rotations).mean() < 0.35
    again, _ = whole_hand(Says(said), denoiser if prior else None, IMAGE, label_of(true), WholeRule())
    assert np.array_equal(whole.rotations, again.rotations)


def test_what_does_not_fit_says_why(denoiser):
    true = a_hand()
    rule = WholeRule()
    small = label_of(true, box_px=Box(10, 10, 30, 30))
    assert whole_hand(Says(true), denoiser, IMAGE, small, rule) == (None, "small")
    assert whole_hand(Says(), denoiser, IMAGE, label_of(true), rule)[1] == "not seen so by the network"
    assert whole_hand(Says(a_hand("left")), denoiser, IMAGE, label_of(true), rule)[1] == "not seen so by the network"
    assert whole_hand(Says(true), denoiser, IMAGE, label_of(true, side=None), rule)[1] == "no joints or side"
    wild = np.random.default_rng(0).permutation(true.keypoints_px)
    assert whole_hand(Says(true), denoiser, IMAGE, label_of(true, keypoints_px=wild), rule)[0] is None
    bent = WholeRule(bent=1e-3)
    assert whole_hand(Says(a_hand(off=0.15)), denoiser, IMAGE, label_of(true), bent)[1] == "bent"
    with pytest.raises(InvalidInput, match="expected 0 < residual <= worst"):
        WholeRule(residual=0.2, worst=0.1)


def labels_in(folder, hands, count=3):
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), IMAGE)
    photos = tuple(Photo(f"{number}.png", SIZE, hands, True, split="train") for number in range(count))
    return PhotoLabels(folder, (*photos, Photo("else.png", SIZE, (), True, split="validation")))


def test_a_file_of_labels_gets_whole_hands_that_training_reads(tmp_path, denoiser):
    true = a_hand()
    labels = labels_in(tmp_path, (label_of(true), PhotoHand(Box(5, 5, 60, 60))))
    paths = chosen_photos(labels, "train", 2)
    assert paths == ["0.png", "2.png"] and len(chosen_photos(labels, "train", None)) == 3
    found, counts = make_whole(labels, paths, Says(a_hand(off=0.1)), denoiser, WholeRule())
    assert counts == {"whole": 2, "no joints or side": 2} and found.about["whole"] == counts
    assert found.photos[1] == labels.photos[1] and found.photos[3] == labels.photos[3], "what was not asked for stays"
    write_labels(tmp_path / "whole.json", found)
    read = read_labels(tmp_path / "whole.json")
    first, second = read.photos[0].hands
    assert first.origin["rotations"] == "prior toy" and second.rotations is None
    np.testing.assert_allclose(first.rotations, found.photos[0].hands[0].rotations, atol=1e-5)
    dataset = PhotoDataset(read)
    assert dataset.describe()["hands_with_pose"] == 2
    poses = [dataset[row]["has_pose"][0] for row in range(len(dataset.hands))]
    assert [bool(pose) for pose in poses] == [True, False, False, False, True, False]
    record = dataset[0]
    np.testing.assert_allclose(record["rotations"][0], first.rotations, atol=1e-6)
    assert not record["has_joints"][0]


def test_labels_that_are_no_whole_hands_are_named(tmp_path):
    true = a_hand()
    hand = label_of(true, rotations=np.asarray(true.rotations), betas=np.zeros(10))
    write_labels(tmp_path / "labels.json", labels_in(tmp_path, (hand,), 1))
    assert read_labels(tmp_path / "labels.json").photos[0].hands[0].betas is not None
    content = json.loads((tmp_path / "labels.json").read_text())
    for name, value in (("betas", None), ("rotations", (2 * np.asarray(true.rotations)).tolist()), ("betas", [1.0])):
        broken = json.loads(json.dumps(content))
        broken["photos"][0]["hands"][0][name] = value
        (tmp_path / "broken.json").write_text(json.dumps(broken))
        with pytest.raises(SourceError, match=r"go together, and are rotations|is no array of 10"):
            read_labels(tmp_path / "broken.json")


def test_nothing_to_make_whole_is_named(tmp_path):
    labels = labels_in(tmp_path, (PhotoHand(Box(5, 5, 60, 60)),), 1)
    with pytest.raises(InvalidInput, match="no photograph of 'train' has a hand with joints"):
        chosen_photos(labels, "train", None)
    with pytest.raises(InvalidInput, match="limit is 0"):
        chosen_photos(labels, "train", 0)
