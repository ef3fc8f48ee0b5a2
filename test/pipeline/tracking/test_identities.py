"""Hands over time: the operator's, those that are waited for, and how they move; on frames of known truth."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import ParameterError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import frame_record, frame_result
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracking.identities import CARRIED, COAST_M_S, GUESSED, SEEN


@pytest.fixture
def play(oracle, finder, camera, image):
    """play(scenes, hz, order, **options): the results of scenes that follow each other; `order` is that in which they
    come."""

    def run(scenes, hz=30.0, order=None, **options):
        estimator = Estimator(oracle, finder, config=EstimatorOptions(**options))
        results = []
        for k in range(len(scenes)) if order is None else order:
            oracle.scene = scenes[k]
            results.append(estimator.estimate(image, camera, stamp=50 + k / hz))
        return results

    return run


def operators(result):
    return {hand.side: hand.track_id for hand in result.hands if hand.is_operator}


@pytest.mark.parametrize("hz", [3, 10, 30, 60])
def test_velocities_are_those_of_the_true_hand(play, new_hand, hz) -> None:
    hand, velocity, turn = new_hand("right", x=-0.06), np.array([0.10, -0.02, 0.05]), np.array([0.3, 0.5, -0.4])

    def at(t):
        rotations = hand.rotations.copy()
        rotations[0] = matrix_from_axis_angle(turn * t) @ rotations[0]
        moved = replace(hand, rotations=rotations)
        shift = hand.joints[0] - moved.joints[0]  # about the wrist
        return replace(moved, translation=moved.translation + shift + velocity * t)

    results = play([[at(k / hz)] for k in range(hz + 1)], hz)
    assert results[0].hands[0].motion is None, "seen once"
    motions = [result.hands[0].motion for result in results[hz // 2 :]]
    wrist = np.mean([motion.joints_m_s[0] for motion in motions], axis=0)
    assert np.linalg.norm(wrist - velocity) < 0.02
    assert np.linalg.norm(np.mean([motion.wrist_rad_s for motion in motions], axis=0) - turn) < 0.05
    tips = at(1.0).joints[8] - at(1.0).joints[0]
    tip = results[-1].hands[0].motion.joints_m_s[8]
    assert np.linalg.norm(tip - (velocity + np.cross(turn, tips))) < 0.04, "a turn moves the fingertips"


@pytest.mark.parametrize("cutoff_hz", [0.0, 30.0])
def test_images_that_came_in_the_wrong_order_leave_velocities_as_they_are(play, new_hand, cutoff_hz) -> None:
    hand, velocity = new_hand("right", x=-0.06), np.array([0.3, 0.0, 0.0])
    scenes = [[replace(hand, translation=hand.translation + velocity * k / 30)] for k in range(12)]
    order = [0, 1, 2, 3, 5, 4, 6, 7, 9, 8, 10, 11]
    results = play(scenes, order=order, smooth_min_cutoff_hz=cutoff_hz)
    speeds = [float(result.hands[0].motion.joints_m_s[0, 0]) for result in results[3:]]
    in_turn = play(scenes, smooth_min_cutoff_hz=cutoff_hz)
    expected = [float(result.hands[0].motion.joints_m_s[0, 0]) for result in in_turn[3:]]
    assert speeds == pytest.approx([expected[k - 3 if k not in (4, 8) else k - 2] for k in order[3:]], abs=0.05)


def test_a_place_that_jumps_is_no_velocity(play, new_hand) -> None:
    """As of a hand that comes into view: its distance is a guess at first."""
    hand = new_hand("right", x=0.0)
    far = replace(hand, translation=hand.translation + np.array([0, 0, 0.3]))
    motions = [result.hands[0].motion for result in play([[far]] * 3 + [[hand]] * 4)]
    assert [motion is None for motion in motions] == [True, False, False, True, False, False, False]
    assert max(np.abs(motion.joints_m_s).max() for motion in motions if motion is not None) < 0.05


def test_a_hand_at_rest_has_no_velocity(play, new_hand) -> None:
    hands = [result.hands[0] for result in play([[new_hand("left", x=0.0)]] * 10)]
    assert max(np.abs(hand.motion.joints_m_s).max() for hand in hands[1:]) < 1e-2
    assert all((hand.validity == np.where(hand.visible, SEEN, GUESSED)).all() for hand in hands)


def test_one_hand_of_a_side_is_the_operators_and_stays_so(play, new_hand) -> None:
    first, second = new_hand("right", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)
    scenes = [[first]] * 10 + [[first, second]] * 10 + [[second]] * 6 + [[first, second]] * 10 + [[second]] * 30
    results = play(scenes)
    assert {number for result in results[:20] for number in operators(result).values()} == {1}
    assert not any(operators(result) for result in results[20:26]), "nobody takes the place of one that is waited for"
    assert operators(results[30]) == {"right": 1}
    assert operators(results[-1]) == {"right": 2}, "the other one once it is given up"


def test_left_and_right_have_one_each_or_none(play, new_hand) -> None:
    both = [new_hand("left", x=-0.13, seed=1), new_hand("right", x=0.13, seed=2)]
    assert operators(play([both] * 3)[-1]).keys() == {"left", "right"}
    assert not operators(play([both] * 3, operator="off")[-1])


def test_the_largest_hand_may_be_the_operators(play, new_hand) -> None:
    far, near = new_hand("right", x=-0.13, seed=1, z=0.7), new_hand("right", x=0.08, seed=1, z=0.4)
    results = play([[far]] * 5 + [[far, near]] * 15, operator="largest")
    assert operators(results[4]) == {"right": 1} and operators(results[-1]) == {"right": 2}
    assert operators(play([[far]] * 5 + [[far, near]] * 15)[-1]) == {"right": 1}, "the one that was seen longest"


@pytest.mark.parametrize("hz", [5, 15, 30])
def test_a_hidden_hand_is_waited_for(play, new_hand, hz) -> None:
    hand = new_hand("right", x=0.0)
    scenes = [[hand]] * hz + [[]] * (2 * hz)
    results = play(scenes, hz)
    waited = [result for result in results if result.lost]
    assert all(result.lost == (1,) and not result.hands for result in waited)
    assert 0.5 - 1 / hz <= len(waited) / hz <= 0.5 + 2 / hz

    held = play(scenes, hz, lost="hold")
    last, coasting = held[hz - 1].hands[0], [result.hands[0] for result in held[hz:] if result.hands]
    assert len(coasting) == len(waited) and not any(result.lost for result in held)
    for number, one in enumerate(coasting, 1):
        assert (one.state, one.track_id, one.is_operator) == ("coasting", 1, True)
        np.testing.assert_array_equal(one.joints_m, last.joints_m)
        assert not one.visible.any() and set(one.validity) <= {CARRIED, GUESSED} and (one.validity == CARRIED).any()
        assert one.position_std_m == pytest.approx(np.hypot(last.position_std_m, COAST_M_S * number / hz))
    events = [[event.kind for result in each for event in result.events] for each in (results, held)]
    assert events == [["found", "lost"]] * 2, "a hand that is held is lost all the same"


def test_a_distance_that_nobody_knows_stays_unknown_out_of_sight(oracle, finder, camera, image, new_hand) -> None:
    estimator, said = Estimator(oracle, finder, config=EstimatorOptions(lost="hold")), []
    for k in range(8):
        oracle.scene = [new_hand("right", x=0.0)] if k < 4 else []
        said += estimator.estimate(image, replace(camera, estimated=True), stamp=k / 30).hands
    assert [hand.state for hand in said] == ["tracked"] * 4 + ["coasting"] * 4
    assert np.isnan([hand.position_std_m for hand in said]).all()


def test_a_hand_that_comes_back_is_tracked_again_under_its_number(play, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    states = [
        [(one.track_id, one.state) for one in result.hands]
        for result in play([[hand]] * 10 + [[]] * 9 + [[hand]] * 10, lost="hold")
    ]
    assert states[9:11] == [[(1, "tracked")], [(1, "coasting")]] and states[-1] == [(1, "tracked")]


def test_all_of_it_comes_back_from_json_and_older_files_lack_it(play, new_hand, image) -> None:
    *_, seen, result = play([[new_hand("right", x=0.0)]] * 5 + [[]], lost="hold")
    assert result.hands[0].motion is None, "how a hand moves that nobody sees is not known"
    result = replace(result, hands=(replace(result.hands[0], motion=seen.hands[0].motion),))
    record = frame_record(Frame(image, "clip", 0, result.stamp), replace(result, lost=(7,)))
    back = frame_result(record)
    (hand,), (before,) = back.hands, result.hands
    assert (hand.state, hand.is_operator, back.lost) == ("coasting", True, (7,))
    assert np.array_equal(hand.validity, before.validity)
    assert np.allclose(hand.motion.joints_m_s, before.motion.joints_m_s, atol=1e-5)
    assert np.allclose(hand.motion.wrist_rad_s, before.motion.wrist_rad_s, atol=1e-4)
    for name in ("state", "is_operator", "motion", "validity"):
        del record["hands"][0][name]
    del record["lost"]
    old = frame_result(record)
    assert (old.hands[0].state, old.hands[0].is_operator, old.lost) == ("tracked", False, ())
    assert old.hands[0].motion is None and old.hands[0].validity is None


@pytest.mark.parametrize("wrong", [{"lost": "vanish"}, {"operator": "tallest"}, {"grasp_events": "soon"}])
def test_other_choices_are_refused_with_those_that_there_are(wrong) -> None:
    with pytest.raises(ParameterError, match="expected"):
        EstimatorOptions(**wrong)


def test_a_hand_that_fades_loses_its_scores_in_a_straight_line_and_then_its_validity(play, new_hand) -> None:
    hand, hz, keep = new_hand("right", x=0.0, grasp=True), 30.0, 0.5
    results = play([[hand]] * 10 + [[]] * 20, hz, lost="fade", keep_lost_s=keep)
    seen, coasting = results[9].hands[0], [result.hands[0] for result in results[10:] if result.hands]
    assert len(coasting) in (15, 16) and all(one.state == "coasting" for one in coasting)
    for k, one in enumerate(coasting):
        share = 1 - k / hz / keep
        assert one.score == pytest.approx(share * seen.score, abs=1e-6)
        assert one.grasp.probability == pytest.approx(share * seen.grasp.probability, abs=1e-6)
        assert set(np.unique(one.validity)) <= ({CARRIED, GUESSED} if share > 0.49 else {GUESSED})
        np.testing.assert_array_equal(one.joints_m, seen.joints_m)
    assert CARRIED in coasting[0].validity and coasting[-1].score < 0.1 * seen.score
    assert np.diff([one.position_std_m for one in coasting]).min() > 0


def test_a_hand_that_comes_back_while_it_fades_is_as_it_was(play, new_hand) -> None:
    hand = new_hand("right", x=0.0)
    results = play([[hand]] * 10 + [[]] * 6 + [[hand]] * 4 + [[]] * 2, lost="fade")
    back, again = results[16].hands[0], results[20].hands[0]
    assert back.track_id == 1 and back.state == "tracked" and back.score == results[9].hands[0].score
    assert again.score == back.score, "fading begins anew"
