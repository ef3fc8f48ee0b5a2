"""The node with several cameras, apart and as a rig, as its users meet it: another process, over DDS."""

import importlib.util
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from prehend.cli.main import main
from prehend.ros import messages as m
from prehend.ros.conversion import convert, images
from prehend.types import Camera

pytest.importorskip("rclpy", reason="needs the extra 'ros'")


def _toy():
    """The module toy_rig.py: the cameras, and the hands that they see."""
    spec = importlib.util.spec_from_file_location("toy_rig", Path(__file__).parents[1] / "toy_rig.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


toy_rig = _toy()
CAMERA = Camera(np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]), 160, 120)
"""Small images: best effort loses large ones on a busy machine."""
SIZE = (CAMERA.width, CAMERA.height)


class Cameras:
    """Drivers of several cameras; `reliable` false publishes with best effort."""

    def __init__(self, peer, names=("front", "left"), reliable: bool = True, frames: bool = True):
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        kind = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        quality = QoSProfile(depth=10, reliability=kind)
        self.peer, self.names = peer, names
        make = peer.node.create_publisher
        self.images = {name: make(m.message_class(m.IMAGE), f"/{name}/image_raw", quality) for name in names}
        self.infos = {name: make(m.message_class(m.CAMERA_INFO), f"/{name}/camera_info", quality) for name in names}
        self.frames = frames
        self._next_s = 0.0

    def ready(self) -> None:
        publishers = [*self.images.values(), *self.infos.values()]
        self.peer.until(lambda: all(p.get_subscription_count() for p in publishers), "the node subscribes")

    def show(self, orders: dict[str, int], apart_s: float = 0.0, stamp_s: float | None = None) -> float:
        now = time.time() if stamp_s is None else stamp_s
        for k, (name, order) in enumerate(orders.items()):
            header = convert.header_message(now + k * apart_s, f"{name}_optical" if self.frames else "")
            picture = np.full((SIZE[1], SIZE[0], 3), order, np.uint8)
            self.infos[name].publish(m.encode(images.camera_message(header, CAMERA, *SIZE)))
            self.images[name].publish(m.encode(images.image_message(header, picture)))
        return now

    def show_until(self, orders: dict[str, int], fact, what: str, every_s: float = 0.15, **more) -> None:
        def step() -> object:
            if time.monotonic() > self._next_s:
                self.show(orders, **more)
                self._next_s = time.monotonic() + every_s
            return fact()

        self.peer.until(step, what)


def status(array, name: str):
    return next(s for s in array.status if s.name.endswith(f": {name}"))


def told(diagnostics, name: str, text: str) -> bool:
    return any(text in s.message for array in diagnostics for s in array.status if s.name.endswith(f": {name}"))


def values(array, name: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in status(array, name).values}


def timed(timing) -> None:
    """Every stage of an image has its time, and together they take no longer than from stamp to message."""
    parts = [timing.arrival_ms, timing.wait_ms, timing.read_ms, timing.sync_ms, timing.publish_ms]
    assert min(parts) >= 0 and timing.read_ms > 0
    assert 0 < sum(parts) <= timing.latency_ms + 1.0, "the toy's own times are made up"


@pytest.fixture
def rig_file(tmp_path):
    entries = {name: {"T_rig_camera": T.tolist()} for name, T in toy_rig.POSES.items()}
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump({"frame": "table", "cameras": entries}))
    return path


def test_cameras_apart_get_topics_frames_and_diagnostics_of_their_own(peer, start):
    hands = {name: peer.listen(f"/prehend/{name}/hands", m.HAND_ARRAY) for name in ("front", "left")}
    tf, diagnostics = peer.listen("/tf", m.TF), peer.listen("/diagnostics", m.DIAGNOSTICS)
    timing = peer.listen("/prehend/left/timing", m.HAND_TIMING)
    cameras = Cameras(peer)
    process = start("toy_rig.py", "--ros-args", "-p", "cameras:=[front, left]")
    cameras.ready()
    cameras.show_until({"front": 1, "left": 2}, lambda: all(hands.values()) and tf and diagnostics, "hands of both")
    for name, count in (("front", 1), ("left", 2)):
        first = hands[name][0]
        assert first.header.frame_id == f"{name}_optical" and len(first.hands) == count
        T = toy_rig.POSES[name]
        truth = (toy_rig.HANDS[0].joints - T[:3, 3]) @ T[:3, :3]
        assert np.abs(first.hands[0].joints_m.reshape(21, 3) - truth).max() < 0.1, "in its own camera's frame"
    cameras.show_until(
        {"front": 1, "left": 2},
        lambda: {"front_right_hand_1", "left_left_hand_2"} <= {t.child_frame_id for one in tf for t in one.transforms},
        "transforms of both",
    )
    cameras.show_until(
        {"front": 1, "left": 2}, lambda: told(diagnostics, "left images", "images arrive"), "diagnostics"
    )
    timed(timing[-1])
    stages = {f"{stage} p95 [ms]" for stage in ("arrival", "wait", "read", "sync", "find", "infer", "publish")}
    cameras.show_until(
        {"front": 1, "left": 2}, lambda: stages <= values(diagnostics[-1], "left estimator").keys(), "their percentiles"
    )
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in errors


def test_a_target_frame_that_nobody_publishes_is_told_for_each_camera(peer, start):
    hands = peer.listen("/prehend/left/hands", m.HAND_ARRAY)
    diagnostics = peer.listen("/diagnostics", m.DIAGNOSTICS)
    cameras = Cameras(peer)
    start("toy_rig.py", "--ros-args", "-p", "cameras:=[front, left]", "-p", "target_frame:=base")
    cameras.ready()
    cameras.show_until(
        {"front": 1, "left": 1},
        lambda: all(told(diagnostics, f"{name} target_frame", "nobody publishes 'base'") for name in cameras.names),
        "the missing transforms",
    )
    assert all(np.isnan(hand.joints_m).all() for array in hands for hand in array.hands)


def whole(rig, hands) -> list[tuple]:
    """What was told of sets of two cameras, and their hands; of others there may be some: images get lost."""
    told = {(one.header.stamp.sec, one.header.stamp.nanosec): one for one in hands}
    stamps = [(one.header.stamp.sec, one.header.stamp.nanosec) for one in rig]
    pairs = zip(rig, stamps, strict=True)
    return [(one, told[stamp]) for one, stamp in pairs if len(one.cameras) == 2 and stamp in told]


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "best effort"])
def test_a_rig_tells_one_hand_in_its_frame_with_its_error_against_each_view(peer, start, rig_file, reliable):
    hands, rig = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/prehend/rig", m.RIG_HANDS)
    overlay = peer.listen("/prehend/left/overlay/compressed", m.COMPRESSED_IMAGE)
    timing = peer.listen("/prehend/timing", m.HAND_TIMING)
    cameras = Cameras(peer, reliable=reliable)
    quality = ["-p", f"image_reliability:={'reliable' if reliable else 'best_effort'}"]
    start(
        "toy_rig.py",
        "--ros-args",
        "-p",
        "cameras:=front,left",
        "-p",
        "rig:=true",
        "-p",
        f"rig_file:={rig_file}",
        *quality,
    )
    cameras.ready()
    shown = {"front": 2, "left": 2}
    cameras.show_until(shown, lambda: rig and len(rig[-1].cameras) == 2 and overlay, "fused hands", apart_s=0.005)
    cameras.show_until(shown, lambda: whole(rig, hands), "a set's hands, and what they are made of", apart_s=0.005)
    both, found = whole(rig, hands)[-1]
    peer.until(lambda: any(one.header.stamp == both.header.stamp for one in timing), "and their times")
    timed(next(one for one in timing if one.header.stamp == both.header.stamp))
    assert found.header.frame_id == both.header.frame_id == "table" and both.lead == "front"
    assert len(found.hands) == 2
    for hand, about in zip(found.hands, both.hands, strict=True):
        truth = min(toy_rig.HANDS, key=lambda one: np.abs(one.joints[0] - hand.joints_m[:3]).sum())
        assert hand.side == ("left", "right").index(truth.side) and hand.metric_position_valid
        assert np.linalg.norm(hand.joints_m.reshape(21, 3) - truth.joints, axis=-1).mean() < 0.01
        assert [view.camera for view in about.views] == ["front", "left"] and about.track_id == hand.track_id
        assert all(view.used.all() and 0 < view.rms_px < 10 and view.rms_m < 0.01 for view in about.views)
        assert [round(view.late_s, 3) for view in about.views] == [0.0, 0.005]
        spread = about.joint_covariance_m2.reshape(21, 6)
        assert (spread[:, [0, 3, 5]] > 0).all() and np.sqrt(spread[:, [0, 3, 5]]).max() < 0.05


def test_poses_come_from_tf_and_a_camera_without_one_is_left_out_and_named(peer, start, tf_bytes):
    rig, diagnostics = peer.listen("/prehend/rig", m.RIG_HANDS), peer.listen("/diagnostics", m.DIAGNOSTICS)
    hands = peer.listen("/prehend/hands", m.HAND_ARRAY)
    from rclpy.qos import DurabilityPolicy, QoSProfile

    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = peer.node.create_publisher(m.message_class(m.TF), "/tf_static", latched)
    cameras = Cameras(peer, toy_rig.NAMES)
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left,right", "-p", "rig:=true", "-p", "rig_frame:=world")
    cameras.ready()
    shown = dict.fromkeys(toy_rig.NAMES, 1)
    # the first camera of which an image came leads: that may be another before front is heard

    def by_front():
        return [one for one in hands if one.header.frame_id == "front_optical"]

    cameras.show_until(shown, by_front, "an answer without any pose")
    assert np.isnan(by_front()[0].hands[0].joints_m).all()
    static.publish(tf_bytes(*[("world", f"{name}_optical", 0.0, toy_rig.POSES[name]) for name in ("front", "right")]))
    cameras.show_until(shown, lambda: rig and rig[-1].cameras == ["front", "right"], "two cameras with a pose")
    cameras.show_until(shown, lambda: told(diagnostics, "rig poses", "left is left out"), "the third is named")
    assert rig[-1].header.frame_id == "world"
    cameras.show_until(shown, lambda: whole(rig, hands), "hands of two cameras")
    _, array = whole(rig, hands)[-1]
    found = np.linalg.norm(array.hands[0].joints_m.reshape(21, 3) - toy_rig.HANDS[0].joints, axis=-1)
    assert array.header.frame_id == "world" and found.mean() < 0.01


def test_a_camera_that_stops_leaves_the_others_to_go_on(peer, start, rig_file):
    rig, diagnostics = peer.listen("/prehend/rig", m.RIG_HANDS), peer.listen("/diagnostics", m.DIAGNOSTICS)
    cameras = Cameras(peer)
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", "-p", "rig:=true", "-p", f"rig_file:={rig_file}")
    cameras.ready()
    cameras.show_until({"front": 1, "left": 1}, lambda: rig and len(rig[-1].cameras) == 2, "both")
    for gone, left in (("left", "front"), ("front", "left")):
        cameras.show_until({left: 1}, lambda left=left: rig[-1].cameras == [left], f"without {gone}", every_s=0.1)
        assert len(rig[-1].hands) == 1
        cameras.show_until(
            {left: 1},
            lambda gone=gone: told(diagnostics, "sync", f"nothing comes of {gone}"),
            "the silent one is named",
        )
        cameras.show_until({"front": 1, "left": 1}, lambda: len(rig[-1].cameras) == 2, "both again")


@pytest.mark.parametrize(
    ("sync", "apart_s", "word"), [("approximate", 60.0, "raise rig_window_s"), ("exact", 0.004, "set rig_sync")]
)
def test_stamps_that_never_match_are_told_and_the_first_camera_goes_on(peer, start, rig_file, sync, apart_s, word):
    rig, diagnostics = peer.listen("/prehend/rig", m.RIG_HANDS), peer.listen("/diagnostics", m.DIAGNOSTICS)
    cameras = Cameras(peer)
    more = ["-p", f"rig_sync:={sync}", "-p", f"rig_file:={rig_file}"]
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", "-p", "rig:=true", *more)
    cameras.ready()
    cameras.show_until(
        {"front": 1, "left": 1}, lambda: told(diagnostics, "sync", "never match"), "told", every_s=0.1, apart_s=apart_s
    )
    assert told(diagnostics, "sync", word)
    cameras.show_until({"front": 1, "left": 1}, lambda: rig, "the first camera's hands", apart_s=apart_s)
    assert all(one.cameras == ["front"] for one in rig)
    assert int(values(diagnostics[-1], "sync")["incomplete sets"]) >= 10


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["cameras:=front", "rig:=true"], ["rig needs two cameras"]),
        (["rig:=true"], ["rig needs two cameras"]),
        (["cameras:=front,front"], ["a name of its own"]),
        (["cameras:=front,le ft"], ["letters, digits"]),
        (["cameras:=front,left", "rig_file:=x.yaml"], ["go with rig"]),
        (["cameras:=front,left", "rig:=true", "rig_file:=/no/x.yaml"], ["there is no such file"]),
        (["cameras:=front,left", "depth_topic:=/depth"], ["depth_topic goes with one camera"]),
        (["cameras:=front,left", "rig:=true", "mirrored_input:=true"], ["mirrored_input"]),
        (["cameras:=front,left", "outputs:=hts"], ["hts"]),
        (["cameras:=front,left", "rig:=true", "rig_sync:=sometimes"], ["rig_sync", "approximate, exact"]),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_parameters_that_contradict_each_other_end_in_one_line(domain, capfd, parameters, words):
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    assert main(["node", "--ros-args", *arguments]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines


def test_a_rig_file_with_other_names_is_named_with_what_it_has(domain, capfd, rig_file):
    code = main(["node", "--ros-args", "-p", "cameras:=front,top", "-p", "rig:=true", "-p", f"rig_file:={rig_file}"])
    said = capfd.readouterr().err
    assert code == 2 and "top" in said and "front, left, right" in said and "Traceback" not in said


def change(peer, **values):
    """Set parameters; (done, reason) of the first."""
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    given = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    result = peer.ask(SetParameters, "set_parameters", parameters=given).results[0]
    return result.successful, result.reason


def test_options_change_for_all_cameras_and_qualities_are_overridden_for_each(peer, start, tmp_path):
    from rclpy.qos import ReliabilityPolicy

    file = tmp_path / "node.yaml"
    overrides = {
        "/front/image_raw": {"subscription": {"reliability": "reliable"}},
        "/prehend/left/hands": {"publisher": {"reliability": "best_effort"}},
        "/nowhere": {"publisher": {"depth": 1}},
    }
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"qos_overrides": overrides}}}))
    hands, diagnostics = peer.listen("/prehend/front/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    cameras = Cameras(peer)
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", "--params-file", str(file))
    cameras.ready()
    topics, node = ("/front/image_raw", "/left/image_raw"), peer.node
    peer.until(lambda: all(node.get_subscriptions_info_by_topic(topic) for topic in topics), "what it hears")
    peer.until(lambda: node.get_publishers_info_by_topic("/prehend/left/hands"), "what it tells")
    kinds = {topic: node.get_subscriptions_info_by_topic(topic)[0].qos_profile.reliability for topic in topics}
    assert kinds == {"/front/image_raw": ReliabilityPolicy.RELIABLE, "/left/image_raw": ReliabilityPolicy.BEST_EFFORT}
    (left,) = node.get_publishers_info_by_topic("/prehend/left/hands")
    assert left.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    cameras.show_until({"front": 2, "left": 2}, lambda: hands and len(hands[-1].hands) == 2, "two hands")
    assert change(peer, max_hands=1) == (True, "")
    cameras.show_until({"front": 2, "left": 2}, lambda: len(hands[-1].hands) == 1, "one hand")
    done, reason = change(peer, object_id="mugg")
    assert not done and "mugg" in reason
    peer.until(lambda: told(diagnostics, "node", "/nowhere.publisher"), "the override of no topic is told")


def test_two_cameras_on_one_topic_are_refused(start):
    remaps = ["-r", "front/image_raw:=/camera/image_raw", "-r", "left/image_raw:=/camera/image_raw"]
    node = start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", *remaps)
    _, errors = node.communicate(timeout=120)
    *_, last = errors.splitlines()  # the command makes a line of our errors; the toy shows where they come from
    assert node.returncode != 0 and last.startswith("prehend.errors.ParameterError: cameras front and left both listen")
    assert "/camera/image_raw: remap left/image_raw elsewhere" in last


def test_options_of_a_rig_change_while_it_runs(peer, start, rig_file):
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", "-p", "rig:=true", "-p", f"rig_file:={rig_file}")
    assert change(peer, max_hands=1, publish_tf=False) == (True, "")
    done, reason = change(peer, rig=False)
    assert not done and "rig" in reason


def test_a_rig_that_was_deactivated_tells_nothing_of_images_that_waited_for_others(peer, start, rig_file):
    from lifecycle_msgs.srv import ChangeState

    rig, diagnostics = peer.listen("/prehend/rig", m.RIG_HANDS), peer.listen("/diagnostics", m.DIAGNOSTICS)
    change_state = peer.node.create_client(ChangeState, "/prehend/change_state")
    cameras = Cameras(peer)
    more = ["-p", "rig_wait_s:=2.0", "-p", f"rig_file:={rig_file}"]
    start("toy_rig.py", "--ros-args", "-p", "cameras:=front,left", "-p", "rig:=true", *more)
    cameras.ready()
    peer.until(change_state.service_is_ready, "the service")
    cameras.show_until({"front": 1, "left": 1}, lambda: rig, "a set")
    cameras.show({"front": 1})
    request = ChangeState.Request()
    request.transition.id = 4  # deactivate
    answer = change_state.call_async(request)
    peer.until(answer.done, "the transition")
    assert answer.result().success
    count, seconds = len(rig), len(diagnostics)
    peer.until(lambda: len(diagnostics) > seconds + 3, "longer than a set waits")
    assert len(rig) == count and status(diagnostics[-1], "node").message.startswith("inactive")
