from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.errors import ParameterError
from prehend.pipeline.hypotheses import budget
from prehend.pipeline.hypotheses import follow as following
from prehend.pipeline.hypotheses.budget import FrameBudget
from prehend.pipeline.hypotheses.follow import FollowedHypotheses, is_open, open_hypotheses
from prehend.pipeline.options import EstimatorOptions

NO_LIMIT_MS = 1e9
COUNT = 4


@pytest.fixture
def follow(denoiser):
    """follow(...): what one camera's hands may be, with all the time there is."""

    def make(**options):
        chosen = EstimatorOptions(**{"hypotheses": COUNT, **options})
        followed = FollowedHypotheses(denoiser, chosen, FrameBudget(NO_LIMIT_MS))
        followed._limit_ms = NO_LIMIT_MS
        return followed

    return make


@pytest.fixture
def clock(monkeypatch):
    """A clock that `Slow` alone moves [s]: what a machine takes besides is not counted."""
    now = [0.0]
    for module in (budget, following):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return now


def after(followed, hand, frames=3):
    for number in range(frames):
        (found,) = followed.step((hand,), number / 30)
    return found


def test_a_hand_with_hidden_joints_gets_hypotheses_that_differ_there(follow, make_open):
    hand = make_open()
    found = after(follow(), hand)
    hypotheses = found.hypotheses
    assert hypotheses.joints_m.shape == (COUNT, 21, 3) and hypotheses.rotations.shape == (COUNT, 16, 3, 3)
    np.testing.assert_allclose(hypotheses.joints_m[:, 0], np.tile(hand.joints_m[0], (COUNT, 1)), atol=1e-9)
    std = np.sqrt(np.trace(hypotheses.joint_covariance_m2, axis1=1, axis2=2))
    assert std[~hand.visible].mean() > 1.3 * std[hand.visible][1:].mean()


def test_what_is_sure_comes_back(follow, make_open):
    """A hidden joint of whose place the network is sure is there in every hypothesis."""
    hand = replace(make_open(), keypoint_std_px=np.full(21, 0.05))
    found = after(follow(), hand).hypotheses
    assert np.linalg.norm(found.joints_m - hand.joints_m, axis=2).max() < 0.015


def test_a_hand_that_is_seen_and_sure_gets_none(follow, make_open):
    seen = make_open(hidden=np.zeros(21, bool))
    assert not is_open(seen) and after(follow(), seen).hypotheses is None
    assert is_open(replace(seen, joint_std_m=np.full(21, 0.05))), "unsure"
    assert not is_open(replace(make_open(), state="coasting"))
    assert not is_open(replace(make_open(), joints_m=np.full((21, 3), np.nan)))


def test_the_same_hand_gets_the_same_and_another_number_others(follow, make_open):
    one, again = (after(follow(), make_open()).hypotheses.joints_m for _ in range(2))
    other = after(follow(), make_open(track_id=2)).hypotheses.joints_m
    assert np.array_equal(one, again) and np.abs(one - other).max() > 1e-3


def test_a_left_hand_gets_the_mirror_image(follow, make_open):
    right, left = (after(follow(), make_open(side=side)).hypotheses for side in ("right", "left"))
    np.testing.assert_allclose(left.joints_m * MIRROR.diagonal(), right.joints_m, atol=1e-4)
    np.testing.assert_allclose(MIRROR @ left.joint_covariance_m2 @ MIRROR, right.joint_covariance_m2, atol=1e-6)


def test_hypotheses_stay_hands_for_as_long_as_they_are_followed(follow, make_open):
    """Of networks whose rotations are only about rotations, too: errors do not grow from frame to frame."""
    hand = make_open()
    rough = replace(hand, rotations=hand.rotations * 1.003)
    found = after(follow(), rough, 60).hypotheses
    square = found.rotations @ np.swapaxes(found.rotations, -1, -2)
    assert np.abs(square - np.eye(3)).max() < 1e-6 and found.steps >= 58
    apart = np.linalg.norm(found.joints_m - hand.joints_m, axis=2)
    assert 0.001 < apart[:, ~hand.visible].mean() < 0.06


def test_hypotheses_go_where_their_hand_goes(denoiser, make_open):
    """Without time for a single step more, too."""
    budget = FrameBudget(NO_LIMIT_MS)
    followed = FollowedHypotheses(denoiser, EstimatorOptions(hypotheses=COUNT), budget)
    followed._limit_ms = NO_LIMIT_MS
    before = after(followed, make_open()).hypotheses
    budget.piece_ms = 10 * NO_LIMIT_MS
    (moved,) = followed.step((make_open(at=(0.1, 0.0, 0.6)),), 0.2)
    shift = np.array([0.08, -0.05, 0.1])
    np.testing.assert_allclose(moved.hypotheses.joints_m, before.joints_m + shift, atol=1e-6)
    assert moved.hypotheses.steps == before.steps


def test_another_side_and_a_lost_hand_begin_anew(follow, make_open):
    followed = follow()
    after(followed, make_open(), 4)
    (turned,) = followed.step((make_open(side="left"),), 0.2)
    assert turned.hypotheses is None or turned.hypotheses.steps == 1
    followed.step((), 0.23)
    (back,) = followed.step((make_open(side="left"),), 0.26)
    assert back.hypotheses is None or back.hypotheses.steps == 1, "its number is of another hand now"


def in_own_frame(joints_m, turns):
    return (joints_m - joints_m[:, :1]) @ turns


def test_the_hypothesis_with_the_finger_where_it_was_seen_is_named(follow, make_open):
    """The network guesses a finger that is bent otherwise; where it was is remembered."""
    seen = make_open(hidden=np.zeros(21, bool))
    guess = make_open(bend=0.9)
    guess = replace(guess, keypoint_std_px=np.full(21, 20.0), joint_std_m=np.full(21, 0.05))
    followed = follow(hypotheses=32)
    after(followed, replace(seen, joint_std_m=guess.joint_std_m), 3)
    for number in range(4):
        (found,) = followed.step((guess,), 0.1 + number / 30)
    choice, hypotheses = found.hypotheses.consistent, found.hypotheses
    there = in_own_frame(seen.joints_m[None], seen.rotations[:1])
    off = np.linalg.norm(in_own_frame(hypotheses.joints_m, hypotheses.rotations[:, 0]) - there, axis=2)
    own = np.linalg.norm(in_own_frame(guess.joints_m[None], guess.rotations[:1]) - there, axis=2)
    hidden = ~guess.visible
    assert choice >= 0 and off[choice, hidden].mean() < min(own[0, hidden].mean(), np.median(off[:, hidden].mean(1)))
    assert np.array_equal(found.joints_m, guess.joints_m), "what is given out stays the network's"


class Slow:
    """The prior on a machine where every hypothesis takes `each_s`."""

    def __init__(self, denoiser, each_s, clock):
        self.noise_shape, self._denoiser, self._each_s = denoiser.noise_shape, denoiser, each_s
        self.rows, self._clock = [], clock

    def denoised(self, spins, noise, when, joints_m, known):
        self.rows.append(len(spins))
        self._clock[0] += self._each_s * len(spins)
        return self._denoiser.denoised(spins, noise, when, joints_m, known)


def test_no_frame_takes_longer_than_its_time(denoiser, make_open, clock):
    """At 20 ms a hypothesis, 50 ms have room for two, and two hands share them; all are made in the end."""
    slow = Slow(denoiser, 0.02, clock)
    followed = FollowedHypotheses(slow, EstimatorOptions(hypotheses=8, hypothesis_budget_ms=50.0))
    hands = (make_open(), make_open(track_id=2, at=(-0.1, 0, 0.5)))
    first = None
    for number in range(400):
        done = len(slow.rows)
        found = followed.step(hands, number / 30)
        assert sum(slow.rows[done:]) <= 2
        if first is None and any(hand.hypotheses for hand in found):
            first = number
        if all(hand.hypotheses is not None for hand in found):
            break
    assert first is not None and first >= 3, "eight hypotheses, two a frame at most"
    assert all(hand.hypotheses is not None for hand in found)


def test_an_image_on_its_own_has_them_at_once(denoiser, make_open, clock):
    """There is no next one to wait for."""
    slow = Slow(denoiser, 0.01, clock)
    options = EstimatorOptions(hypotheses=8, hypothesis_budget_ms=0.5, tracking=False)
    followed = FollowedHypotheses(slow, options)
    followed.warm_up()
    (found,) = followed.step((make_open(),), None)
    assert len(found.hypotheses.joints_m) == 8 and not followed.notes


def test_time_that_is_too_short_is_told(denoiser, make_open, clock):
    slow = Slow(denoiser, 0.05, clock)
    followed = FollowedHypotheses(slow, EstimatorOptions(hypotheses=8, hypothesis_budget_ms=1.0))
    followed.warm_up()
    assert "hypothesis_budget_ms is 1 and a step of one hypothesis takes" in followed.notes[0]
    made = len(slow.rows)
    assert after(followed, make_open()).hypotheses is None and len(slow.rows) == made


@pytest.mark.parametrize("wrong", [1, -1, 65, 1000])
def test_numbers_of_hypotheses_are_checked(wrong):
    with pytest.raises(ParameterError, match=f"hypotheses is {wrong}, expected 0 for none, or 2 to 64"):
        EstimatorOptions(hypotheses=wrong)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), 2000.0])
def test_times_are_checked(wrong):
    with pytest.raises(ParameterError, match="hypothesis_budget_ms is"):
        EstimatorOptions(hypothesis_budget_ms=wrong)


def test_none_are_asked_for_and_a_prior_is_needed():
    assert open_hypotheses(None, EstimatorOptions()) is None
    with pytest.raises(ParameterError, match="needs a prior"):
        open_hypotheses(None, EstimatorOptions(hypotheses=8))
