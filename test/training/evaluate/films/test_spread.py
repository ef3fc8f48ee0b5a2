from types import SimpleNamespace

import numpy as np
import pytest

from prehend.errors import AssetError
from prehend.pipeline.load import load_estimator
from prehend.pipeline.networks.uncertainty import JOINT_CLASS, SAID_M
from prehend.types import Box, GraspEstimate, HandEstimate
from prehend_training.evaluate.films.spread import DELAYS_S, JointErrors, _joined, _label_of, fitted, spread_on

RNG = np.random.default_rng(0)


def made(
    films: int = 8, rows: int = 3000, spread_m: float = 0.02, power: float = 0.8, drift_m_s: float = 0.1
) -> JointErrors:
    """Errors of a network that is as sure as it says: .68 of them within `spread_m` at `SAID_M`."""
    said = SAID_M * np.exp(RNG.normal(0, 0.5, films * rows))
    off = spread_m * (said / SAID_M) ** power * np.exp(RNG.normal(-0.4677 * 0.5, 0.5, len(said)))
    kinds = np.arange(len(said)) % 3
    far = [np.quantile(off[kinds == kind], 0.68) for kind in range(3)]
    carried = {d: [np.full(100, np.hypot(q, drift_m_s * d)) for q in far] for d in DELAYS_S}
    return JointErrors(np.repeat(np.arange(films), rows), kinds, RNG.random(len(said)) < 0.6, said, off, carried)


def test_it_finds_what_was_put_in() -> None:
    told = fitted(made())
    for rows in told["spread"].values():
        for spread_m, power in rows:
            assert spread_m == pytest.approx(0.02, rel=0.06)
            assert power == pytest.approx(0.8, abs=0.1)
    np.testing.assert_allclose(told["drift_m_s"], 0.1, rtol=0.02)


def test_of_the_errors_the_right_share_lies_within_one_on_other_films_too() -> None:
    told = fitted(made())
    for shares in (told["within"], told["within_of_other_films"]):
        assert shares.keys() == {"seen", "hidden"}
        assert all(abs(share - 0.68) < 0.02 for share in shares.values())


def test_films_without_a_hand_that_is_found_are_refused(films) -> None:
    estimator = load_estimator(threads=1, detector_score=0.9999)
    with estimator, pytest.raises(AssetError, match="no hand was found"):
        spread_on(estimator, [films])


def seen(time_s, off_m, side="right", std_px=4.0):
    """A look at a hand whose joints are off along x; a pixel is a millimetre."""
    x = np.arange(21.0)
    joints = np.stack([x, x % 5, np.zeros(21)], 1) / 1000
    moved = joints + off_m * (np.arange(21) > 0)[:, None] * np.array([1.0, 0, 0])
    hand = HandEstimate(
        1, side, 1.0, Box(0, 0, 1, 1), joints[:, :2] * 1000, joints, np.zeros((0, 3)), np.tile(np.eye(3), (16, 1, 1)),
        np.zeros(10), np.arange(21) % 2 == 0, GraspEstimate("not_grasping", 1.0), keypoint_std_px=np.full(21, std_px),
    )  # fmt: skip
    return time_s, moved, joints, hand


def test_looks_become_rows_without_the_wrist() -> None:
    joined = _joined({(0, "right"): [seen(0.0, 0.01)], (3, "left"): [seen(0.0, 0.03, "left")]})
    assert len(joined.off) == 40 and set(joined.film) == {0, 3}
    np.testing.assert_allclose(joined.off[joined.film == 0], 0.01)
    np.testing.assert_allclose(joined.off[joined.film == 3], 0.03)
    np.testing.assert_allclose(joined.said, 0.004, rtol=1e-6)
    np.testing.assert_array_equal(joined.kind[:20], JOINT_CLASS[1:])
    np.testing.assert_array_equal(joined.seen[:20], np.arange(1, 21) % 2 == 0)
    assert all(len(part) == 0 for kinds in joined.carried.values() for part in kinds)


def test_places_are_carried_to_looks_that_are_so_much_later() -> None:
    """What was said at 0 s is held against the truth of 0.1 s; 0.145 s is no delay that is asked for."""
    looks = [seen(0.0, 0.02), seen(0.1, 0.0), seen(0.145, 0.0)]
    joined = _joined({(0, "right"): looks})
    counts = {delay: sum(map(len, kinds)) for delay, kinds in joined.carried.items()}
    assert counts == {0.1: 20, 0.2: 0, 0.3: 0, 0.5: 0}
    np.testing.assert_allclose(np.concatenate(joined.carried[0.1]), 0.02)


def test_a_hand_is_the_labelled_one_of_its_side_that_is_near() -> None:
    hand = seen(0.0, 0.0)[3]
    size = float(np.ptp(hand.keypoints_px, axis=0).max())

    def label(shift, side="right"):
        return SimpleNamespace(side=side, keypoints_px=hand.keypoints_px + np.array([shift * size, 0.0]))

    near, far, other = label(0.4), label(0.6), label(0.0, "left")
    assert _label_of(hand, [other, far, near]) is near
    assert _label_of(hand, [other, far]) is None and _label_of(hand, []) is None


def test_one_film_tells_nothing_of_other_films() -> None:
    told = fitted(made(films=1, rows=200))
    assert told["within_of_other_films"] == {} and told["within"].keys() == {"seen", "hidden"}
