"""The worker and what it counts, without a node."""

import threading
import time

import numpy as np
import pytest

from prehend.errors import DeviceError, InvalidInput
from prehend.hand_model import load_hand_model
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.nodes import diagnostics
from prehend.ros.nodes.worker_loop import GIVE_UP_AFTER
from prehend.ros.params import NodeParams
from prehend.ros.worker import Worker
from prehend.types import Camera

SIZE = (64, 48)
CAMERA = Camera(np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]), *SIZE)


def image_bytes(order: int, stamp_s: float = 1.0) -> bytes:
    picture = np.full((SIZE[1], SIZE[0], 3), order, np.uint8)
    return m.encode(images.image_message(convert.header_message(stamp_s, "cam"), picture))


def info(camera: Camera | None, width: int = SIZE[0]):
    return images.camera_message(convert.header_message(0.0, "cam"), camera, width, SIZE[1])


class Bench:
    """A worker in a thread whose results are kept; its estimator waits while `gate` is closed."""

    def __init__(self, toy, hand_models=None, **values):
        self.hand_models = hand_models
        self.results, self.stats, self.gate = [], diagnostics.Stats(0.0), threading.Event()
        self.gate.set()
        params = NodeParams().updated({"camera_info_timeout_s": 0.0, **values})
        self.calibration = Calibration(params.fov_deg, params.camera_info_timeout_s, rectified=False)
        self.worker = Worker(self, params, self.calibration, self.stats, lambda *result: self.results.append(result))
        self._toy, self._error = toy.ToyEstimator(), None
        self.busy = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def estimate(self, image, camera=None, stamp=None, depth=None, hypotheses=True):
        self.busy.set()
        assert self.gate.wait(60)
        return self._toy.estimate(image, camera, stamp, depth)

    def reset(self) -> None:
        self._toy.reset()

    def _run(self) -> None:
        try:
            self.worker.run()
        except (ZeroDivisionError, DeviceError) as error:
            self._error = error

    def until(self, fact) -> None:
        end = time.monotonic() + 60
        while not fact():
            assert time.monotonic() < end
            time.sleep(0.001)

    def end(self):
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self._error


@pytest.fixture
def bench(toy):
    bench = Bench(toy)
    yield bench
    bench.gate.set()
    bench.end()


def test_only_the_newest_waiting_image_is_processed_and_the_others_are_counted(bench):
    bench.gate.clear()
    bench.worker.offer(image_bytes(0, 1.0))
    assert bench.busy.wait(60)
    for n in range(2, 7):
        bench.worker.offer(image_bytes(0, float(n)))
    bench.gate.set()
    bench.until(lambda: len(bench.results) == 2)
    assert [convert.seconds(header.stamp) for header, _, _ in bench.results] == [1.0, 6.0]
    counts = bench.stats.take()
    assert (counts.received, counts.dropped) == (6, 4)


def test_results_that_are_held_back_come_under_their_own_headers_and_none_gets_lost(toy, monkeypatch):
    hands = {side: load_hand_model(side=side) for side in ("left", "right")}
    monkeypatch.setattr("prehend.ros.worker.QUIET_S", 600.0)  # images come as quickly as this machine lets them
    bench = Bench(toy, hands, temporal_lag_s=0.1)
    try:
        for n in range(6):
            bench.busy.clear()
            if n == 5:
                bench.gate.clear()
            bench.worker.offer(image_bytes(1, 5 + n / 20))
            assert bench.busy.wait(60), "else the next one would take its place"
        monkeypatch.setattr("prehend.ros.worker.QUIET_S", 0.1)
        bench.gate.set()
        bench.until(lambda: len(bench.results) == 6)  # after a while without an image
        assert [convert.seconds(header.stamp) for header, _, _ in bench.results] == pytest.approx(
            [5 + n / 20 for n in range(6)]
        )
        lags = [result.lag_s for _, _, result in bench.results]
        assert lags == pytest.approx([0.1] * 4 + [0.05, 0])
        bench.worker.reset()
        bench.worker.offer(image_bytes(1, 5.3))
        bench.until(lambda: len(bench.results) == 7)
    finally:
        bench.gate.set()
        bench.end()


def test_at_rest_nothing_is_told_of_earlier_images(bench):
    """A lifecycle manager that was told "inactive" may count on it, whatever was under way or waited."""
    bench.gate.clear()
    bench.worker.offer(image_bytes(0, 1.0))
    assert bench.busy.wait(60)
    bench.worker.offer(image_bytes(0, 2.0))
    told = []
    resting = threading.Thread(target=lambda: (bench.worker.rest(), told.append(len(bench.results))))
    resting.start()
    assert not told, "it waits for the image under way"
    bench.gate.set()
    resting.join(60)
    assert told == [1]
    bench.worker.offer(image_bytes(0, 3.0))
    bench.until(lambda: len(bench.results) == 2)
    assert [convert.seconds(header.stamp) for header, _, _ in bench.results] == [1.0, 3.0]


def test_at_rest_what_was_held_back_is_forgotten(toy):
    bench = Bench(toy, {side: load_hand_model(side=side) for side in ("left", "right")}, temporal_lag_s=0.5)
    try:
        bench.worker.offer(image_bytes(1, 5.0))
        assert bench.busy.wait(60)
        bench.worker.rest()
        bench.worker.offer(image_bytes(1, 5.1))
        bench.until(lambda: bench.results)
        assert [convert.seconds(header.stamp) for header, _, _ in bench.results] == pytest.approx([5.1])
    finally:
        bench.end()


def test_a_worker_that_ended_does_not_keep_who_wants_it_at_rest(toy):
    bench = Bench(toy)
    bench.worker.offer(image_bytes(253))
    bench.until(lambda: not bench.thread.is_alive())
    bench.worker.rest()
    assert isinstance(bench.end(), DeviceError)


def test_a_known_error_is_told_once_and_the_next_image_works(bench):
    bench.worker.offer(image_bytes(254))
    bench.until(lambda: bench.stats.take().failed == 1)
    bench.worker.offer(b"\x00\x01\x00\x00garbage")
    bench.until(lambda: bench.stats.take().failed == 2)
    bench.worker.offer(image_bytes(1))
    bench.until(lambda: bench.results)
    assert len(bench.results[0][2].hands) == 1
    assert bench.stats.take().new_failures == 0, "already told"


def test_an_unknown_error_costs_its_image_and_many_in_a_row_end_the_worker(bench):
    for n in range(GIVE_UP_AFTER - 1):
        bench.worker.offer(image_bytes(255))
        bench.until(lambda n=n: bench.stats.take().failed == n + 1)
    bench.worker.offer(image_bytes(1))
    bench.until(lambda: bench.results)
    for n in range(GIVE_UP_AFTER):
        assert bench.thread.is_alive()
        bench.worker.offer(image_bytes(255))
        bench.until(lambda n=n: bench.stats.take().failed == GIVE_UP_AFTER + n)
    bench.thread.join(10)
    assert isinstance(bench.end(), ZeroDivisionError)


def test_a_gpu_that_fails_ends_the_worker_at_once(bench):
    bench.worker.offer(image_bytes(253))
    bench.thread.join(10)
    assert isinstance(bench.end(), DeviceError)
    assert bench.results == []


def test_images_wait_for_a_calibration_but_not_for_ever():
    calibration = Calibration(fov_deg=60.0, timeout_s=5.0, rectified=False)
    assert calibration.camera(*SIZE, 100.0) is None
    assert calibration.camera(*SIZE, 104.9) is None
    assert calibration.camera(*SIZE, 105.1).estimated
    calibration.update(info(CAMERA))
    np.testing.assert_array_equal(calibration.camera(*SIZE, 105.2).K, CAMERA.K)
    assert calibration.reason == ""


def test_a_camera_that_says_it_is_not_calibrated_is_not_waited_for():
    calibration = Calibration(fov_deg=60.0, timeout_s=5.0, rectified=False)
    calibration.update(info(None))
    assert calibration.camera(*SIZE, 0.0).estimated
    assert "not calibrated" in calibration.reason


def test_a_calibration_for_another_size_is_refused_and_a_wrong_one_is_told():
    calibration = Calibration(fov_deg=60.0, timeout_s=5.0, rectified=False)
    calibration.update(info(Camera(CAMERA.K, 128, 48), width=128))
    with pytest.raises(InvalidInput, match="128 x 48"):
        calibration.camera(*SIZE, 0.0)
    wrong = info(Camera(CAMERA.K, *SIZE, np.array([0.1, 0.2, 0.0, 0.0, 0.0])))
    wrong.distortion_model = "barrel"
    calibration.update(wrong)
    assert "barrel" in calibration.reason


def test_latency_percentiles_are_in_order():
    stats = diagnostics.Stats(0.0)
    assert np.isnan(stats.take().latency_ms).all()
    for latency in range(101):
        stats.processed(float(latency), latency / 2, 1)
    counts = stats.take()
    assert counts.latency_ms == (50.0, 95.0)
    assert counts.total_ms == (25.0, 47.5)
    assert counts.processed == 101


def test_mirrored_images_are_turned_back_with_their_camera(toy):
    bench = Bench(toy, mirrored_input=True)
    try:
        seen = []
        bench.estimate = lambda image, camera=None, stamp=None, depth=None, hypotheses=True: (
            seen.append((image, camera)) or toy.ToyEstimator().estimate(image * 0, camera, stamp)
        )
        K = CAMERA.K.copy()
        K[0, 2] = 20.0
        bench.calibration.update(info(Camera(K, *SIZE)))
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        picture[:, :10] = 200
        bench.worker.offer(m.encode(images.image_message(convert.header_message(1.0, "cam"), picture)))
        bench.until(lambda: bench.results)
        image, camera = seen[0]
        assert image[:, -10:].min() == 200 and image[:, :-10].max() == 0
        assert camera.K[0, 2] == SIZE[0] - 1 - 20.0
    finally:
        bench.end()


def test_stages_have_percentiles():
    stats = diagnostics.Stats(0.0)
    for n in range(101):
        stats.processed(float("nan"), 1.0, 0, {"infer": float(n), "publish": 2.0})
    counts = stats.take()
    assert counts.stages_ms == {"infer": (50.0, 95.0), "publish": (2.0, 2.0)}
    assert np.isnan(counts.latency_ms).all(), "an unknown latency is none"
    values = diagnostics.estimator_status(counts, 0.0).values
    assert (values["infer p50 [ms]"], values["publish p95 [ms]"]) == ("50.0", "2.0")


def test_faults_of_images_are_joined():
    counts = diagnostics.Counts(received=10, new_received=5, new_lost=5, frameless=True, last_image_s=9.9)
    faults = diagnostics.image_faults(counts, "stamps are zero", "5 of 10 images were lost")
    told = diagnostics.images_status(counts, 10.0, 2.0, "/image_raw", "", faults)
    assert told.level == diagnostics.WARN
    assert all(word in told.message for word in ("stamps are zero", "no frame_id", "5 of 10 images were lost"))
