"""An estimator without weights: every box, or the middle of the image, is an open hand half a metre away."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from prehend.geometry.camera import backproject, estimated_camera, project
from prehend.hand_model import load_hand_model
from prehend.pipeline.tracking.events import EventTeller
from prehend.types import Box, FoundHand, FrameResult, GraspEstimate, HandEstimate

DEPTH_M = 0.5


class ToyEstimator:
    """Answers at once; remembers how it was asked."""

    notes = ()

    def __init__(self, tracking: bool) -> None:
        self.tracking = tracking
        self.hand_models = {side: load_hand_model(side=side) for side in ("left", "right")}
        self.bundle = SimpleNamespace(name="toy", weights_sha256=hashlib.sha256(b"toy").hexdigest())
        self.resets = self.frames = 0
        self.drops = {}
        self.given = []
        self.closed = False
        self.events = EventTeller()

    def estimate(self, image, camera=None, stamp=None, boxes=None):
        self.frames += 1
        height, width = image.shape[:2]
        view = camera or estimated_camera(width, height)
        if boxes is None:
            boxes = [FoundHand(Box(width / 4, height / 4, 3 * width / 4, 3 * height / 4), "right")]
        self.given.append(list(boxes))
        hands = tuple(self._hand(number, hand, view) for number, hand in enumerate(boxes, 1))
        times = {"find": 1.0, "crop": 0.5, "infer": 3.0, "decode": 0.5, "total": 5.0}
        events = self.events.step(hands, (width, height), stamp) if self.tracking else ()
        return FrameResult(view, hands, stamp, times, found=True, events=events)

    def _hand(self, number, hand, view):
        box = hand.box_px
        keypoints = np.linspace([box.x0, box.y0], [box.x1, box.y1], 21)
        joints = backproject(keypoints, np.full(21, DEPTH_M), view)
        side = hand.side or "right"
        return HandEstimate(
            number, side, 1.0, box, keypoints, joints, self.hand_models[side].v_template + joints[0],
            np.tile(np.eye(3), (16, 1, 1)), np.zeros(10), np.ones(21, bool), GraspEstimate("grasping", 0.9),
            fit_error_px=1.0,
        )  # fmt: skip

    def warm_up(self):
        pass

    def reset(self):
        self.resets += 1
        self.events.reset()

    def close(self):
        self.closed = True


@pytest.fixture
def estimators() -> list[ToyEstimator]:
    """Those that were loaded, in order."""
    return []


@pytest.fixture
def load(estimators) -> Callable[..., ToyEstimator]:
    def load(args, tracking):
        estimators.append(ToyEstimator(tracking))
        return estimators[-1]

    return load


@pytest.fixture
def images(tmp_path):
    """A folder of three images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 60 * number, np.uint8))
    return folder


FRAMES, WIDTH, HEIGHT = 12, 64, 48
OFFSET_M = (0.01, 0.0, 0.0)
"""How far the truth of `hand_bag` is from the toy's answer."""
WORLD = np.array([1.0, 2.0, 3.0])
"""Where the camera of `hand_bag` is in the world [m]; it is not turned."""


def _true_result(index, camera):
    box = FoundHand(Box(WIDTH / 4, HEIGHT / 4, 3 * WIDTH / 4, 3 * HEIGHT / 4), "right")
    hand = ToyEstimator(True)._hand(1, box, camera)
    joints = hand.joints_m + np.array(OFFSET_M)
    state = "grasping" if index >= FRAMES // 2 else "not_grasping"
    hand = replace(hand, joints_m=joints, keypoints_px=project(joints, camera), grasp=GraspEstimate(state, 1.0))
    return FrameResult(camera, (hand,), None, {}, True)


def _stamped(header, position):
    from prehend.ros import messages as m
    from prehend.ros.conversion.convert import pose_message

    pose = pose_message(position, np.array([0.0, 0.0, 0.0, 1.0]))
    return m.make("geometry_msgs/msg/PoseStamped", header=header, pose=pose)


def _world_tree(header):
    from prehend.ros import messages as m

    shift = m.make("geometry_msgs/msg/Vector3", x=WORLD[0], y=WORLD[1], z=WORLD[2])
    turn = m.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    transform = m.make("geometry_msgs/msg/Transform", translation=shift, rotation=turn)
    one = m.make("geometry_msgs/msg/TransformStamped", header=header, child_frame_id="camera", transform=transform)
    return m.make(m.TF, transforms=[one])


@pytest.fixture
def hand_bag(tmp_path):
    """write(path, storage): a bag of 12 images at 10 Hz in which the toy's hand is 10 mm beside the true one, which
    grasps from the seventh image on; with the truth as HandArray, wrist and object poses in the world, and marks."""
    pytest.importorskip("rosbags")
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from prehend.ros import messages as m
    from prehend.ros.conversion.convert import hand_array, header_message
    from prehend.ros.conversion.images import camera_message, image_message

    camera = estimated_camera(WIDTH, HEIGHT)

    def write(name="bag", storage=StoragePlugin.MCAP, shift_s=0.0, world=True, packed=False):
        path = tmp_path / name
        writer = Writer(path, version=9, storage_plugin=storage)
        if packed:
            writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
        with writer:
            connections = {}

            def put(topic, time, message):
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=m.typestore())
                writer.write(connections[topic], round(time * 1e9), m.encode(message))

            if world:
                put("/tf_static", 100.0, _world_tree(header_message(0.0, "world")))
            put("/marks", 100.0, m.make("std_msgs/msg/Bool", data=False))
            for index in range(FRAMES):
                stamp = 100.0 + index / 10
                header = header_message(stamp, "camera")
                picture = np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8)
                put("/cam/camera_info", stamp, camera_message(header, camera, WIDTH, HEIGHT))
                put("/cam/image_raw", stamp, image_message(header, picture))
                true, seen = _true_result(index, camera), header_message(stamp + shift_s, "camera")
                wrist = true.hands[0].joints_m[0] + WORLD
                put("/true/hands", stamp, hand_array(seen, true, mesh=False))
                put("/true/wrist", stamp, _stamped(header_message(stamp + shift_s, "world"), wrist))
                put(
                    "/true/mug",
                    stamp,
                    _stamped(header_message(stamp + shift_s, "world"), wrist + np.array([0, 0, 0.1])),
                )
                if index == FRAMES // 2:
                    put("/marks", stamp - 0.02, m.make("std_msgs/msg/Bool", data=True))
                    put("/words", stamp - 0.02, m.make("std_msgs/msg/String", data="right: grasp"))
        return path

    return write
