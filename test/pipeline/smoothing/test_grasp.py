from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prehend.errors import ParameterError
from prehend.pipeline.smoothing.grasp import GraspConfig, GraspFilter, instant_grasp

CONFIG = GraspConfig(enter=0.7, leave=0.3)
FRAME_S = 1 / 30


def run(probabilities: list[float], config: GraspConfig = CONFIG):
    """States at 30 Hz, stamped with the number of the frame."""
    grasp = GraspFilter(config)
    return [grasp.update(p, float(k), FRAME_S) for k, p in enumerate(probabilities)]


def test_unknown_until_frames_agree_and_since_is_when_it_began() -> None:
    states = run([0.9, 0.9, 0.9, 0.9])
    assert [s.state for s in states] == ["unknown", "unknown", "grasping", "grasping"]
    assert [s.since for s in states] == [0, 0, 0, 0]
    states = run([0.5, 0.5, 0.1, 0.1, 0.1, 0.1])
    assert [s.state for s in states] == ["unknown"] * 4 + ["not_grasping"] * 2
    assert states[-1].since == 2


def test_release_and_grasp_are_dated_to_their_first_frame() -> None:
    states = run([0.9] * 4 + [0.1] * 3 + [0.8] * 3)
    assert [s.state for s in states[4:]] == ["grasping"] * 2 + ["not_grasping"] * 3 + ["grasping"]
    assert states[6].since == 4
    assert states[9].since == 7


@pytest.mark.parametrize("flicker", [[0.1, 0.9], [0.1, 0.1, 0.9], [0.5], [float("nan")], [0.1, 0.1, 0.5]])
def test_flicker_changes_nothing(flicker: list[float]) -> None:
    states = run([0.9] * 3 + flicker * 10)
    assert {s.state for s in states[2:]} == {"grasping"}
    assert states[-1].since == 0


def test_the_frames_own_probability_is_reported() -> None:
    assert [s.probability for s in run([0.2, 0.8])] == [0.2, 0.8]


@pytest.mark.parametrize(("probability", "state"), [(0.9, "grasping"), (0.55, "grasping"), (0.2, "not_grasping")])
def test_a_picture_without_a_stamp_may_be_the_only_one(probability: float, state: str) -> None:
    grasp = GraspFilter(CONFIG)
    assert grasp.update(probability, None, FRAME_S).state == state
    assert grasp.update(1 - probability, None, FRAME_S).state == state, "one frame changes nothing"
    assert GraspFilter(CONFIG).update(float("nan"), None, FRAME_S).state == "unknown"
    assert GraspFilter(CONFIG).update(probability, 3.0, FRAME_S).state == "unknown"


def test_an_object_is_looked_for_longer_than_it_takes_to_begin() -> None:
    grasp = GraspFilter(CONFIG)
    assert grasp.holds(0.71)
    assert not grasp.holds(0.5)
    for _ in range(3):
        grasp.update(0.9, None, FRAME_S)
    assert grasp.holds(0.5)
    assert not grasp.holds(0.3)
    assert not grasp.holds(float("nan"))


@pytest.mark.parametrize(("hz", "frames"), [(5, 2), (15, 2), (30, 3), (60, 4)])
def test_a_change_takes_the_same_time_at_any_rate_and_never_one_frame_alone(hz: float, frames: int) -> None:
    grasp = GraspFilter(GraspConfig())
    rows = [0.1] * hz + [0.9] * hz + [0.1] + [0.9] * hz + [0.1] * hz
    states = [grasp.update(p, k / hz, 1 / hz) for k, p in enumerate(rows)]
    changes = [k for k in range(1, len(rows)) if states[k].state != states[k - 1].state]
    assert changes == [frames - 1, hz + frames - 1, 3 * hz + 1 + frames - 1], "one frame that says otherwise is none"
    since = [states[k].since for k in changes]
    assert since == [0, 1.0, (3 * hz + 1) / hz], "when it happened, not when it was certain"
    delays = [k / hz - began for k, began in zip(changes, since, strict=True)]
    assert max(delays) <= max(0.07, 1 / hz) + 1e-9


def test_frames_that_come_late_count_for_their_time() -> None:
    grasp = GraspFilter(GraspConfig())
    grasp.update(0.9, 0.0, FRAME_S)
    assert grasp.update(0.9, 0.0, 0.0).state == "unknown", "the same moment twice"
    assert grasp.update(0.9, 0.1, 0.1).state == "grasping"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 5))
def test_a_state_never_changes_faster_than_its_frames(probabilities: list[float], frames: int) -> None:
    states = run(probabilities, GraspConfig(0.6, 0.4, (frames - 1) / 30 - 1e-6 if frames > 1 else 0.0))
    changes = [k for k in range(1, len(states)) if states[k].state != states[k - 1].state]
    assert all(b - a >= frames for a, b in pairwise(changes))
    for k in changes:
        assert states[k].since == k - frames + 1
        wanted = states[k].state
        streak = probabilities[k - frames + 1 : k + 1]
        assert all(p >= 0.6 if wanted == "grasping" else p <= 0.4 for p in streak)


def test_single_pictures_take_the_likelier_state() -> None:
    assert instant_grasp(0.5, 2.0).state == "grasping"
    assert instant_grasp(0.49, 2.0).state == "not_grasping"
    assert instant_grasp(0.9, 2.0).since == 2.0
    assert instant_grasp(np.nan, 2.0).state == "unknown"


@pytest.mark.parametrize(
    "wrong",
    [{"enter": 0.3, "leave": 0.5}, {"enter": 1.0}, {"leave": 0.0}, {"lasting_s": -0.1}, {"lasting_s": float("nan")}],
)
def test_contradictory_thresholds_are_refused(wrong) -> None:
    with pytest.raises(ParameterError):
        GraspConfig(**wrong)
