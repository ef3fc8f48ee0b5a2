import numpy as np
import pytest

from prehend.adapters.vision_msgs import detection_array, detections
from prehend.geometry.rotations import matrix_from_axis_angle, matrix_from_quaternion
from prehend.types import Box, ObjectEstimate

DEFINITIONS = {
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections",
    "Detection3D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
}
"""Fields of vision_msgs 4."""


def held(pose: np.ndarray | None) -> ObjectEstimate:
    return ObjectEstimate("mug", 0.75, np.zeros((21, 2)), Box(0, 0, 1, 1), pose, np.array([0.1, 0.08, 0.09]))


@pytest.fixture
def pose() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(np.array([0.3, -1.2, 0.4]))
    T[:3, 3] = [0.1, -0.2, 0.6]
    return T


def test_box_and_pose(bent, pose):
    hands = [
        bent("right").estimate(track_id=5, held_object=held(pose)),
        bent("left").estimate(held_object=held(None)),
        bent("left").estimate(),
    ]
    (found,) = detections(hands, {"mug": np.array([0.01, 0.0, 0.02])})
    assert (found.track, found.class_id, found.score) == (5, "mug", 0.75)
    np.testing.assert_allclose(matrix_from_quaternion(found.quaternion_xyzw), pose[:3, :3], atol=1e-12)
    np.testing.assert_allclose(found.center_m, (pose @ [0.01, 0, 0.02, 1])[:3], atol=1e-12)
    (plain,) = detections(hands)
    np.testing.assert_allclose(plain.center_m, pose[:3, 3], atol=1e-12)


def test_a_real_message(bent, pose):
    """The dict's names and types are the message's: it serialises and comes back through rosbags."""
    stores = pytest.importorskip("rosbags.typesys")
    store = stores.get_typestore(stores.Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(stores.get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    array = detection_array(detections([bent("right").estimate(held_object=held(pose))]), "camera_optical", 12.1)
    message = build(store, "vision_msgs/msg/Detection3DArray", array)
    back = store.deserialize_cdr(store.serialize_cdr(message, message.__msgtype__), message.__msgtype__)
    assert (back.header.frame_id, back.header.stamp.sec, back.header.stamp.nanosec) == (
        "camera_optical",
        12,
        100_000_000,
    )
    (detection,) = back.detections
    assert detection.id == "3"
    assert detection.header == back.header
    assert detection.results[0].hypothesis.class_id == "mug"
    assert detection.results[0].pose.pose.position.z == 0.6
    assert not detection.results[0].pose.covariance.any()
    assert (detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z) == (0.1, 0.08, 0.09)


def test_no_object_is_an_empty_array(bent):
    array = detection_array(detections([bent("right").estimate()]), "camera", None)
    assert array == {"header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": "camera"}, "detections": []}


@pytest.mark.parametrize(("stamp", "expected"), [(0.1, (0, 100_000_000)), (3.9999999999, (4, 0)), (7.0, (7, 0))])
def test_stamps(stamp, expected):
    time = detection_array([], "camera", stamp)["header"]["stamp"]
    assert (time["sec"], time["nanosec"]) == expected


def build(store, name, value):
    """A message of nested dicts, with every field given."""
    fields = dict(store.fielddefs[name][1])
    assert set(fields) == set(value), name
    made = {}
    for field, (kind, detail) in fields.items():
        node = kind.name
        if node == "NAME":
            made[field] = build(store, detail, value[field])
        elif node in ("ARRAY", "SEQUENCE") and detail[0][0].name == "NAME":
            made[field] = [build(store, detail[0][1], item) for item in value[field]]
        else:
            made[field] = value[field]
    return store.types[name](**made)
