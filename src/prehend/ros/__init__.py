"""The ROS 2 side: messages, the node, and the player of images. Only `node` and `play` need rclpy, when they run."""

import os
from importlib.metadata import PackageNotFoundError, version

from prehend.errors import PrehendError
from prehend.resources import resource

PROFILE = "fastdds.xml"
"""See the file's own words, and docs/ROS.md, "Large images"."""

SEGMENT_BYTES = 512 << 10
"""What Fast DDS's own shared memory holds, for all that a process has on the way."""

TRANSPORT_VARIABLES = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_BEFORE_FAST_DDS_3 = ("foxy", "galactic", "humble", "iron", "jazzy")


def use_large_data() -> None:
    """Give Fast DDS room for large images unless the user chose transports; call before `rclpy.init`.

    With its own settings the images that this process sends get lost between processes, if they are larger than
    `SEGMENT_BYTES` and best effort.
    """
    if any(name in os.environ for name in TRANSPORT_VARIABLES):
        return
    try:
        os.environ[profile_variable()] = str(resource(PROFILE))
    except PrehendError:  # an installation without its files: everything but large images works
        return


def profile_variable() -> str:
    """The name of the environment variable that this distribution's Fast DDS reads profiles from."""
    distribution = os.environ.get("ROS_DISTRO", "")
    if not distribution:
        try:
            distribution = "jazzy" if int(version("ros-rclpy").partition(".")[0]) < 9 else ""
        except (PackageNotFoundError, ValueError):
            distribution = ""
    return f"{'FASTRTPS' if distribution in _BEFORE_FAST_DDS_3 else 'FASTDDS'}_DEFAULT_PROFILES_FILE"
