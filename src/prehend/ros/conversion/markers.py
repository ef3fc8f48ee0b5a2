"""Results as markers for RViz and Foxglove: bones, joints, mesh and the frame of what is held."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import BONES, Side
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.ros.conversion.convert import pose_message
from prehend.ros.messages import MARKERS, make
from prehend.types import FloatArray, FrameResult, HandEstimate, ObjectEstimate

_LINE_LIST, _SPHERE_LIST, _TEXT, _TRIANGLE_LIST, _DELETE_ALL = 5, 7, 9, 11, 3
_COLORS: dict[Side, tuple[float, float, float]] = {"left": (0.2, 0.55, 1.0), "right": (1.0, 0.55, 0.15)}
_GRASPING = (0.2, 0.85, 0.3)
_BOX_EDGES = np.array([(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit])
"""Pairs of corners in the order of `control_points.control_points`."""

_AXES_M = 0.06
_LIFETIME_S = 1
"""Markers of a node that died go away by themselves; those of a living one are replaced with every image."""


def marker_array(
    header: Any,
    result: FrameResult,
    faces: Mapping[Side, NDArray[np.integer]] | None = None,
    objects: Mapping[str, FloatArray] = MappingProxyType({}),
) -> Any:
    """A visualization_msgs/MarkerArray that replaces everything shown before.

    Args:
        header: of the image.
        result: of the image; hands without metric joints are left out.
        faces: (F, 3) triangles of each side to show the mesh, None for bones and joints alone. A mesh of 3500 triangles
            costs about 15 ms: each corner is an object of its own in this message.
        objects: (21, 3) control points [m] of the objects whose box is to be shown, by their id.
    """
    markers = [_marker(header, "", 0, _LINE_LIST, action=_DELETE_ALL)]
    for hand in result.hands:
        if not np.isfinite(hand.joints_m).all():
            continue
        markers += _hand_markers(header, hand)
        if faces is not None:
            markers.append(_mesh_marker(header, hand, faces[hand.side]))
        if hand.held_object is not None and hand.held_object.T_camera_object is not None:
            markers += _object_markers(header, hand.track_id, hand.held_object, objects.get(hand.held_object.object_id))
    return make(MARKERS, markers=markers)


def _hand_markers(header: Any, hand: HandEstimate) -> list[Any]:
    color = _GRASPING if hand.grasp.state == "grasping" else _COLORS[hand.side]
    bones = _marker(header, "bones", hand.track_id, _LINE_LIST, (0.004, 0.0, 0.0), _COLORS[hand.side])
    bones.points = _points(hand.joints_m[np.array(BONES).ravel()])
    joints = _marker(header, "joints", hand.track_id, _SPHERE_LIST, (0.009, 0.009, 0.009), color)
    joints.points = _points(hand.joints_m)
    return [bones, joints]


def _mesh_marker(header: Any, hand: HandEstimate, faces: NDArray[np.integer]) -> Any:
    mesh = _marker(header, "mesh", hand.track_id, _TRIANGLE_LIST, (1.0, 1.0, 1.0), _COLORS[hand.side], alpha=0.6)
    vertices = _points(hand.vertices_m)
    mesh.points = [vertices[index] for index in faces.ravel().tolist()]
    return mesh


def _object_markers(header: Any, track_id: int, held: ObjectEstimate, box_m: FloatArray | None) -> list[Any]:
    T = held.T_camera_object
    assert T is not None
    pose = pose_message(T[:3, 3], quaternion_from_matrix(T[:3, :3]))
    axes = _marker(header, "object", track_id, _LINE_LIST, (0.006, 0.0, 0.0))
    axes.pose = pose
    axes.points = _points(np.stack([np.zeros((3, 3)), _AXES_M * np.eye(3)], 1).reshape(6, 3))
    axes.colors = [_color(row) for row in np.repeat(np.eye(3), 2, axis=0)]
    text = _marker(header, "object_name", track_id, _TEXT, (0.0, 0.0, 0.03), (1.0, 1.0, 1.0))
    text.pose = pose
    text.text = held.object_id
    if box_m is None:
        return [axes, text]
    box = _marker(header, "object_box", track_id, _LINE_LIST, (0.003, 0.0, 0.0), _GRASPING)
    box.pose = pose
    box.points = _points(box_m[_BOX_EDGES.ravel()])
    return [axes, text, box]


def _marker(
    header: Any,
    namespace: str,
    index: int,
    kind: int,
    scale: tuple[float, float, float] = (0.0, 0.0, 0.0),
    color: tuple[float, float, float] = (1.0, 1.0, 1.0),
    alpha: float = 1.0,
    action: int = 0,
) -> Any:
    compressed = {"header": header, "format": "", "data": np.zeros(0, np.uint8)}
    return make(
        "visualization_msgs/msg/Marker",
        header=header,
        ns=namespace,
        id=index,
        type=kind,
        action=action,
        pose=pose_message(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])),
        scale=make("geometry_msgs/msg/Vector3", x=scale[0], y=scale[1], z=scale[2]),
        color=_color(color, alpha),
        lifetime=make("builtin_interfaces/msg/Duration", sec=_LIFETIME_S, nanosec=0),
        frame_locked=False,
        points=[],
        colors=[],
        texture_resource="",
        texture=make("sensor_msgs/msg/CompressedImage", **compressed),
        uv_coordinates=[],
        text="",
        mesh_resource="",
        mesh_file=make("visualization_msgs/msg/MeshFile", filename="", data=np.zeros(0, np.uint8)),
        mesh_use_embedded_materials=False,
    )


def _points(positions_m: FloatArray) -> list[Any]:
    return [make("geometry_msgs/msg/Point", x=x, y=y, z=z) for x, y, z in positions_m.tolist()]


def _color(rgb: Any, alpha: float = 1.0) -> Any:
    r, g, b = map(float, rgb)
    return make("std_msgs/msg/ColorRGBA", r=r, g=g, b=b, a=alpha)
