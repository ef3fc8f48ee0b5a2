"""The messages in use: their definitions, how they become bytes, and what rclpy takes for a publisher of them.

Every message is built with the classes of a `rosbags` type store and travels as bytes: `publisher.publish(encode(m))`
and `create_subscription(..., raw=True)` with `decode`. That is one path for a ROS installation and for rclpy from
wheels, and ten times faster than the generated Python classes for arrays.
"""

import os
import re
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from prehend.errors import MissingDependency, ParameterError, PrehendError, SourceError, how_to_install, one_line
from prehend.ros.middleware.borders import Border
from prehend.ros.middleware.typesupport import bytes_only_class, forget_error

PACKAGE = "prehend_ros"
_WHEELS_MIDDLEWARE = "rmw_fastrtps_cpp"
"""The only one that comes with rclpy from wheels, and that of every ROS installation."""
MESSAGE_NAMES = (
    "Grasp",
    "ObjectPose",
    "Hand",
    "HandArray",
    "HandEvent",
    "HandHypotheses",
    "HandHypothesesArray",
    "HandModelInfo",
    "HandTiming",
    "HandTrack",
    "HandTrackArray",
    "RigView",
    "RigHand",
    "RigHandArray",
)

HAND_ARRAY = f"{PACKAGE}/msg/HandArray"
HAND_EVENT = f"{PACKAGE}/msg/HandEvent"
HAND_HYPOTHESES = f"{PACKAGE}/msg/HandHypothesesArray"
HAND_TRACKS = f"{PACKAGE}/msg/HandTrackArray"
HAND_TIMING = f"{PACKAGE}/msg/HandTiming"
RIG_HANDS = f"{PACKAGE}/msg/RigHandArray"
MODEL_INFO = f"{PACKAGE}/msg/HandModelInfo"
TF = "tf2_msgs/msg/TFMessage"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
MARKERS = "visualization_msgs/msg/MarkerArray"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
JOINT_STATE = "sensor_msgs/msg/JointState"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
POSE_ARRAY = "geometry_msgs/msg/PoseArray"
STRING = "std_msgs/msg/String"
DETECTIONS = "vision_msgs/msg/Detection3DArray"

_VISION_MSGS = {
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
    "Detection3D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id",
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections",
}
"""Fields of vision_msgs 4, which neither rosbags nor the wheels have."""


def definitions_folder() -> Path:
    """Where the .msg files are: beside this module in a wheel, in a checkout, or in share/ of the ROS package.

    Raises:
        PrehendError: in none of them.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "msg", here.parents[3] / "msg"):
        if (folder / f"{MESSAGE_NAMES[0]}.msg").is_file():
            return folder
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory(PACKAGE)) / "msg"
    except PackageNotFoundError as error:
        raise PrehendError(f"the message definitions of '{PACKAGE}' are not installed: build the package") from error


@cache
def typestore() -> Any:
    """The types of this ROS distribution (ROS_DISTRO, else the newest that rosbags knows) and those of `prehend_ros`.

    Raises:
        MissingDependency: rosbags is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError as error:
        raise MissingDependency("rosbags", "ros", "the ROS node") from error
    distro = f"ROS2_{os.environ.get('ROS_DISTRO', '').upper()}"
    store = get_typestore(Stores[distro] if distro in Stores.__members__ else Stores.LATEST)
    definitions: dict[str, Any] = {}
    for name in MESSAGE_NAMES:
        text = (definitions_folder() / f"{name}.msg").read_text()
        definitions.update(get_types_from_msg(text, f"{PACKAGE}/msg/{name}"))
    for name, text in _VISION_MSGS.items():
        if f"vision_msgs/msg/{name}" not in store.types:
            definitions.update(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    store.register(definitions)
    return store


def make(type_name: str, **fields: Any) -> Any:
    """A message with all of its fields given, e.g. `make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0)`."""
    return typestore().types[type_name](**fields)


def encode(message: Any) -> bytes:
    """CDR bytes of a message made here or decoded here."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def decode(data: bytes, type_name: str) -> Any:
    """The message in CDR bytes; number arrays are numpy arrays.

    Raises:
        SourceError: the bytes are not such a message.
    """
    with Border(SourceError, f"cannot read a {type_name}"):  # rosbags raises whatever damaged bytes lead to
        return typestore().deserialize_cdr(data, type_name)


def type_hash(type_name: str) -> str:
    """RIHS01 hash of a type (REP 2016)."""
    return cast(str, typestore().hash_rihs01(type_name))


@cache
def message_class(type_name: str) -> Any:
    """What rclpy's `create_publisher` and `create_subscription(..., raw=True)` take for a type.

    The generated class where the package is installed; otherwise one registered here for bytes only.

    Raises:
        MissingDependency: rclpy is not installed.
        PrehendError: the package is not installed and the middleware is not Fast DDS, the only one that
            `typesupport` knows.
    """
    rclpy = require_rclpy()
    package, kind, name = type_name.split("/")
    forget_error()  # that a publisher or subscription before this one left; the next would print it
    try:
        return getattr(import_module(f"{package}.{kind}"), name)
    except ImportError:
        middleware = rclpy.get_rmw_implementation_identifier()
    if middleware != _WHEELS_MIDDLEWARE:
        raise PrehendError(
            f"the messages of '{package}' are not installed, which works with RMW_IMPLEMENTATION=rmw_fastrtps_cpp only "
            f"(now {middleware}): choose that or build the ROS package"
        )
    return bytes_only_class(type_name, type_hash(type_name), typestore().fielddefs)


def require_rclpy() -> Any:
    """The module rclpy.

    Raises:
        MissingDependency: it is not installed.
        ParameterError: RMW_IMPLEMENTATION names a middleware that is not there; rcl would end the process.
        PrehendError: it is there, and cannot be imported.
    """
    check_middleware()
    try:
        return import_module("rclpy")
    except ImportError as error:
        raise missing_rclpy(error) from error


def missing_rclpy(error: ImportError) -> PrehendError:
    """Our error for an import of rclpy that failed: it is not there, or is another Python's."""
    found = find_spec("rclpy")
    if found is None or found.origin is None:
        return MissingDependency("rclpy", "ros", "the ROS node")
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    of_path = re.search(r"python(3\.\d+)", found.origin)
    why = one_line(error)
    if of_path is not None and of_path[1] != mine:
        why = f"it is of Python {of_path[1]}, this is {mine}"
    return PrehendError(
        f"rclpy in {Path(found.origin).parent} cannot be imported: {why}; take the Python of that ROS, or a terminal "
        f"in which no ROS is sourced, and {how_to_install('ros')}"
    )


def check_middleware() -> None:
    """Raise `ParameterError` where RMW_IMPLEMENTATION names what is not installed; call before rclpy is imported."""
    wanted = os.environ.get("RMW_IMPLEMENTATION", "")
    if wanted in ("", _WHEELS_MIDDLEWARE):
        return
    folders = [f"{prefix}/lib" for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders += [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    if any(Path(folder, f"lib{wanted}.so").exists() for folder in folders):
        return
    raise ParameterError(
        f"RMW_IMPLEMENTATION is {wanted}, which is not installed here: unset it, or install its package for this ROS"
    )
