"""Topics of a bag as truth: hands, tracked things and wrists, marks of grasps, and the ways from frame to frame."""

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs the extra 'ros'")

from rosbags.rosbag2 import StoragePlugin, Writer

from prehend.errors import ParameterError, SourceError
from prehend.eval.truth.records import GraspMark
from prehend.eval.truth.topics import BagTruth, TopicSpec, is_topic, parse_spec
from prehend.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from prehend.io.bags.files import BagFiles
from prehend.io.bags.topics import choose_topic
from prehend.ros import messages as m
from prehend.ros.conversion.convert import hand_array, header_message
from prehend.ros.conversion.images import image_message
from prehend.types import Camera, FrameResult

POSE, BOOL, STRING = "geometry_msgs/msg/PoseStamped", "std_msgs/msg/Bool", "std_msgs/msg/String"
CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]), 640, 480)
TIMES = (100.0, 100.1, 100.2)


def pose(turn=(0.3, -0.2, 0.5), place=(0.1, 0.2, 0.6)):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array(turn)), place
    return T


T_BASE_CAM, T_BASE_MUG = pose((0.0, 0.4, 0.1), (0.5, 0.0, 1.0)), pose()


def pose_message(T, stamp, frame):
    x, y, z, w = map(float, quaternion_from_matrix(T[:3, :3]))
    turn = m.make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
    px, py, pz = map(float, T[:3, 3])
    place = m.make("geometry_msgs/msg/Point", x=px, y=py, z=pz)
    whole = m.make("geometry_msgs/msg/Pose", position=place, orientation=turn)
    return m.make(POSE, header=header_message(stamp, frame), pose=whole)


def lost(stamp, frame, value):
    message = pose_message(np.eye(4), stamp, frame)
    for name in "xyzw":
        setattr(message.pose.orientation, name, value)
    return message


def tf(child, parent, T, stamp):
    x, y, z, w = map(float, quaternion_from_matrix(T[:3, :3]))
    px, py, pz = map(float, T[:3, 3])
    move = m.make("geometry_msgs/msg/Vector3", x=px, y=py, z=pz)
    turn = m.make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
    transform = m.make("geometry_msgs/msg/Transform", translation=move, rotation=turn)
    header = header_message(stamp, parent)
    one = m.make("geometry_msgs/msg/TransformStamped", header=header, child_frame_id=child, transform=transform)
    return m.make(m.TF, transforms=[one])


@pytest.fixture
def truth(tmp_path):
    """truth({topic: [(time, message)]}, ahead): what a bag with images of the frame `cam` at `TIMES` knows.

    Its recorder's clock is `ahead` of the stamps [s].
    """
    bags = []

    def opened(topics, ahead=0.0):
        picture = np.zeros((4, 6, 3), np.uint8)
        images = [(time, image_message(header_message(time, "/cam"), picture)) for time in TIMES]
        path = tmp_path / f"bag{len(bags)}"
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            for topic, entries in {"/image_raw": images, **topics}.items():
                connection = writer.add_connection(topic, entries[0][1].__msgtype__, typestore=m.typestore())
                for time, message in entries:
                    writer.write(connection, int((time + ahead) * 1e9), m.encode(message))
        bags.append(BagFiles(path, m.typestore()))
        return BagTruth(bags[-1], choose_topic(bags[-1], None).topic, ("ball", "mug"))

    yield opened
    for bag in bags:
        bag.close()


@pytest.fixture
def at(show):
    """at(time): a frame of the images without answers."""

    def frame(time):
        from dataclasses import replace

        (one,) = show([[]])
        return replace(one, result=replace(one.result, stamp=time))

    return frame


def word(text):
    return m.make(STRING, data=text)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("/mocap/mug=mug", TopicSpec("/mocap/mug", False, "mug")),
        ("/hands", TopicSpec("/hands", False, None)),
        ("tf:/mug_1=mug", TopicSpec("mug_1", True, "mug")),
        ("tf:wrist=left", TopicSpec("wrist", True, "left")),
    ],
)
def test_words_of_truth(text, spec):
    assert parse_spec(text) == spec and is_topic(text)
    assert spec.side == ("left" if spec.what == "left" else None)


def test_files_are_no_topics_and_a_frame_needs_to_be_something(tmp_path):
    (tmp_path / "truth.json").touch()
    assert not is_topic(str(tmp_path / "truth.json")) and not is_topic("labels.json")
    with pytest.raises(ParameterError, match="tf:mug=OBJECT_ID, =left or =right"):
        parse_spec("tf:mug")


def test_a_tracked_things_pose_comes_into_the_cameras_frame(truth, at):
    poses = [(time, pose_message(T_BASE_MUG, time, "base")) for time in TIMES]
    known = truth({"/mug": poses, "/tf_static": [(99.0, tf("cam", "base", T_BASE_CAM, 0.0))]}).open(
        parse_spec("/mug=mug")
    )
    (thing,) = known.of(at(100.12)).objects
    assert thing.object_id == "mug"
    np.testing.assert_allclose(thing.T_camera_object, np.linalg.inv(T_BASE_CAM) @ T_BASE_MUG, atol=1e-9)
    assert known.of(at(100.3)) is None, "told 0.1 s before"


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_what_a_tracker_lost_is_not_known(truth, at, value):
    poses = [(TIMES[0], pose_message(T_BASE_MUG, TIMES[0], "cam")), (TIMES[2], lost(TIMES[2], "cam", value))]
    known = truth({"/mug": poses}).open(parse_spec("/mug=mug"))
    assert known.of(at(TIMES[0])) is not None and known.of(at(TIMES[2])) is None


def test_a_frame_of_tf_is_a_thing_or_a_wrist(truth, at):
    moving = [(time, tf("tracker", "base", pose(place=(time - 100, 0, 1)), time)) for time in TIMES]
    bag = truth({"/tf": moving, "/tf_static": [(99.0, tf("cam", "base", T_BASE_CAM, 0.0))]})
    (thing,) = bag.open(parse_spec("tf:tracker=mug")).of(at(100.2)).objects
    expected = np.linalg.inv(T_BASE_CAM) @ pose(place=(0.2, 0, 1))
    np.testing.assert_allclose(thing.T_camera_object, expected, atol=1e-6)
    (hand,) = bag.open(parse_spec("tf:tracker=left")).of(at(100.2)).hands
    assert hand.side == "left" and np.isnan(hand.joints_m[1:]).all()
    np.testing.assert_allclose(hand.joints_m[0], expected[:3, 3], atol=1e-6)
    assert bag.open(parse_spec("tf:tracker=left")).of(at(101.0)) is None


def test_hands_of_a_topic_are_all_there_are(truth, at, say):
    hand = say(place=(0.1, 0, 0.7), side="left", grasp="grasping", held=("mug", pose()))
    header = header_message(TIMES[1], "cam")
    array = hand_array(header, FrameResult(CAMERA, (hand,), TIMES[1], {"total": 1.0}, True))
    known = truth({"/true": [(TIMES[1], array)]}).open(parse_spec("/true")).of(at(TIMES[1]))
    (found,) = known.hands
    assert known.complete and found.side == "left" and found.grasp is True and found.held.object_id == "mug"
    np.testing.assert_allclose(found.joints_m, hand.joints_m, atol=1e-6)
    np.testing.assert_allclose(found.held.T_camera_object, pose(), atol=1e-6)
    array.hands[0].side = 7
    with pytest.raises(SourceError, match="a hand that is of no side"):
        truth({"/true": [(TIMES[1], array)]}).open(parse_spec("/true"))


def test_marks_hold_until_the_next_whatever_the_recorders_clock(truth, at):
    words = [(100.05, word("left: grasp")), (100.15, word("left: release")), (100.15, word("right grasped"))]
    for ahead in (0.0, 86400.0):
        known = truth({"/marks": words}, ahead).open(parse_spec("/marks"))
        told = [set(known.of(at(time)).marks) for time in TIMES]
        assert told == [
            {GraspMark("left", False), GraspMark("right", False)},
            {GraspMark("left", True), GraspMark("right", False)},
            {GraspMark("left", False), GraspMark("right", True)},
        ]


def test_a_button_marks_the_hand_that_is_named(truth, at):
    button = [(100.05, m.make(BOOL, data=True))]
    known = truth({"/button": button}).open(parse_spec("/button=right"))
    assert known.of(at(100.2)).marks == (GraspMark("right", True),)
    assert truth({"/button": button}).open(parse_spec("/button")).of(at(100.2)).marks == (GraspMark(None, True),)


@pytest.mark.parametrize(
    ("spec", "kind", "words"),
    [
        ("/nothing", SourceError, "no topic /nothing for --truth; it has /marks, /mug"),
        ("/image_raw", SourceError, "/image_raw is a sensor_msgs/msg/Image; truth is one of"),
        ("/mug", ParameterError, "say whose pose it is"),
        ("/mug=mugg", ParameterError, "unknown object 'mugg': choose one of ball, mug"),
        ("/mug=mug", SourceError, "is in frame 'far', the images are of 'cam', and no /tf"),
        ("tf:mug=mug", SourceError, "no frame 'mug' in /tf; it has none"),
        ("/marks", SourceError, "says 'grasp and release': expected a word such as"),
        ("/marks=mug", ParameterError, "marks are of the left or the right hand"),
    ],
)
def test_what_cannot_be_truth_is_named(truth, spec, kind, words):
    topics = {"/mug": [(100.0, pose_message(T_BASE_MUG, 100.0, "far"))], "/marks": [(100.0, word("grasp and release"))]}
    with pytest.raises(kind) as caught:
        truth(topics).open(parse_spec(spec))
    assert words in str(caught.value)
