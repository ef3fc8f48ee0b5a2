"""Training of what dates grasps."""

from collections import Counter

import numpy as np
import pytest
import torch

from prehend.pipeline.networks.grasp_dates import SIGNALS, TIMES_S
from prehend_training.moments.dates import (
    DatedMoments,
    DateTraining,
    date_answers,
    drawn_too_often,
    train_dates,
    varied,
)

BRIEF = DateTraining(steps=300, cut_p=0.2, blind_p=0.0)
T = len(TIMES_S)


def hand(seed: int) -> DatedMoments:
    """Where frames become sure at the moment a grasp begins, where they cease to be one ends; what moves tells holding.
    Of a third each it is not asked."""
    rng = np.random.default_rng(seed)
    kinds, windows = np.arange(90) % 3, rng.normal(0, 0.1, (90, SIGNALS, T)).astype(np.float32)
    step = np.where(TIMES_S >= 0, 1.0, -1.0)
    windows[kinds == 1, 0] += step
    windows[kinds == 2, 0] -= step
    held = rng.random(90) < 0.5
    windows[held, 1] += 1
    asked = np.stack([kinds == 1, kinds == 2, held], 1).astype(np.float32)
    asked[rng.random((90, 3)) < 1 / 3] = np.nan
    return DatedMoments(windows, asked)


def test_three_answers_are_learnt_where_they_are_known() -> None:
    steps = Counter()
    network = train_dates([hand(seed) for seed in range(4)], BRIEF, lambda: steps.update(["step"]))
    assert steps["step"] == BRIEF.steps and not network.training
    other = hand(100)
    told = date_answers(network, other.windows) > 0
    for column in range(3):
        known = ~np.isnan(other.asked[:, column])
        assert np.mean(told[known, column] == (other.asked[known, column] == 1)) > 0.95


def test_one_seed_gives_one_network() -> None:
    hands = [hand(0)]
    brief = DateTraining(steps=5)
    one, other, third = (train_dates(hands, how) for how in (brief, brief, DateTraining(steps=5, seed=1)))
    numbers = [network.head[1].weight for network in (one, other, third)]
    assert torch.equal(numbers[0], numbers[1]) and not torch.equal(numbers[0], numbers[2])
    assert date_answers(one, np.zeros((0, SIGNALS, T), np.float32)).shape == (0, 3)


def test_changes_are_as_likely_as_they_come_though_they_are_drawn_more_often() -> None:
    """Windows that tell nothing: of 2,000 moments 60 are beginnings and 20 ends."""
    asked = np.zeros((2000, 3), np.float32)
    asked[:60, 0], asked[60:80, 1] = 1, 1
    shift = drawn_too_often(asked, DateTraining(batch_size=128, changes=32))
    drawn = 0.25 * 0.75 + 0.75 * 0.03  # of the changes three in four are beginnings
    assert shift[0] == pytest.approx(np.log(drawn / (1 - drawn)) - np.log(0.03 / 0.97), abs=1e-4)
    assert drawn_too_often(asked * 0, DateTraining()).tolist() == [0, 0]
    rest = DatedMoments(np.zeros((2000, SIGNALS, T), np.float32), asked)
    told = date_answers(train_dates([rest], DateTraining(steps=600)), rest.windows).mean(0)
    shares = 1 / (1 + np.exp(-told))
    assert shares[0] == pytest.approx(0.03, abs=0.02) and shares[1] == pytest.approx(0.01, abs=0.01)


def test_hands_without_a_grasp_are_learnt_from_too() -> None:
    one = hand(0)
    rest = DatedMoments(one.windows, np.zeros_like(one.asked))
    assert (date_answers(train_dates([rest], BRIEF), one.windows) < 0).all()


def test_hands_go_in_any_direction_and_some_have_no_past_and_no_images() -> None:
    windows = np.random.default_rng(0).normal(0, 1, (400, SIGNALS, T)).astype(np.float32)
    plain = DateTraining(odds_std=0.0, noise=0.0, cut_p=0.0, blind_p=0.0)
    turned = varied(windows, plain, np.random.default_rng(1))
    np.testing.assert_array_equal(turned[:, :7, 1:], windows[:, :7, 1:])  # at its first time a hand is at rest
    np.testing.assert_allclose(np.linalg.norm(turned[:, 7:], axis=1), np.linalg.norm(windows[:, 7:], axis=1), atol=1e-5)
    assert np.abs(turned[:, 7:] - windows[:, 7:]).max(axis=(1, 2)).min() > 0
    cut = varied(windows, DateTraining(odds_std=0.0, noise=0.0, cut_p=0.5, blind_p=0.5), np.random.default_rng(1))
    still = (np.diff(cut[:, 0], axis=1) == 0).sum(1)  # times of which nothing else is known
    assert 0.3 < np.mean(still > 0) < 0.6 and still.max() < 24, "the moment itself is always known"
    row = int(np.argmax(still))
    assert (
        cut[row, 5, : still[row] + 1] == pytest.approx(np.log(0.03) + 2)
        and cut[row, 0, 0] == windows[row, 0, still[row]]
    )
    assert np.mean((cut[:, 1:3] == 0).all(axis=(1, 2))) == pytest.approx(0.5, abs=0.08)
