"""Small scenes whose parts stand where a test wants them, and what a ray meets in them without OpenGL."""

from dataclasses import replace

import numpy as np

from prehend.geometry.camera import plane_from_pixels
from prehend.types import Camera
from prehend_training.objects import catalogue
from prehend_training.scenes.appearance.lighting import Lighting, ambient_of, sphere
from prehend_training.scenes.camera.effects import CameraEffects
from prehend_training.scenes.layout.posing import place_hand, pose_hand
from prehend_training.scenes.layout.scene import Scene, SceneCamera, plain_thing
from prehend_training.scenes.people.body import Arm
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.scenes.people.skin import sample_skin
from prehend_training.transforms import rigid

PALM_TO_CAMERA = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
STRAIGHT = Arm(np.zeros(3), np.zeros(3))
BARE = Outfit(sample_skin(np.random.default_rng(4)))
"""Skin without clothes; the same one everywhere, for painting takes time."""


def even_light(sun=(0.0, 0.0, -1.0), sun_colour=0.0, around=0.6):
    """The same light from all sides, and a sun; it takes nothing from the background."""
    ambient = ambient_of(np.full((len(sphere()), 3), around), [])
    direction = np.array(sun, float) / np.linalg.norm(sun)
    return Lighting(ambient, direction, np.full(3, sun_colour), 0.002, np.zeros((0, 3)), np.zeros((0, 3)), 0.8, 0.0)


def only(**parts):
    """A scene of nothing but these parts."""
    return replace(Scene((), (), (), (), (), None, even_light(), 3), **parts)


def seen_from(focal_px, size_px=96, distortion=(), model="plumb_bob", T=None, middle=None):
    """A camera without faults, its principal point in the middle of its image or at (2,)."""
    width, height = (size_px, size_px) if np.isscalar(size_px) else size_px
    x, y = ((width - 1) / 2, (height - 1) / 2) if middle is None else middle
    K = np.array([[focal_px, 0, x], [0, focal_px, y], [0, 0, 1.0]])
    return SceneCamera(
        Camera(K, width, height, np.array(distortion), model), np.eye(4) if T is None else T, CameraEffects()
    )


def at(x, y, z, R=None):
    """(4, 4)."""
    return rigid(np.eye(3) if R is None else R, np.array([x, y, z], float))


def thing_at(object_id, pose, colour=0.5):
    return plain_thing(catalogue()[object_id], pose, np.full(3, colour))


def ball_at(place, radius_m=0.03, colour=0.5):
    ball = catalogue()["ball"]
    return plain_thing(ball.stretched(2 * radius_m / ball.extents_m), at(*place), np.full(3, colour))


def hand_at(place, gesture="spread", side="right", outfit=None, R=PALM_TO_CAMERA):
    """A hand whose joints have their middle at (3,) of the true world, its palm to the camera unless turned by R."""
    posed = pose_hand(gesture_angles(gesture), np.zeros(10))
    own = np.array(place, float) * [-1 if side == "left" else 1, 1, 1]
    pose = rigid(R, own - R @ posed.joints.mean(0))
    return place_hand(posed, side, pose, STRAIGHT, BARE if outfit is None else outfit)


def rays(camera):
    """(H * W, 3) through the middles of the pixels, row by row, with z = 1."""
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1).reshape(-1, 2)
    return np.c_[plane_from_pixels(grid.astype(float), camera), np.ones(len(grid))]


def cast(geometry, view):
    """Depth (H, W) of the first triangle that each pixel's ray meets (0 for none), its code (-1) and its normal.

    Moeller and Trumbore's test of every ray against every triangle.
    """
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    places = geometry.vertices["position"].astype(float) @ R.T + t
    corners = places[geometry.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ways = rays(view.camera)
    depth, face = np.full(len(ways), np.inf), np.full(len(ways), -1)
    away = -corners[:, 0]
    across = np.cross(away, first)
    for k, way in enumerate(ways):
        side = np.cross(way, second)
        area = (side * first).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v, far = (side * away).sum(1) / area, across @ way / area, (across * second).sum(1) / area
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0.02)
        if hit.any():
            nearest = np.flatnonzero(hit)[far[hit].argmin()]
            depth[k], face[k] = far[nearest], nearest
    shape, found = (view.camera.height, view.camera.width), face >= 0
    code = np.where(found, geometry.vertices["code"][geometry.faces[face, 2]], -1)
    normal = np.cross(first, second)[face] * found[:, None]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    return np.where(found, depth, 0).reshape(shape), code.reshape(shape), normal.reshape(*shape, 3)
