"""Which stamps are believed."""

import math

import pytest

from prehend.ros.conversion.convert import seconds, time_message, valid_stamp
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.messages import encode, make

NOW_S = 1_800_000_000.0


def stamp(sec: int, nanosec: int = 0):
    return make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)


def watch(now_s: float = NOW_S, simulated: bool = False) -> Stamps:
    return Stamps(lambda: now_s, lambda: simulated)


@pytest.mark.parametrize("age_s", [0.0, 0.02, 5.0, -0.05])
def test_stamps_of_this_clock_are_believed(age_s):
    stamps, image = watch(), time_message(NOW_S - age_s)
    assert stamps.tracking_s(image) == pytest.approx(NOW_S - age_s)
    assert stamps.latency_ms(image) == pytest.approx(max(1e3 * age_s, 0), abs=1e-3)
    assert (stamps.take(), stamps.usable) == ("", True)


@pytest.mark.parametrize(
    ("image", "word", "usable"),
    [
        (stamp(0), "zero", False),
        (stamp(-5), "invalid", False),
        (stamp(1_800_000_000, 4_294_967_295), "invalid", False),
        (stamp(7), "days behind", True),
        (stamp(1_800_000_005), "5 s ahead", True),
        (stamp(1_799_990_000), "2.78 h behind", True),
        (stamp(2**31 - 1, 4_294_967_295), "invalid", False),
    ],
)
def test_what_is_not_is_told_and_gives_no_latency(image, word, usable):
    stamps = watch()
    when = stamps.tracking_s(image)
    assert math.isnan(stamps.latency_ms(image))
    assert word in stamps.take() and stamps.usable == usable
    assert when == (seconds(image) if usable else NOW_S), "the tracker goes by this node's clock instead"


def test_a_stamp_that_stands_still_is_none():
    stamps = watch()
    told = [(stamps.tracking_s(stamp(1_800_000_000)), stamps.fault)[1] for _ in range(6)]
    assert told[0] == told[1] == "", "an image may come twice"
    assert "still" in told[-1] and not stamps.usable


def test_simulated_time_without_a_clock_is_told():
    stamps = watch(0.0, simulated=True)
    assert stamps.tracking_s(stamp(1_650_000_000)) == 1_650_000_000
    assert "/clock" in stamps.take() and math.isnan(stamps.latency_ms(stamp(1_650_000_000)))


def test_simulated_time_moves_in_steps():
    stamps = watch(100.0, simulated=True)
    stamps.tracking_s(time_message(100.4))
    assert stamps.fault == "" and stamps.latency_ms(time_message(100.4)) == 0


def test_a_fault_is_told_once_more_after_it_went():
    stamps = watch()
    stamps.tracking_s(stamp(0))
    stamps.tracking_s(stamp(1_800_000_000))
    assert "zero" in stamps.take()
    assert stamps.take() == ""


@pytest.mark.parametrize("value", [-1e300, -5.0, 0.0, 12.5, 2.0**31, 1e300, None])
def test_every_time_can_be_a_message(value):
    encode(time_message(value))


@pytest.mark.parametrize("image", [stamp(-5, 7), stamp(3, 4_294_967_295), stamp(2**31 - 1, 4_294_967_295)])
def test_outputs_carry_valid_stamps(image):
    mended = valid_stamp(image)
    assert mended.sec >= 0 and mended.nanosec < 10**9
    encode(mended)


@pytest.mark.parametrize("off_s", [86400.0, -3600.0])
def test_a_stray_stamp_neither_restarts_the_tracker_nor_reaches_tf(off_s):
    stamps = watch()
    when = [(stamps.tracking_s(time_message(NOW_S - 0.05 + off)), stamps.usable) for off in (0.0, off_s, 0.01)]
    assert [usable for _, usable in when] == [True, False, True]
    assert all(abs(one - NOW_S) <= 0.1 for one, _ in when), "the tracker meets no gap"
    assert "the others fit" in stamps.take()


def test_a_clock_that_is_set_is_followed_after_a_few_images():
    stamps = watch()
    stamps.tracking_s(time_message(NOW_S))
    later = [stamps.tracking_s(time_message(NOW_S + 86400 + n / 30)) - NOW_S for n in range(5)]
    assert later[:3] == [0, 0, 0] and later[3:] == pytest.approx([86400.1, 86400 + 4 / 30])
    assert stamps.usable and "ahead" in stamps.fault and "others" not in stamps.fault


@pytest.mark.parametrize(
    ("off_s", "says"), [(37.02, "TAI"), (7199.95, "time zone"), (-19800.1, "time zone"), (9000 + 700, "use_sim_time")]
)
def test_what_clocks_often_differ_by_is_named(off_s, says):
    stamps = watch()
    stamps.tracking_s(time_message(NOW_S + off_s))
    assert says in stamps.fault
