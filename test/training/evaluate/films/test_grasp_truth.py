"""When a hand holds its object: hand and object that go together, or not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prehend.conventions import TIP_JOINTS
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.evaluate.films.grasp_truth import LEFT_M, HeldTruth
from prehend_training.sample import HandLabel, ObjectLabel, Sample

PUSH = np.array([[0, -1, 0, 0.3], [1, 0, 0, -0.1], [0, 0, 1, 0.2], [0, 0, 0, 1.0]])


@pytest.fixture
def seen(films: Path) -> tuple[Sample, HandLabel]:
    """A hand that grasps the one object of its image."""
    picture = ShardGroups(films, "sequences").sample(0)
    nothing = np.zeros((21, 3))
    thing = ObjectLabel("box", np.eye(4), np.full(3, 0.05), np.zeros(3), nothing, nothing[:, :2], np.zeros(4))
    touches = np.arange(6) < 2
    hand = replace(picture.hands[0], grasp=True, object_index=0, contact=touches)
    return replace(picture, objects=(thing,)), hand


def lifting(seen: tuple[Sample, HandLabel]) -> HeldTruth:
    """Of a hand that came to its object and touched it where it lay."""
    (picture, hand), truth = seen, HeldTruth()
    assert not truth.step(picture, replace(hand, grasp=False, contact=np.zeros(6, bool), object_index=None))
    assert not truth.step(picture, replace(hand, grasp=False))
    return truth


def carried(picture: Sample, hand: HandLabel, T: np.ndarray) -> tuple[Sample, HandLabel]:
    """Both moved by (4, 4)."""
    thing = picture.objects[0]
    moved = replace(thing, T_camera_object=T @ thing.T_camera_object)
    return replace(picture, objects=(moved,)), replace(hand, joints_m=hand.joints_m @ T[:3, :3].T + T[:3, 3])


def reaching(hand: HandLabel, way_m: float) -> HandLabel:
    """Its fingertips farther on."""
    joints = hand.joints_m.copy()
    joints[list(TIP_JOINTS), 0] += way_m
    return replace(hand, joints_m=joints)


def test_a_hand_holds_what_goes_with_it_and_lets_go_where_its_fingertips_leave_it(
    seen: tuple[Sample, HandLabel],
) -> None:
    truth = lifting(seen)
    picture, hand = carried(*seen, PUSH)
    assert truth.step(picture, hand)
    assert truth.step(picture, reaching(hand, 0.9 * LEFT_M))
    assert not truth.step(picture, reaching(hand, 1.1 * LEFT_M)), "it touches on, and the object stays"
    assert not truth.step(picture, hand), "what was let go is not held again while it lies there"


def test_what_was_let_go_may_be_taken_again_without_a_moment_apart(seen: tuple[Sample, HandLabel]) -> None:
    truth = lifting(seen)
    picture, hand = carried(*seen, PUSH)
    assert truth.step(picture, hand)
    assert not truth.step(picture, reaching(hand, 0.03))
    again, moved = carried(picture, reaching(hand, 0.005), PUSH)
    assert truth.step(again, moved)
    assert not truth.step(again, reaching(moved, 0.03))


def test_contact_that_ends_ends_a_grasp_and_the_next_one_begins_anew(seen: tuple[Sample, HandLabel]) -> None:
    truth = lifting(seen)
    picture, hand = carried(*seen, PUSH)
    assert truth.step(picture, hand)
    without = replace(hand, grasp=False, contact=np.zeros(6, bool), object_index=None)
    assert not truth.step(picture, without)
    assert not truth.step(picture, reaching(hand, 0.03)), "it has moved since the film began, and rests now"
    picture, hand = carried(picture, hand, PUSH)
    assert truth.step(picture, reaching(hand, 0.03)), "held otherwise than before"
    assert not truth.step(picture, replace(hand, object_index=None))


@pytest.mark.parametrize(
    ("way_m", "turn_rad", "holds"), [(0.009, 0, False), (0.011, 0, True), (0, 0.08, False), (0, 0.1, True)]
)
def test_an_object_has_to_leave_the_pose_in_which_it_was_found(
    seen: tuple[Sample, HandLabel], way_m: float, turn_rad: float, holds: bool
) -> None:
    T = np.eye(4)
    T[0, 3], T[0, :2], T[1, :2] = way_m, (np.cos(turn_rad), -np.sin(turn_rad)), (np.sin(turn_rad), np.cos(turn_rad))
    assert lifting(seen).step(*carried(*seen, T)) == holds


def test_a_camera_that_goes_on_moves_nothing(seen: tuple[Sample, HandLabel]) -> None:
    truth = lifting(seen)
    picture, hand = carried(*seen, PUSH)
    assert not truth.step(replace(picture, T_camera_world=PUSH @ picture.T_camera_world), hand)


def test_labels_without_contact_tell_of_the_grasp(seen: tuple[Sample, HandLabel]) -> None:
    picture, hand = seen
    blind, truth = replace(hand, contact=None), HeldTruth()
    assert not truth.step(picture, replace(blind, grasp=False))
    moved, after = carried(picture, blind, PUSH)
    assert truth.step(moved, after)
