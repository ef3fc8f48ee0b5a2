"""Measures of events on films, and the fit behind them, on hands that were made up."""

from itertools import pairwise

import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import AssetError
from prehend.pipeline.frames.hand_motion import LAYERS, SIZE, MotionPatch
from prehend.pipeline.load import load_estimator
from prehend.pipeline.networks.grasp_dates import GraspDatesNetwork
from prehend.pipeline.networks.grasp_motion import GraspMotionNetwork
from prehend.pipeline.tracking.grasp_moments import GraspReading, moment_windows
from prehend.pipeline.tracking.grasp_path import PathFit
from prehend.weights import load_bundle
from prehend_training.evaluate.films.event_fit import PATHS, fitted, replayed, save_fit
from prehend_training.evaluate.films.events import NEAR_S, Watched, events_on, judged
from prehend_training.moments.dates import DateTraining, date_answers
from prehend_training.moments.motion import MotionTraining, WatchedLook

BRIEF, BRIEFLY = MotionTraining(epochs=4.0), DateTraining(steps=400)


def watched(film: int, true=(), told=(), samples=(), duration_s: float = 30.0) -> Watched:
    return Watched(
        film, duration_s,
        {"grasped": list(true), "released": []}, {"grasped": list(told), "released": []}, list(samples),
    )  # fmt: skip


def test_an_event_is_found_once_and_what_is_left_is_false() -> None:
    hands = [watched(0, [1.0, 9.0], [1.1, 1.05, 9.0 + NEAR_S + 0.1]), watched(0, [], [4.0]), watched(1)]
    found = judged(hands)
    assert found["minutes"] == 1.0, "two hands of one film share its time"
    assert found["grasped"] == {"true": 2, "found": 1, "late_s": [0.05], "false": 3}
    assert found["released"] == {"true": 0, "found": 0, "late_s": [], "false": 0}
    assert found["false_a_minute"] == 3.0


def test_events_alternate_at_their_peaks_and_are_told_once_they_are_over() -> None:
    at_s, fit = np.arange(60) / 15, PathFit(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    begins, ends = 1 - np.abs(at_s - 1.0) * 10, np.where(at_s > 1.2, 1.0, -9.0) - np.abs(at_s - 2.6)
    odds = np.stack([begins, ends, np.zeros(60)], 1)
    assert replayed(at_s, odds, fit) == {"grasped": [pytest.approx(1.0)], "released": [pytest.approx(2.6)]}
    assert replayed(at_s, odds, fit._replace(begin=2.0)) == {"grasped": [], "released": []}
    assert replayed(at_s[:20], odds[:20], fit) == {
        "grasped": [], "released": []
    }, "what is told later than the film lasts is not told"  # fmt: skip


def carried(film: int, seed: int) -> Watched:
    """A hand that rests, rises when it grasps, and rests again."""
    rng = np.random.default_rng(seed)
    begin_s, end_s = rng.uniform(2.0, 3.0), rng.uniform(4.5, 5.5)
    samples = []
    for t in np.arange(0, 8, 1 / 15):
        way = 40 * np.clip((t - begin_s) / 0.5, 0, 1) - 40 * np.clip((t - end_s + 0.5) / 0.5, 0, 1)
        odds = 2.0 if begin_s - 0.3 < t < end_s else -1.0
        place = np.array([5.0, way]) + rng.normal(0, 0.5, 2)
        samples.append(GraspReading(t, t, place, odds + rng.normal(0, 0.5), 0.003, 0.5, 0.8))
    one = watched(film, [begin_s], samples=samples, duration_s=8.0)
    one.true["released"] = [end_s]
    one.looks = {k: look_at(begin_s < samples[k].at_s < end_s, rng) for k in range(0, len(samples), 8)}
    return one


def look_at(holds: bool, rng: np.random.Generator) -> WatchedLook:
    """What is before the hand goes with it, or it does not."""
    layers = rng.normal(0, 0.1, (LAYERS, SIZE, SIZE)).astype(np.float32)
    layers[1, 20:44, 40:60] += 0.7 if holds else -0.7
    return WatchedLook(MotionPatch(layers.astype(np.float16), np.full(2, 0.5, np.float32)), holds, holds)


@pytest.fixture(scope="module")
def fit():
    return fitted([carried(film, film) for film in range(20)], BRIEF, BRIEFLY)


def test_a_fit_finds_what_hands_do_in_films_that_it_has_not_seen(fit) -> None:
    assert PathFit(**fit.numbers["path"]) in PATHS
    for told in (fit.numbers["of_other_films"], fit.numbers["without_images"]):
        for what in ("grasped", "released"):
            assert told[what]["found"] >= 16
        assert told["false_a_minute"] <= 1.0


def test_the_networks_of_a_fit_are_those_of_its_weights(fit, tmp_path, films) -> None:
    bundle, dates = save_fit(fit, tmp_path / "mine", [films], "unihope-s")
    for one in (bundle, dates):
        assert load_bundle(tmp_path / "mine" / one.name).weights_sha256 == one.weights_sha256
        assert one.manifest["trained_on"][0]["path"] == films.name and one.manifest["samples_seen"] > 0
    windows = moment_windows(carried(0, 0).samples, np.array([1.0, 3.0]))
    answers = GraspDatesNetwork(open_backend("onnx", dates)).tell(windows)
    np.testing.assert_allclose(answers, date_answers(fit.dates, windows.astype(np.float32)), atol=0.02)
    network = GraspMotionNetwork(open_backend("onnx", bundle))
    rng = np.random.default_rng(100)
    told = [[network.tell(look_at(holds, rng).patch).holds for _ in range(20)] for holds in (True, False)]
    assert np.min(told[0]) > 0 > np.max(told[1])


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(AssetError, match="grasped"):
        fitted([watched(0)])
    blind = carried(0, 0)
    blind.looks = {}
    with pytest.raises(AssetError, match="no hand moves"):
        fitted([blind])


def test_films_are_watched_hand_by_hand(films) -> None:
    with load_estimator(grasp_events="moved") as estimator:
        hands = events_on(estimator, [films])
    assert len({one.film for one in hands}) <= 4 and any(len(one.samples) > 1 for one in hands)
    for one in hands:
        times = [sample.at_s for sample in one.samples]
        assert all(b - a >= 0.06 - 1e-6 for a, b in pairwise(times))
        assert all(0 < k < len(one.samples) for k in one.looks), "the first look is compared with none"
        assert all(look.patch.layers.dtype == np.float16 and look.touches is not None for look in one.looks.values())
    assert any(one.looks for one in hands)
    assert judged(hands)["minutes"] > 0
