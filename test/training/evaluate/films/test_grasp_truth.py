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
    return replace(picture, objects=(thing,)), replace(picture.hands[0], grasp=True, object_index=0)


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
    truth = HeldTruth()
    assert truth.step(*seen)
    picture, hand = carried(*seen, PUSH)
    assert truth.step(picture, hand)
    assert truth.step(picture, reaching(hand, 0.9 * LEFT_M))
    assert not truth.step(picture, reaching(hand, 1.1 * LEFT_M)), "it touches on, and the object stays"
    assert not truth.step(picture, hand), "what was let go is not held again before contact ends"


def test_contact_that_ends_ends_a_grasp_and_the_next_one_begins_anew(seen: tuple[Sample, HandLabel]) -> None:
    truth, (picture, hand) = HeldTruth(), seen
    assert truth.step(picture, hand)
    assert not truth.step(picture, replace(hand, grasp=False))
    assert truth.step(picture, reaching(hand, 0.03)), "held otherwise than before"
    assert not truth.step(picture, replace(hand, object_index=None))
