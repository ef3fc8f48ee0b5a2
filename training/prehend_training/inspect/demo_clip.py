"""The clip of `make demo`: a left hand makes gestures while a right hand reaches for a can, grasps, lifts and turns it.

python -m prehend_training.inspect.demo_clip --out examples/hands.mp4
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.cli.arguments.parsing import Parser, number_between
from prehend.conventions import Side
from prehend.errors import OutputError, PrehendError
from prehend.hand_model import skin
from prehend.io.films.writing import VideoWriter
from prehend.types import Camera
from prehend_training.assets.poses import pose_from_angles
from prehend_training.grasps.library import HeldGrasp, sample_grasp
from prehend_training.sample import HAND_PARTS
from prehend_training.scenes.appearance.lighting import Lighting, Lobe, ambient_of, sphere
from prehend_training.scenes.camera.effects import CameraEffects
from prehend_training.scenes.layout.scene import Hand, Scene, SceneCamera, Table, Thing, plain_thing
from prehend_training.scenes.people.body import Arm, bend_wrist, drawn_hand, turn
from prehend_training.scenes.people.clothing import Outfit, Sleeve
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.scenes.people.skin import SkinMaterial
from prehend_training.scenes.render.render import SceneRenderer

Array = NDArray[np.floating]

WIDTH, HEIGHT, FOV_DEG, RATE_HZ = 640, 480, 60.0, 15.0
_GESTURES = ("spread", "fist", "point", "two", "ok", "flat")
_SIDES: dict[str, Side] = {"gestures": "left", "grasp": "right"}
_SLEEVES = {"gestures": (0.24, 0.02, 0.05), "grasp": (0.02, 0.06, 0.2)}
_SLEEVE = Sleeve(
    0.07, 0.004, 0.006, 0.004, 0.0, 0.002, "hem", 0.03, np.array([[1.0, 30.0, 0.0, 0.6]]), 2, 0.32, np.ones(3)
)
_SKIN = SkinMaterial(12, np.ones(3), np.array([0.4, 14.0, 0.9]))
_LOOK = CameraEffects(contrast=1.05, vignette=0.1, blur_px=0.35, read_noise=0.004, shot_noise=0.01, quality=90)
_AROUND = Lobe(np.array([0.0, -1.0, 0.0]), np.array([0.5, 0.5, 0.5]), 2.0)
_LIGHTING = Lighting(
    ambient=ambient_of(np.full((len(sphere()), 3), [0.36, 0.37, 0.40]), [_AROUND]),
    sun=np.array([-0.45, -0.75, -0.48]) / np.linalg.norm([-0.45, -0.75, -0.48]),
    sun_colour=np.array([0.78, 0.74, 0.68]),
    softness_m=0.006,
    lamps_m=np.zeros((0, 3)),
    lamp_colours=np.zeros((0, 3)),
    crevices=0.9,
    follow=0.0,
)


@dataclass(frozen=True)
class ClipMotion:
    """What moves in the clip.

    Attributes:
        grasp: of the right hand, in its own frame.
        betas: (10,) of both hands.
        R_camera_hand: (3, 3) of the grasping hand when it grasps.
        place_m: (3,) wrist of the grasping hand when it grasps, camera frame.
    """

    grasp: HeldGrasp
    betas: Array
    R_camera_hand: Array
    place_m: Array


def smooth(x: float) -> float:
    """0 below 0, 1 above 1, without a jolt between."""
    t = float(np.clip(x, 0, 1))
    return t * t * (3 - 2 * t)


def choose_grasp(object_id: str) -> HeldGrasp:
    """A power grasp of an object of the catalogue, which can be taken from a table so.

    Raises:
        AssetError: there is none in the library.
    """
    return sample_grasp(np.random.default_rng(3), object_id, "power", from_table=True)


def upright(grasp: HeldGrasp) -> Array:
    """(3, 3) rotation from hand to camera with the object's z axis up and the palm to the left of the image."""
    up = grasp.T_hand_object[:3, 2] * (1 if grasp.T_hand_object[2, 2] > 0 else -1)
    away = np.array([0.0, 1.0, 0.0])  # back of the hand
    away -= (away @ up) * up
    away /= np.linalg.norm(away)
    hand = np.stack([up, away, np.cross(up, away)], 1)
    above, left = np.array([0, -1.0, 0]), np.array([0.75, 0.0, -0.66]) / np.hypot(0.75, 0.66)
    camera = np.stack([above, left, np.cross(above, left)], 1)
    return np.asarray(camera @ hand.T)


def make_hand(
    name: str, rotations: Array, betas: Array, R_camera_hand: Array, wrist_m: Array, holds: bool = False
) -> Hand:
    """A dressed hand with its wrist at a place; all in the camera frame of a right hand (mirrored for a left one)."""
    side, posed = _SIDES[name], skin(drawn_hand(), rotations, betas)
    vertices, joints = posed.vertices - posed.joints[0], posed.joints - posed.joints[0]
    arm = Arm(np.array([0.1, 0.0, 0.0]), np.zeros(3))
    outfit = Outfit(_SKIN, replace(_SLEEVE, colour=np.array(_SLEEVES[name])))
    placed = [points @ R_camera_hand.T + wrist_m for points in (joints, vertices[drawn_hand().hand_mask])]
    drawn = bend_wrist(vertices, arm) @ R_camera_hand.T + wrist_m
    turned = np.concatenate([R_camera_hand[None], rotations[1:]])
    touches = np.full(len(HAND_PARTS), holds)
    held = (0 if holds else None, holds, holds, touches)
    return Hand(side, turned, betas, wrist_m, placed[0], placed[1], drawn, arm, outfit, *held)


def gesturing_hand(share: float, betas: Array) -> Hand:
    """The left hand at a share 0..1 of the clip: it goes through the gestures and sways."""
    along = share * (len(_GESTURES) - 1)
    first = min(int(along), len(_GESTURES) - 2)
    a, b = list(pairwise(_GESTURES))[first]
    t = smooth((along - first - 0.35) / 0.5)
    rotations = pose_from_angles(drawn_hand(), *((1 - t) * gesture_angles(a) + t * gesture_angles(b)).T)
    sway = turn(np.array([0, 0.35 * np.sin(9 * share), 0.2 * np.sin(5 * share)]))
    palm = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])  # fingers up, palm to the camera after the turn below
    R = sway @ turn(np.array([0, np.pi, 0])) @ palm
    place = np.array([-0.15 + 0.02 * np.sin(6 * share), 0.09, 0.5 + 0.03 * np.sin(4 * share)])
    return make_hand("gestures", rotations, betas, R, place)


def grasping_hand(share: float, motion: ClipMotion) -> tuple[Hand, Thing]:
    """The right hand at a share 0..1 of the clip, and the object: reach to 0.35, close to 0.45, then lift and turn."""
    reach, close, lift = smooth(share / 0.35), smooth((share - 0.33) / 0.12), smooth((share - 0.48) / 0.25)
    open_angles = motion.grasp.angles.copy()
    open_angles[:12, 0] *= 0.25
    open_angles[12:, 0] = np.minimum(open_angles[12:, 0], -0.15)
    rotations = pose_from_angles(drawn_hand(), *((1 - close) * open_angles + close * motion.grasp.angles).T)
    back = motion.R_camera_hand @ np.array([0.0, 1.0, 0.0])
    resting = np.eye(4)
    resting[:3, :3], resting[:3, 3] = motion.R_camera_hand, motion.place_m
    lifted = resting.copy()
    tilt = turn(np.array([0.0, 0.9 * np.sin(4 * max(share - 0.55, 0)), 0.35 * np.sin(7 * max(share - 0.55, 0))]))
    lifted[:3, :3] = tilt @ motion.R_camera_hand
    lifted[:3, 3] += lift * np.array([0.03, -0.13, -0.03])
    T_camera_object = lifted @ motion.grasp.T_hand_object
    thing = plain_thing(motion.grasp.solid, T_camera_object, np.array([0.75, 0.12, 0.08]))
    wrist = lifted[:3, 3] + (1 - reach) * (0.13 * back + np.array([-0.05, 0.05, 0.0]))
    return make_hand("grasp", rotations, motion.betas, lifted[:3, :3], wrist, share >= 0.48), thing


def clip_scene(share: float, motion: ClipMotion) -> Scene:
    """The scene at a share 0..1 of the clip."""
    grasping, thing = grasping_hand(share, motion)
    still = grasping_hand(0.0, motion)[1]
    table_pose = np.eye(4)
    table_pose[:3, :3] = np.stack([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], 1)
    half = still.solid.extents_m[2] / 2
    table_pose[:3, 3] = still.pose[:3, 3] + np.array([0.0, half, 0.0])
    table = Table(table_pose, 0.05, -1, 2.0, np.array([0.38, 0.27, 0.17]))
    hands = (gesturing_hand(share, np.zeros(10)), grasping)
    return Scene(hands, (thing,), (), (), (), table, _LIGHTING, 17)


def main(argv: Sequence[str] | None = None) -> int:
    """Render the clip; 0 when done, 1 when it cannot be (one line says why), 2 from the parser for wrong use."""
    parser = Parser("demo_clip", __doc__ or "")
    parser.add_argument("--out", type=Path, required=True, help="video to write")
    parser.add_argument("--seconds", type=number_between(0.1, 3600), default=8.0, help="length (default: %(default)s)")
    parser.add_argument("--object", default="can", help="catalogue object that is grasped (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        write_clip(options.out, options.seconds, options.object)
    except PrehendError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    return 0


def write_clip(out: Path, seconds: float, object_id: str) -> None:
    """Render the clip into a video.

    Raises:
        AssetError: there is no grasp of the object.
        OutputError: the video cannot be written.
    """
    if out.is_dir() or not out.parent.is_dir():  # said before minutes of drawing
        raise OutputError(f"{out} cannot be written as a video: name an .mp4 file in a folder that is there")
    grasp = choose_grasp(object_id)
    motion = ClipMotion(grasp, grasp.betas, upright(grasp), np.array([-0.12, 0.1, 0.5]))
    focal = WIDTH / 2 / np.tan(np.deg2rad(FOV_DEG) / 2)
    K = np.array([[focal, 0, (WIDTH - 1) / 2], [0, focal, (HEIGHT - 1) / 2], [0, 0, 1]])
    renderer, count = SceneRenderer(), round(seconds * RATE_HZ)
    writer = VideoWriter(out, RATE_HZ)
    for k in tqdm(range(count), unit="picture"):
        share = k / (count - 1)
        view = SceneCamera(Camera(K, WIDTH, HEIGHT), np.eye(4), replace(_LOOK, seed=int(1e6 * share)))
        sample = renderer.render(clip_scene(share, motion), view)
        writer.write(sample.image)
    writer.close()


if __name__ == "__main__":
    sys.exit(main())
