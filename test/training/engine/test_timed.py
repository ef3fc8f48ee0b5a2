"""Scenes by the clock: rounds that fit the time, a total that is kept to, calls that go on."""

import json
from dataclasses import replace

import pytest
from fake import open_fake
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend_training.engine.scenes import SceneConfig
from prehend_training.engine.timed import Rendering, _round, render
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardFolder

CONFIG = SceneConfig("crops", 1, 32, Packing("none", "png"))


class Clock:
    """Goes on by so much at every look."""

    def __init__(self, step_s):
        self.now, self.step_s = 0.0, step_s

    def __call__(self):
        self.now += self.step_s
        return self.now


def a_rendering(out, count=7, minutes=60.0, **changes):
    return Rendering(out, CONFIG, count, minutes, **{"workers": 0, "shard_units": 2, "make": open_fake, **changes})


@settings(deadline=None)
@given(
    st.integers(0, 8), st.integers(1, 256), st.integers(1, 10_000), st.floats(0.1, 1e4), st.floats(-10, 1e5)
)  # fmt: skip
def test_a_round_is_whole_shards_for_every_worker_and_fits_the_time(workers, shard_units, there, seconds, left_s):
    rendering = a_rendering(None, workers=workers, shard_units=shard_units)
    more = _round(rendering, there, seconds, left_s)
    assert more >= 0 and more % (max(workers, 1) * shard_units) == 0
    assert more * seconds / there <= max(left_s, 0)
    assert _round(rendering, 0, 0.0, 1.0) == max(workers, 1) * shard_units  # the first one tells the speed


def test_the_number_is_kept_to_and_nothing_is_done_again(tmp_path):
    rendering, clock = a_rendering(tmp_path / "x"), Clock(0.01)
    assert not rendering.done and rendering.indexed == 0 == rendering.seconds
    assert render(rendering, 1e9, clock) and rendering.indexed == 7 and rendering.done
    spent, looked = rendering.seconds, clock.now
    assert render(rendering, 1e9, clock) and rendering.seconds == spent and clock.now == looked
    assert len(ShardFolder.open(tmp_path / "x", verify=True)) == 7


def test_more_can_be_asked_for_later_and_the_time_adds_up(tmp_path):
    rendering, clock = a_rendering(tmp_path / "x", count=4), Clock(1.0)
    assert render(rendering, 1e9, clock)
    spent, first = rendering.seconds, (tmp_path / "x/shard-00000.tar").stat().st_mtime_ns
    more = replace(rendering, count=8)
    assert not more.done and render(more, 1e9, clock) and more.indexed == 8
    assert more.seconds > spent and (tmp_path / "x/shard-00000.tar").stat().st_mtime_ns == first
    assert json.loads((tmp_path / "x/rendering.json").read_text()) == {"seconds": more.seconds}


def test_a_call_without_time_does_nothing_and_is_not_done(tmp_path):
    rendering = a_rendering(tmp_path / "x")
    assert not render(rendering, 0.0, Clock(1.0)) and not (tmp_path / "x").exists()


def test_a_call_that_ends_early_is_not_the_end(tmp_path):
    rendering = a_rendering(tmp_path / "x", count=100)
    assert not render(rendering, 3.0, Clock(1.0))
    begun = rendering.indexed
    assert 0 < begun < 100 and not rendering.done
    assert not render(rendering, 0.0, Clock(1.0)) and rendering.indexed == begun


@pytest.mark.parametrize(("seconds", "most"), [(5.0, 99), (1.5, 2)])
def test_minutes_that_are_used_up_end_it_for_good(seconds, most, tmp_path):
    """A round takes a second of this clock; of one and a half the rest is too short for another."""
    rendering = a_rendering(tmp_path / "x", count=100, minutes=seconds / 60)
    assert render(rendering, 1e9, Clock(1.0))
    assert rendering.done and rendering.seconds == pytest.approx(seconds) and 0 < rendering.indexed <= most
    assert render(rendering, 0.0, Clock(1.0)), "nothing is left to do, whatever the time"


def test_a_folder_of_other_scenes_is_refused(tmp_path):
    assert render(a_rendering(tmp_path / "x", count=2), 1e9, Clock(0.01))
    other = replace(a_rendering(tmp_path / "x", count=4), config=replace(CONFIG, seed=2))
    with pytest.raises(InvalidInput, match="seed is 1 and not 2"):
        render(other, 1e9, Clock(0.01))
