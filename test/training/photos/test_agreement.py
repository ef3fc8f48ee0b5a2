"""How a teacher looks at photographs, and what its looks have to agree on."""

import numpy as np
import pytest

from prehend.types import Box
from prehend_training.photos.agreement import AgreementRule, Answer, answer_at, decide, different
from prehend_training.photos.looks import hand_looks, tile_looks, whole_looks

RNG = np.random.default_rng(0)
HAND = RNG.uniform(100, 200, (21, 2))


def answers(noise, sides=("right",) * 5, score=0.99):
    rng = np.random.default_rng(1)
    return [Answer(HAND + rng.normal(0, noise * 100, HAND.shape), side, score) for side in sides]


@pytest.mark.parametrize(
    "look", [*whole_looks((300, 200)), *tile_looks((300, 200)), *hand_looks(Box(90, 80, 150, 170))]
)
def test_a_look_leads_back_to_the_picture(look):
    points = RNG.uniform(0, 200, (7, 2))
    assert np.allclose(look.back(points @ look.affine[:, :2].T + look.affine[:, 2]), points)


def test_looks_at_a_hand_show_all_of_it_and_two_of_them_its_mirror_image():
    box = Box(90, 80, 150, 170)
    corners = np.array([[90, 80], [150, 80], [150, 170], [90, 170]])
    looks = hand_looks(box)
    assert [look.mirrored for look in looks] == [False, True, False, True, False]
    for look in looks:
        seen = corners @ look.affine[:, :2].T + look.affine[:, 2]
        assert (seen > 0).all() and (seen < np.array(look.size)).all()
    scales = [abs(np.linalg.det(look.affine[:, :2])) ** 0.5 for look in looks]
    assert scales[0] / scales[4] == pytest.approx(3.5 / 2.2)


def test_tiles_leave_no_pixel_out():
    seen = np.zeros((200, 300), bool)
    for look in tile_looks((300, 200)):
        (x0, y0), (x1, y1) = look.back(np.array([[0, 0], np.array(look.size) - 1]))
        seen[max(0, round(y0)) : round(y1) + 1, max(0, round(x0)) : round(x1) + 1] = True
    assert seen.all()


def test_answers_that_agree_are_kept_with_their_noise():
    said = decide(answers(0.02), AgreementRule())
    assert said.reason is None and said.side == "right" and said.score == pytest.approx(0.99)
    assert np.abs(said.keypoints_px - HAND).mean() < 2
    assert said.std_px.min() >= 1.4 and said.std_px.mean() == pytest.approx(2.5, abs=1)
    certain = decide(answers(0.0), AgreementRule())
    assert (certain.std_px > 0).all()  # what the looks agree on may be wrong all the same


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ([None] * 5, "nothing"),
        ([*answers(0.01)[:3], None, None], "seldom seen"),
        (answers(0.01, score=0.5), "low score"),
        (answers(0.06), "places differ"),
    ],
)
def test_answers_that_are_not_sure_are_dropped_for_a_reason(looks, reason):
    assert decide(looks, AgreementRule()).reason == reason


def test_small_hands_have_to_be_surer():
    looks = answers(0.02)
    small = [Answer(0.3 * look.keypoints_px, look.side, look.score) for look in looks]
    assert (
        decide(looks, AgreementRule()).reason is None
        and decide(looks, AgreementRule(), strict=True).reason == "places differ"
    )
    assert decide(small, AgreementRule()).reason == "places differ"
    again = [Answer(0.3 * look.keypoints_px, look.side, look.score) for look in answers(0.002)]
    assert decide(again, AgreementRule()).reason is None
    assert decide([*again[:4], None], AgreementRule()).reason == "seldom seen"


def test_one_joint_that_jumps_is_enough_to_drop_a_hand():
    looks = answers(0.0)
    moved = HAND.copy()
    moved[8] += 60
    looks[1] = Answer(moved, "right", 0.99)
    assert decide(looks, AgreementRule()).reason == "places differ"


def test_a_side_that_the_looks_do_not_share_is_unknown():
    said = decide(answers(0.01, ("right", "right", "right", "left", "left")), AgreementRule())
    assert said.reason is None and said.side is None
    assert decide(answers(0.01, ("left",) * 4 + ("right",)), AgreementRule()).side == "left"


def test_two_hands_side_by_side_stay_two_and_a_box_takes_the_one_in_it():
    near, far = Answer(HAND, "right", 0.9), Answer(HAND + np.array([120, 0]), "left", 0.8)
    again = Answer(HAND + 3, "right", 0.7)
    assert different([again, far, near]) == [near, far]
    assert answer_at(Box(95, 95, 205, 320), [far, near]) is near
    assert answer_at(Box(400, 400, 500, 500), [far, near]) is None
