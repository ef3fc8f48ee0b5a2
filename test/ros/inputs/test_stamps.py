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


@pytest.mark.parametrize(("off_s", "says"), [(-37.0, "TAI"), (-37.4, "TAI"), (-22.0, "synchronise"), (-55.0, "bag")])
def test_stamps_that_are_always_tens_of_seconds_behind_are_of_another_clock(off_s, says):
    """A driver's clock that is wrong from the start: no image fitted before."""
    stamps = watch()
    for n in range(5):
        image = time_message(NOW_S + off_s + n / 1000)
        assert stamps.tracking_s(image) == seconds(image) and stamps.usable
        assert f"{-off_s:.3g} s behind" in stamps.fault and says in stamps.fault
        assert math.isnan(stamps.latency_ms(image))


def test_a_clock_that_is_set_back_by_seconds_is_told_after_a_few_images():
    clock = [NOW_S]
    stamps, told = Stamps(lambda: clock[0], lambda: False), []
    for n in range(12):
        clock[0] = NOW_S + n / 30
        stamps.tracking_s(time_message(clock[0] - (0.05 if n < 6 else 37.05)))
        told.append(stamps.fault)
    assert told[:6] == [""] * 6 and all("an image came 37" in text for text in told[6:9])
    assert all("stamps are 37" in text and "TAI" in text for text in told[9:])


def test_one_image_that_waited_is_no_other_clock():
    """The process stood still, or a queue was full: it is tracked by its stamp, and those after it are believed."""
    stamps = watch()
    for age_s, fits in ((0.05, True), (30.0, False), (0.04, True)):
        image = time_message(NOW_S - age_s)
        assert stamps.tracking_s(image) == seconds(image) and stamps.usable
        assert math.isnan(stamps.latency_ms(image)) is not fits
    assert "the others fit" in stamps.take()
    assert stamps.take() == ""


@pytest.mark.parametrize(
    ("steps_s", "says"),
    [
        ((1 / 30, 1 / 30, -1 / 30, 1 / 15), ""),
        ((1 / 30, 1 / 30, 0.0, 0.9), ""),
        ((1 / 30, 1 / 30, -5.0, 1 / 30), "went back by 5 s"),
        ((1 / 30, 1 / 30, -0.2, 1 / 30), "went back by 0.2 s"),
        ((0.2, 0.2, -0.2, 0.4), ""),
        ((1 / 30, 1 / 30, 30.0, 1 / 30), "no image for 30 s"),
    ],
    ids=["swapped", "twice, then a pause", "a loop", "back by six images", "swapped at 5 Hz", "a jump"],
)
def test_time_that_jumps_is_told_once_where_the_tracker_begins_anew(steps_s, says):
    stamps, image = watch(1000.0, simulated=True), 960.0
    stamps.tracking_s(time_message(image))
    for step_s in steps_s:
        image += step_s
        stamps.tracking_s(time_message(image))
    told = stamps.take()
    assert says in told and ("all hands were given up" in told) == bool(says), told
    assert stamps.take() == "" and stamps.usable and stamps.latency_ms(time_message(image)) > 0


@pytest.mark.parametrize("behind_s", [12.0, 37.0, 59.0])
def test_simulated_time_may_run_ahead_of_its_images(behind_s):
    """A bag played at a multiple of its speed."""
    stamps = watch(1000.0, simulated=True)
    image = time_message(1000.0 - behind_s)
    for _ in range(5):
        image = time_message(seconds(image) + 0.01)
        stamps.tracking_s(image)
    assert stamps.take() == "" and stamps.latency_ms(image) == pytest.approx(1e3 * (behind_s - 0.05))


def test_a_bag_of_long_ago_keeps_its_own_words():
    stamps = watch()
    stamps.tracking_s(stamp(1_650_000_000))
    assert "use_sim_time" in stamps.fault and "TAI" not in stamps.fault
