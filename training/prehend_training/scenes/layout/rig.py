"""Several cameras that see the same instant: around a table, and on a head."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.camera.cameras import CAMERA_KINDS, camera_of
from prehend_training.scenes.camera.effects import sample_effects
from prehend_training.scenes.layout.scene import SceneCamera
from prehend_training.scenes.motion import sway

Array = NDArray[np.floating]
Rng = np.random.Generator

CENTRE_M = np.array([0.0, 0.0, 0.1])
"""Middle of the work volume in a world whose table top is at z = 0."""
_BEHIND_RAD = np.deg2rad(50.0)
_SIZES = ((640, 480), (1280, 720))


def look_at(place_m: Array, target_m: Array, roll_rad: float = 0.0) -> Array:
    """(4, 4) T_camera_world of a camera at a place that looks at a target, the world's z axis up in its image.

    Args:
        place_m, target_m: (3,) world.
        roll_rad: turn about its axis.
    """
    ahead = target_m - place_m
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    length = float(np.linalg.norm(right))
    right = right / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])
    down = np.cross(ahead, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    T = np.eye(4)
    T[:3, :3] = np.stack([c * right + s * down, c * down - s * right, ahead])
    T[:3, 3] = -T[:3, :3] @ place_m
    return T


def table_rig(
    rng: Rng, count: int = 8, size: tuple[int, int] | None = None, person_rad: float | None = None
) -> tuple[SceneCamera, ...]:
    """Synchronised cameras around a table, "cam0", "cam1", ...; all look at the work volume.

    As in DexYCB they stand on all sides at 0.5 to 1.2 m, from low to steep; all are of one kind, each with its own
    calibration.

    Args:
        rng: source of randomness.
        count: of the cameras.
        size: width and height of the images, None for a usual one.
        person_rad: azimuth of somebody at the table, behind whose back no camera stands.
    """
    kind = CAMERA_KINDS[int(rng.choice(3, p=[0.3, 0.5, 0.2]))]
    width, height = _SIZES[rng.integers(len(_SIZES))] if size is None else size
    first = rng.uniform(0, 2 * np.pi) if person_rad is None else person_rad + _BEHIND_RAD
    steps = 2 * np.pi / count if person_rad is None else 2 * (np.pi - _BEHIND_RAD) / max(count - 1, 1)
    base = sample_effects(rng)
    base = replace(base, motion_px=np.zeros(2), blur_px=min(base.blur_px, 0.7))  # they stand still
    views = []
    for k in range(count):
        azimuth = first + steps * (k + rng.normal(0, 0.15))
        elevation = np.deg2rad(np.clip(rng.normal(38, 16), 12, 85))
        distance = rng.uniform(0.55, 1.15)
        direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), 0.0])
        direction[2] = np.sin(elevation)
        place = CENTRE_M + distance * direction
        target = CENTRE_M + rng.normal(0, 0.03, 3)
        T = look_at(place, target, rng.normal(0, np.deg2rad(2)))
        effects = replace(base, focus_m=float(distance), seed=int(rng.integers(2**31)))
        views.append(SceneCamera(camera_of(rng, kind, width, height), T, effects, f"cam{k}"))
    return tuple(views)


def head_track(rng: Rng, eye_m: Array, targets_m: Array, rate_hz: float) -> Array:
    """(F, 4, 4) T_camera_world of a camera on a head that follows with its eyes what the hand does.

    Args:
        rng: source of randomness.
        eye_m: (F, 3) where the camera is, but for its sway.
        targets_m: (F, 3) what the person looks at.
        rate_hz: of the frames.
    """
    count = len(targets_m)
    lag = int(rng.uniform(0.2, 0.4) * rate_hz)
    kernel = np.hanning(2 * lag + 3)
    kernel /= kernel.sum()
    padded = np.pad(targets_m, ((lag + 1, lag + 1), (0, 0)), mode="edge")
    followed = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in range(3)], 1)
    share = rng.uniform(0.3, 0.8)
    targets = share * followed + (1 - share) * followed.mean(0) + rng.normal(0, 0.02, 3)
    places = eye_m + sway(rng, count, rate_hz, 0.008, (0.15, 1.2))
    targets = targets + sway(rng, count, rate_hz, 0.006, (0.2, 2.0))
    roll = rng.normal(0, np.deg2rad(3)) + sway(rng, count, rate_hz, 0.012, (0.15, 1.0))[:, 0]
    return np.stack([look_at(*row) for row in zip(places, targets, roll, strict=True)])
