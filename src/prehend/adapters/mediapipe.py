"""MediaPipe's 21 landmarks: its names, normalised image landmarks, and world landmarks.

Source: MediaPipe's Hand Landmarker guide (Google AI Edge documentation, "Hand landmark model bundle" and "Handle and
display results"). The order is ours: wrist, then thumb, index, middle, ring and little finger from the palm outwards.
"""

from collections.abc import Sequence

import numpy as np

from prehend.adapters.frames import checked_joints, checked_side
from prehend.check import check_shape
from prehend.conventions import NUM_JOINTS, Side
from prehend.errors import InvalidInput
from prehend.types import FloatArray

LANDMARK_NAMES = (
    "WRIST",
    *(f"THUMB_{part}" for part in ("CMC", "MCP", "IP", "TIP")),
    *(
        f"{f}_{part}"
        for f in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
        for part in ("MCP", "PIP", "DIP", "TIP")
    ),
)
"""Names of the enumeration `HandLandmark`, in its order."""


def image_landmarks(
    keypoints_px: FloatArray, joints_m: FloatArray, width: int, height: int, focal_px: float
) -> FloatArray:
    """Normalised image landmarks.

    Args:
        keypoints_px: (..., 21, 2) of a `HandEstimate`, the centre of the first pixel at 0.
        joints_m: (..., 21, 3) in the camera frame [m].
        width, height: of the image [px].
        focal_px: focal length along x (`result.camera.K[0, 0]`).

    Returns:
        (..., 21, 3): x and y in [0, 1] inside the image, over its width and height from its upper left corner (so half
        a pixel is added); z is the depth behind the wrist in about the unit of x, smaller is nearer to the camera.

    Raises:
        InvalidInput: a shape is wrong, or the wrist is not in front of the camera.
    """
    joints = checked_joints(joints_m)
    points = np.asarray(keypoints_px, np.float64)
    check_shape("keypoints_px", points, ["...", NUM_JOINTS, 2])
    if width <= 0 or height <= 0:
        raise InvalidInput(f"image size {width} x {height} is not positive")
    wrist_z = joints[..., :1, 2]
    if not (wrist_z > 0).all():
        raise InvalidInput("the wrist is not in front of the camera: it has no place in the image")
    depth = (joints[..., 2] - wrist_z) * focal_px / wrist_z / width
    return np.concatenate([(points + 0.5) / [width, height], depth[..., None]], -1)


def pixels_from_image_landmarks(landmarks: FloatArray, width: int, height: int) -> FloatArray:
    """(..., 21, 3) normalised landmarks -> (..., 21, 2) [px], the centre of the first pixel at 0."""
    points = np.asarray(landmarks, np.float64)
    check_shape("landmarks", points, ["...", NUM_JOINTS, 3])
    return points[..., :2] * [width, height] - 0.5


def world_landmarks(joints_m: FloatArray) -> FloatArray:
    """World landmarks: (..., 21, 3) [m], camera axes (x right, y down, z away), origin in the hand's middle.

    MediaPipe says "the hand's geometric center"; it is the mean of the 21 joints here. Consumers that subtract the
    wrist see no difference.
    """
    joints = checked_joints(joints_m)
    return joints - joints.mean(-2, keepdims=True)


def handedness(side: Side, mirrored: bool = False) -> str:
    """The label of the category: "Left" or "Right".

    Args:
        side: of the hand.
        mirrored: give the label that MediaPipe gives for an image that was not turned back: it takes every image for
            that of a front camera seen in the mirror, so that a right hand of a plain image is called "Left".
    """
    names: Sequence[str] = ("Left", "Right")
    return names[(checked_side(side) == "right") != mirrored]
