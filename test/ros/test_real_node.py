"""The node with its real estimator: parameters that change while it runs, and time that goes wrong."""

import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs the extra 'ros'")
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from prehend.geometry.camera import estimated_camera
from prehend.resources import resource
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.weights import available

SIZE = (320, 240)
FRAME = 45
"""Of the demo clip: two hands, of which the right one holds something."""
SHIFT_PX = 16.0

pytestmark = pytest.mark.skipif("unihope-s" not in available(), reason="no weights are shipped")


class Shown:
    """`prehend node`, asked about one image after the other.

    Time is simulated, and goes on by 1/30 s with each image: on a busy machine they are as far apart as on any.
    """

    def __init__(self, peer, start, *arguments: str) -> None:
        self._peer, self.arrays = peer, peer.listen("/prehend/hands", m.HAND_ARRAY)
        self._images, self._infos = peer.publisher("/image_raw", m.IMAGE), peer.publisher("/camera_info", m.CAMERA_INFO)
        words = ("use_sim_time:=true", "threads:=1", "detector_beside:=false", "image_reliability:=reliable")
        start("prehend", "node", "--ros-args", *(w for one in (*words, *arguments) for w in ("-p", one)))
        self._clock = peer.node.create_publisher(Clock, "/clock", 10)
        both = (self._images, self._infos, self._clock)
        peer.until(lambda: all(one.get_subscription_count() for one in both), "the node subscribes")
        peer.known()
        self._camera, self.now_s = estimated_camera(*SIZE), 100.0

    def answer(self, picture: np.ndarray, stamp_s: float | None = None):
        """The HandArray of the next picture, which has another stamp than now if it is told; it is sent again where it
        got lost before the two knew each other."""
        self.now_s += 1 / 30
        self._clock.publish(Clock(clock=Time(nanoseconds=round(self.now_s * 1e9)).to_msg()))
        header = convert.header_message(self.now_s if stamp_s is None else stamp_s, "camera")
        info, image = images.camera_message(header, self._camera, *SIZE), images.image_message(header, picture)
        before, due = len(self.arrays), [0.0]

        def step() -> bool:
            if time.monotonic() > due[0]:
                self._infos.publish(m.encode(info))
                self._images.publish(m.encode(image))
                due[0] = time.monotonic() + 20
            return any(array.header.stamp == header.stamp for array in self.arrays[before:])

        self._peer.until(step, "the answer to an image")
        return next(array for array in self.arrays[before:] if array.header.stamp == header.stamp)

    def change(self, **values) -> None:
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        given = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        result = self._peer.ask(SetParameters, "set_parameters", parameters=given).results
        assert all(one.successful for one in result), [one.reason for one in result]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    clip = cv2.VideoCapture(str(resource("hands.mp4")))
    clip.set(cv2.CAP_PROP_POS_FRAMES, FRAME)
    return cv2.cvtColor(cv2.resize(clip.read()[1], SIZE), cv2.COLOR_BGR2RGB)


def held(array) -> list[str]:
    return [one.id for hand in array.hands for one in hand.held_object]


def middle_px(array) -> float:
    """Mean x of the joints of the best seen hand of the right side."""
    return float(next(hand for hand in array.hands if hand.side == hand.RIGHT).keypoints_px[::2].mean())


def test_what_may_be_held_how_many_hands_and_how_often_the_detector_looks(peer, start, picture):
    """Parameters object_id, max_hands and find_interval_s."""
    shown = Shown(peer, start, "find_interval_s:=60.0")
    for _ in range(8):  # a grasp is told once images agree
        before = shown.answer(picture)
        if held(before):
            break
    assert len(before.hands) == 2 and held(before) == ["unknown"]
    shown.change(object_id="mug")
    assert held(shown.answer(picture)) == ["mug"]
    assert not any(shown.answer(picture).found for _ in range(3)), "it looks once a minute"
    shown.change(find_interval_s=0.01)
    assert all(shown.answer(picture).found for _ in range(3)), "it looks at every image"
    shown.change(max_hands=1)
    (one,) = shown.answer(picture).hands
    assert one.track_id in {hand.track_id for hand in before.hands}, "the one that stays keeps its number"


def test_how_it_smooths(peer, start, picture):
    """smooth_min_cutoff_hz and smooth_beta: a hand that jumps is followed slowly, by its speed, or at once."""
    shown, aside = Shown(peer, start, "smooth_min_cutoff_hz:=0.0"), np.roll(picture, int(SHIFT_PX), axis=1)
    for _ in range(3):
        here = middle_px(shown.answer(picture))
    shown.change(smooth_min_cutoff_hz=0.01, smooth_beta=0.0)
    shown.answer(picture)
    assert abs(middle_px(shown.answer(aside)) - here) < 0.3 * SHIFT_PX, "it hardly follows"
    shown.change(smooth_beta=100.0)
    for _ in range(3):
        followed = middle_px(shown.answer(picture))
        followed = middle_px(shown.answer(aside))
    assert abs(followed - here) > 0.6 * SHIFT_PX, "what is quick is followed"
    shown.change(smooth_min_cutoff_hz=0.0)
    assert abs(middle_px(shown.answer(aside)) - here - SHIFT_PX) < 0.3 * SHIFT_PX, "it follows at once"


def test_from_which_score_on_hands_are_told(peer, start, picture):
    """Parameter min_score: a picture fades until the network is in doubt; who is followed is kept down to 2/3 of it."""
    shown = Shown(peer, start, "min_score:=0.01")
    assert shown.answer(picture).hands
    for share in 0.1 * 0.97 ** np.arange(40):
        faded = (128 + share * (picture.astype(np.float64) - 128)).astype(np.uint8)
        scores = [hand.score for hand in shown.answer(faded).hands]
        if scores and min(scores) < 0.6:
            break
    assert scores and min(scores) < 0.6
    shown.change(min_score=0.99)
    strict = [hand.score for hand in shown.answer(faded).hands]
    assert len(strict) < len(scores) and all(score >= 0.66 for score in strict)
    shown.change(min_score=0.01)
    again = (
        len(shown.answer(picture).hands) for _ in range(10)
    )  # of the clear one: a faded hand may not be found anew
    assert any(count == len(scores) for count in again)


def numbers(array) -> list[int]:
    return [hand.track_id for hand in array.hands]


def test_time_that_goes_wrong_is_named_and_the_node_goes_on(peer, start, picture):
    """With a network that draws on several frames: stamps that are swapped, stand still, go back and jump, images that
    are missing."""
    shown, told = Shown(peer, start, "temporal_frames:=3"), peer.listen("/diagnostics", m.DIAGNOSTICS)
    first = numbers([shown.answer(picture) for _ in range(8)][-1])
    assert len(first) == 2
    swapped = [shown.answer(picture, shown.now_s + ahead_s) for ahead_s in (3 / 30, 1 / 30)]
    shown.now_s += 2 / 30
    still_s = shown.now_s
    still = [shown.answer(picture, still_s) for _ in range(6)]
    peer.until(lambda: any("stand still" in one.message for array in told for one in array.status), "it is named")
    later = [shown.answer(picture) for _ in range(2)]
    shown.now_s += 0.3
    later.append(shown.answer(picture))
    assert all(numbers(array) == first for array in (*swapped, *still, *later))
    for jump_s, says in ((-50.0, "went back by 50 s"), (5.0, "no image for 5.03 s")):  # a loop, a bag that was stopped
        shown.now_s += jump_s
        anew = [numbers(shown.answer(picture)) for _ in range(3)]
        assert anew == [[number + len(first) for number in first]] * 3, "nothing of before is left"
        peer.until(lambda says=says: any(says in one.message for array in told for one in array.status), says)
        first = anew[-1]
