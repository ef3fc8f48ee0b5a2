"""What is cut out of photographs, and what decides about a folder of conditions."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake import write_fake

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import estimated_camera, project
from prehend.hand_model import load_hand_model, skin
from prehend.types import Box
from prehend_training.boost.create import CHECKED, CreateConfig, _posed, is_valid
from prehend_training.boost.fit import CONTEXT, FitConfig, FitRule, _sample, labelled_hands, read_photo, square_around
from prehend_training.boost.poses import read_real
from prehend_training.grasps.checks import Report
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels
from prehend_training.photos.refine import Fit

WIDTH, HEIGHT = 320, 240


@pytest.mark.parametrize("box", [Box(10.0, 20, 50, 40), Box(-5.0, 0, 5, 90), Box(3.0, 3, 4, 4)])
def test_a_square_is_around_the_middle_and_as_large_as_the_context(box):
    square = square_around(box)
    assert square.width == pytest.approx(square.height) == pytest.approx(CONTEXT * max(box.width, box.height))
    np.testing.assert_allclose(square.center, box.center)


def fitted(at_px, depth_m=0.5):
    """A flat hand of which the middle falls on a pixel of a photograph."""
    camera = estimated_camera(WIDTH, HEIGHT)
    rotations, betas = np.tile(np.eye(3), (16, 1, 1)), np.zeros(10)
    posed = skin(load_hand_model(), rotations, betas)
    ray = np.linalg.solve(camera.K, [*at_px, 1.0]) * depth_m
    move = ray - posed.joints.mean(0)
    return Fit(rotations, betas, posed.joints + move, posed.vertices + move, camera, 0.01, 0.02, 0.1)


def dotted(points):
    """A dark photograph with a bright spot at each point."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for px, py in points:
        image[..., 0] = np.maximum(image[..., 0], 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8))
    return image.astype(np.uint8)


@pytest.mark.parametrize("at", [(160, 120), (40, 60), (300, 200)])
@pytest.mark.parametrize("size_px", [64, 128])
def test_joints_of_a_crop_lie_where_the_photograph_showed_them(at, size_px):
    """At the border too, where the photograph's edge goes on."""
    fit = fitted(at)
    points = project(fit.joints_m, fit.camera)
    hand = PhotoHand(Box.around(points), points, None, "right", True)
    photo = Photo("a.png", (WIDTH, HEIGHT), (hand,), True, session="s")
    sample = _sample(dotted(points), photo, hand, fit, size_px, unit=7)
    label = sample.hands[0]
    assert sample.image.shape == (size_px, size_px, 3) and sample.camera.estimated
    np.testing.assert_allclose(label.keypoints_px, project(label.joints_m, sample.camera), atol=1e-6)
    assert max(label.box_px[2:] - label.box_px[:2]) == pytest.approx(size_px / CONTEXT, rel=0.03)
    np.testing.assert_allclose((label.box_px[:2] + label.box_px[2:]) / 2, (size_px - 1) / 2, atol=1.5)
    inside = ((points >= 1) & (points < [WIDTH - 1, HEIGHT - 1])).all(1)
    rows = np.rint(label.keypoints_px[inside]).astype(int)
    bright = sample.image[rows[:, 1], rows[:, 0], 0]
    assert bright.min() > 80 and sample.image[..., 0].mean() < 60
    np.testing.assert_array_equal(label.vertices_m, fit.vertices_m)
    assert (sample.frame_id.index, sample.frame_id.sequence, label.grasp) == (7, "s", True)


def hand(**known):
    return PhotoHand(Box(10.0, 10, 60, 70), np.full((21, 2), 30.0), None, **({"side": "right"} | known))


@pytest.fixture
def labels(tmp_path):
    hands = (
        hand(),
        hand(side=None),
        replace(hand(), keypoints_px=None),
        replace(hand(), box_px=None, keypoints_px=None),
    )
    photos = [
        Photo(f"{k}.png", (80, 90), hands if k < 9 else (hand(),), True, split="train" if k < 9 else "validation")
        for k in range(10)
    ]
    write_labels(tmp_path / "labels.json", PhotoLabels(tmp_path, tuple(photos)))
    return tmp_path / "labels.json"


def test_hands_with_joints_and_a_side_can_be_fitted(labels):
    found = labelled_hands(FitConfig(labels))
    assert [(photo.path, row) for photo, row in found] == [(f"{k}.png", 0) for k in range(9)]
    assert [photo.path for photo, _ in labelled_hands(FitConfig(labels, limit=3))] == ["0.png", "4.png", "8.png"]
    assert [photo.path for photo, _ in labelled_hands(FitConfig(labels, split="validation"))] == ["9.png"]
    with pytest.raises(SourceError, match="no hand of 'test'"):
        labelled_hands(FitConfig(labels, split="test"))


def test_what_decides_about_fits_is_told(labels):
    one = FitConfig(labels).describe()
    assert json.loads(json.dumps(one)) == one and one == FitConfig(labels).describe()
    for other in (FitConfig(labels, size_px=64), FitConfig(labels, rule=FitRule(bent=0.1)), FitConfig(labels, limit=2)):
        assert other.describe() != one
    labels.write_text(labels.read_text() + "\n")
    assert FitConfig(labels).describe()["labels"] != one["labels"]


def test_a_photograph_of_another_size_is_named(labels):
    cv2.imwrite(str(labels.parent / "0.png"), np.zeros((90, 80, 3), np.uint8))
    cv2.imwrite(str(labels.parent / "1.png"), np.zeros((80, 90, 3), np.uint8))
    photos = [photo for photo, _ in labelled_hands(FitConfig(labels))]
    assert read_photo(labels.parent, photos[0]).shape == (90, 80, 3)
    with pytest.raises(SourceError, match=r"1\.png: its labels are for an image of \(80, 90\)"):
        read_photo(labels.parent, photos[1])
    with pytest.raises(SourceError, match=r"2\.png"):
        read_photo(labels.parent, photos[2])


@pytest.mark.parametrize("numbers", [{"size_px": 15}, {"limit": 0}])
def test_crops_of_nothing_are_refused(labels, numbers):
    with pytest.raises(InvalidInput, match="are the least"):
        FitConfig(labels, **numbers)


@pytest.mark.parametrize("numbers", [{"real_share": 1.1}, {"turn_deg": -1.0}, {"shape": 4.0}, {"shape": float("nan")}])
def test_numbers_of_conditions_out_of_range_are_named(numbers):
    (name,) = numbers
    with pytest.raises(InvalidInput, match=f"{name} is"):
        CreateConfig(**numbers)


@pytest.mark.parametrize("numbers", [{"size_px": 8}, {"synthetic": 0}, {"real_count": 0}])
def test_conditions_of_nothing_are_refused(numbers):
    with pytest.raises(InvalidInput, match="expected at least"):
        CreateConfig(**numbers)


def test_what_decides_about_conditions_is_told_with_real_hands_by_their_content(tmp_path):
    one = CreateConfig(seed=3, objects=("mug",)).describe()
    assert json.loads(json.dumps(one)) == one and one != CreateConfig(seed=4, objects=("mug",)).describe()
    with pytest.raises(InvalidInput, match="boost fit"):
        CreateConfig(real=(tmp_path,)).describe()
    (tmp_path / "index.json").write_text("{}")
    first = CreateConfig(real=(tmp_path,)).describe()
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "index.json").write_text("{}")
    assert CreateConfig(real=(moved,)).describe() == first
    (moved / "index.json").write_text('{"shards": {}}')
    assert CreateConfig(real=(moved,)).describe() != first


SOUND = Report(np.array([True, True, False, False, False, False]), 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"contact": np.zeros(6, bool)}, False),
        ({"volume_cm3": 1e3}, False),
        ({"self_penetration_m": 0.1}, False),
        ({"residual": 9.0}, True),  # whether it would hold is none of the paper's criteria
    ],
)
def test_a_grasp_is_valid_by_the_papers_three_criteria(change, valid):
    report = replace(SOUND, **change)
    assert is_valid(report) is valid and set(CHECKED) <= report.passed.keys()


def test_a_real_pose_by_another_hand_keeps_its_fingers_and_stays_in_bounds(tmp_path):
    write_fake(tmp_path, "crops", 6, size_px=48)
    real = read_real([tmp_path])
    change = np.random.default_rng(0).normal(0, 3, 10)
    posed = _posed(real, 1, change)
    np.testing.assert_array_equal(posed.rotations[1:], real.rotations[1, 1:])
    np.testing.assert_array_equal(posed.rotations[0], np.eye(3))
    np.testing.assert_allclose(posed.betas, np.clip(real.betas[1] + change, -3, 3))
    np.testing.assert_allclose(posed.joints[0], 0, atol=1e-9)
