"""Rows of a batch: each depends on seed, step and its number alone, however many processes share them."""

import numpy as np
import pytest

from prehend_training.data.base import as_batch, drawn_indices, drawn_rows, joined, stacked
from prehend_training.data.pixels.plans import PENDING


class Counted:
    """Numbers in turn."""

    def __init__(self, count):
        self.count = count

    def indices(self, seed, step, batch_size):
        return drawn_indices(seed, step, batch_size, self.count)


class Source:
    """Samples that tell their number and a draw."""

    def __init__(self, seed=3, batch_size=7):
        self.dataset, self.seed, self.batch_size = Counted(11), seed, batch_size

    def sample(self, index, rng):
        return {"number": np.array(index), "drawn": rng.random(2)}


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 10])
def test_parts_make_the_whole_in_order(parts):
    whole = list(drawn_rows(Counted(11), 3, 4, 7, (0, 1)))
    shared = [row for k in range(parts) for row in drawn_rows(Counted(11), 3, 4, 7, (k, parts))]
    assert [index for index, _ in shared] == [index for index, _ in whole]
    assert [rng.random() for _, rng in shared] == [rng.random() for _, rng in whole]


def test_no_two_rows_steps_or_seeds_draw_alike():
    draws = [
        rng.random()
        for seed in range(3)
        for step in range(3)
        for _, rng in drawn_rows(Counted(11), seed, step, 5, (0, 1))
    ]
    assert len(set(draws)) == 45


@pytest.mark.parametrize(("count", "size"), [(1, 4), (3, 4), (4, 4), (13, 5)])
def test_everything_comes_once_before_anything_comes_twice(count, size):
    drawn = [index for step in range(3 * count) for index in drawn_indices(8, step, size, count)]
    for epoch in range(len(drawn) // count):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_a_stack_has_a_first_axis_of_samples():
    batch = stacked(Source(), 2, (0, 1))
    assert batch["number"].shape == (7,) and batch["drawn"].shape == (7, 2)
    parts = [stacked(Source(), 2, (k, 3)) for k in range(3)]
    np.testing.assert_array_equal(np.concatenate([part["drawn"] for part in parts]), batch["drawn"])


def test_what_waits_for_a_device_is_no_array():
    works = [object(), object()]
    batch = as_batch([{"a": np.zeros(2), PENDING: work} for work in works])
    assert batch[PENDING] == works and batch["a"].shape == (2, 2)


def test_groups_lie_one_behind_the_other():
    groups = [{"view": np.full((count, 2), count)} for count in (3, 1, 2)]
    assert joined(groups)["view"][:, 0].tolist() == [3, 3, 3, 1, 2, 2]
