"""Images of what the scene engine knows: its gestures, people, objects, grasps, and samples with their labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.conventions import SIDES, Side
from prehend.errors import UnknownName
from prehend.types import Camera
from prehend_training.grasps.library import HeldGrasp, library_ids, sample_grasp
from prehend_training.inspect.batches import write_picture
from prehend_training.inspect.samples import contact_sheet, rows_sheet, tile_sheet
from prehend_training.objects import catalogue, random_box
from prehend_training.sample import Sample
from prehend_training.scenes.appearance.lighting import Lighting, Lobe, ambient_of, sphere
from prehend_training.scenes.camera.effects import CameraEffects
from prehend_training.scenes.layout.posing import PosedHand, place_hand, pose_hand
from prehend_training.scenes.layout.scene import Hand, Scene, SceneCamera, Thing, plain_thing
from prehend_training.scenes.layout.sequences import sample_sequence
from prehend_training.scenes.layout.surroundings import dress_thing
from prehend_training.scenes.people.body import Arm, turn
from prehend_training.scenes.people.clothing import sample_outfit
from prehend_training.scenes.people.gestures import GESTURES, sample_betas, sample_gesture
from prehend_training.scenes.render.render import SceneRenderer, crop_sample
from prehend_training.transforms import rigid

Array = NDArray[np.floating]
Image = NDArray[np.uint8]
Rng = np.random.Generator

_AWAY_M = 0.55
_PALM = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
"""Columns: where a right hand's x (to the wrist), y (out of the back) and z (to the thumb) point in a camera frame."""
_BACK = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
_BESIDE = turn(np.array([0.0, 1.0, 0.0]) * np.deg2rad(50.0))


def studio() -> Lighting:
    """Even, slightly warm light from above left, the same in all portraits."""
    level = np.full((len(sphere()), 3), 0.42)
    above = Lobe(np.array([0.0, -1.0, 0.0]), np.array([0.5, 0.5, 0.52]), 2.0)
    toward = np.array([-0.5, -0.7, -0.6])
    return Lighting(
        ambient=ambient_of(level, [above]),
        sun=toward / np.linalg.norm(toward),
        sun_colour=np.array([0.62, 0.59, 0.55]),
        softness_m=0.004,
        lamps_m=np.zeros((0, 3)),
        lamp_colours=np.zeros((0, 3)),
        crevices=0.7,
        follow=0.0,
    )


def portrait(
    renderer: SceneRenderer, hands: tuple[Hand, ...], things: tuple[Thing, ...], size_px: int, span_m: float
) -> Image:
    """(size_px, size_px, 3) of hands and objects around (0, 0, 0.55), in front of a grey wall.

    Args:
        renderer: draws.
        hands, things: in the camera frame.
        size_px: of the image.
        span_m: what its width shows at that distance.
    """
    focal = size_px * _AWAY_M / span_m
    middle = (size_px - 1) / 2
    camera = Camera(np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]]), size_px, size_px)
    wall = plain_thing(_wall(), rigid(np.eye(3), np.array([0.0, 0.0, 1.6])), np.array([0.36, 0.38, 0.4]))
    scene = Scene(hands, things, (), (), (wall,), None, studio(), 0)
    return renderer.render(scene, SceneCamera(camera, np.eye(4), CameraEffects(focus_m=_AWAY_M))).image


def _wall() -> Any:
    return random_box(np.random.default_rng(0)).stretched(np.array([80.0, 80.0, 0.2]))


def _facing(posed: PosedHand, R: Array, outfit_seed: int, side: Side = "right") -> Hand:
    """The hand turned by R, its middle where portraits are taken."""
    place = np.array([0.0, 0.0, _AWAY_M]) - R @ posed.joints.mean(0)
    outfit = sample_outfit(np.random.default_rng(outfit_seed))
    return place_hand(posed, side, rigid(R, place), Arm(np.zeros(3), np.zeros(3)), outfit)


def gestures_sheet(renderer: SceneRenderer, size_px: int = 112, columns: int = 12) -> Image:
    """Each gesture of the library as it is meant (palm seen) and in a variation (another person, back seen)."""
    tiles = []
    for number, (name, gesture) in enumerate(tqdm(GESTURES.items(), desc="gestures")):
        rng = np.random.default_rng([7, number])
        plain = pose_hand(gesture.angles_rad, np.zeros(10))
        other = pose_hand(sample_gesture(rng, name), sample_betas(rng))
        for posed, R, seed in ((plain, _PALM, 4), (other, _BESIDE @ _BACK, 100 + number)):
            picture = portrait(renderer, (_facing(posed, R, seed),), (), size_px, 0.225)
            tiles.append(_named(picture, name.replace("_", " ")))
    return tile_sheet(tiles, columns)


def people_sheet(renderer: SceneRenderer, count: int = 40, size_px: int = 150, columns: int = 10) -> Image:
    """Skins, sleeves, gloves, watches, rings of random people; palm and back by turns."""
    tiles = []
    for number in tqdm(range(count), desc="people"):
        rng = np.random.default_rng([8, number])
        name = ("relaxed", "flat", "spread", "open")[number // 2 % 4]
        posed = pose_hand(sample_gesture(rng, name), sample_betas(rng))
        R = turn(rng.normal(0, 0.3, 3)) @ (_PALM, _BACK)[number % 2]
        hand = _facing(posed, R, 1000 + number, SIDES[number % 3 % 2])
        tiles.append(portrait(renderer, (hand,), (), size_px, 0.25))
    return tile_sheet(tiles, columns)


def objects_sheet(renderer: SceneRenderer, size_px: int = 112, columns: int = 12) -> Image:
    """Every object of the catalogue, not to one scale: its size is written on it."""
    tiles = []
    R = turn(np.array([0.45, 0, 0])) @ np.diag([1.0, -1.0, -1.0]) @ _upright()
    for number, solid in enumerate(tqdm(catalogue().values(), desc="objects")):
        pose = rigid(R, np.array([0.0, 0.0, _AWAY_M]) - R @ solid.center_m)
        thing = dress_thing(np.random.default_rng([9, number]), plain_thing(solid, pose, np.ones(3)))
        span = 1.25 * float(np.linalg.norm(solid.extents_m))
        picture = portrait(renderer, (), (thing,), size_px, span)
        tiles.append(_named(picture, f"{solid.object_id} {100 * solid.extents_m.max():.0f} cm"))
    return tile_sheet(tiles, columns)


def _upright() -> Array:
    """(3, 3) from an object frame with z up to a frame with y down, turned to show three sides."""
    up = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    return up @ turn(np.array([0, 0, 0.6]))


def grasps_sheet(renderer: SceneRenderer, each: int = 2, size_px: int = 112, columns: int = 12) -> Image:
    """Shipped grasps of every object, from the side that shows the thumb."""
    tiles = []
    for number, name in enumerate(tqdm(library_ids(), desc="grasps")):
        for k in range(each):
            rng = np.random.default_rng([10, number, k])
            tiles.append(_named(held_portrait(renderer, sample_grasp(rng, name), rng, size_px), name))
    return tile_sheet(tiles, columns)


def held_portrait(renderer: SceneRenderer, grasp: HeldGrasp, rng: Rng, size_px: int, span_m: float = 0.25) -> Image:
    """A grasp seen from a random direction on the thumb's side."""
    posed = pose_hand(grasp.angles, grasp.betas)
    R = turn(rng.normal(0, 0.35, 3)) @ turn(np.array([0.0, rng.uniform(0.6, 1.4), 0.0])) @ _PALM
    hand = _facing(posed, R, int(rng.integers(10**6)))
    T_camera_hand = rigid(R, hand.wrist_m)
    thing = dress_thing(rng, plain_thing(grasp.solid, T_camera_hand @ grasp.T_hand_object, np.ones(3)))
    return portrait(renderer, (hand,), (thing,), size_px, span_m)


def twins_sheet(renderer: SceneRenderer, count: int = 8, size_px: int = 128, seed: int = 11) -> Image:
    """Crops with everything that is known of them, the de-occluded twin among it."""
    labels = (
        "skeleton",
        "masks",
        "parts",
        "words",
        "plain",
        "twin",
        "segmentation",
        "depth",
        "sensor",
        "normals",
        "albedo",
    )
    samples: list[Sample] = []
    index = 0
    while len(samples) < count:
        sample = crop_sample(renderer, seed, index, size_px, maps=True)
        index += 1
        if any(hand.grasp for hand in sample.hands):
            samples.append(sample)
    return contact_sheet(samples, 1, 1, labels)


def crops_sheet(renderer: SceneRenderer, count: int = 60, size_px: int = 128, seed: int = 12) -> Image:
    """Crops as the network sees them, one after the other, nothing chosen."""
    samples = [crop_sample(renderer, seed, index, size_px) for index in tqdm(range(count), desc="crops")]
    return contact_sheet(samples, 12, 1, ())


def sequence_sheet(renderer: SceneRenderer, count: int = 6, width_px: int = 280, seed: int = 13) -> Image:
    """A sequence in which something is lifted: above a camera at the table, below the one on the head."""
    size = (width_px, width_px * 3 // 4)
    tries = (sample_sequence(seed, index, size=size) for index in range(100))
    sequence = next(one for one in tries if any(track.displaced.any() for track in one.hands))
    rows: list[list[Sample]] = [[], []]
    for frame in tqdm(np.linspace(0, sequence.frames - 1, count).round().astype(int), desc="sequence"):
        views = sequence.views(frame)
        pair = renderer.render_views(sequence.scene(frame), [views[1], views[-1]], sequence.frame_id(frame, ""))
        for row, sample in zip(rows, pair, strict=True):
            row.append(sample)
    return rows_sheet(rows, 1, ("skeleton", "words"))


def views_sheet(renderer: SceneRenderer, count: int = 3, width_px: int = 200, seed: int = 14) -> Image:
    """Instants as the eight cameras around the table and the one on the head see them."""
    rows = []
    for index in tqdm(range(count), desc="views"):
        sequence = sample_sequence(seed, index, size=(width_px, width_px * 3 // 4))
        frame = sequence.frames // 2
        views = sequence.views(frame)
        rows.append(renderer.render_views(sequence.scene(frame), views, sequence.frame_id(frame, "")))
    return rows_sheet(rows, 1, ("skeleton", "objects"))


SHEETS: dict[str, Callable[[SceneRenderer], Image]] = {
    "gestures": gestures_sheet,
    "people": people_sheet,
    "objects": objects_sheet,
    "grasps": grasps_sheet,
    "crops": crops_sheet,
    "twins": twins_sheet,
    "sequence": sequence_sheet,
    "views": views_sheet,
}
"""Images by name."""


def write_sheets(out: Path, names: list[str] | None = None, photos: Path | None = None) -> list[Path]:
    """Write sheets as out/NAME.jpg.

    Args:
        out: folder, made if absent.
        names: of `SHEETS`; all without.
        photos: folder of photographs for backgrounds.

    Raises:
        UnknownName: there is no such sheet.
        InvalidInput: a file cannot be written.
    """
    for name in names or ():
        if name not in SHEETS:
            raise UnknownName("sheet", name, SHEETS)
    renderer = SceneRenderer(photos)
    paths = []
    for name in names or list(SHEETS):
        path = out / f"{name}.jpg"
        write_picture(path, SHEETS[name](renderer))
        paths.append(path)
    return paths


def _named(tile: Image, text: str) -> Image:
    place = (3, tile.shape[0] - 5)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return tile
