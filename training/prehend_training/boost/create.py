"""The condition creator (HandBooster, section 3.3): new grasps and views, as crops with every label.

A folder of conditions is an ordinary folder of rendered crops; their images are what the scene engine makes of a hand
and an object alone. The generator paints others for the same labels.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prehend.conventions import MIRROR, SIDES, Side
from prehend.errors import InvalidInput
from prehend.hand_model import skin
from prehend.types import Box, Camera
from prehend_training.boost.distances import Array
from prehend_training.boost.fit import square_around
from prehend_training.boost.folders import FolderPlan, Made, Maker, fill
from prehend_training.boost.poses import Chosen, RealHands, choose_grasps, choose_real, hand_sha256, read_real
from prehend_training.engine import EngineOptions
from prehend_training.grasps.checks import Report, check
from prehend_training.grasps.library import HeldGrasp, library_ids, load_grasps, turned
from prehend_training.objects import catalogue
from prehend_training.objects.asset_split import AssetSplit, drawn_from, things_in_split
from prehend_training.sample import FrameId, Sample
from prehend_training.scenes.appearance.lighting import sample_lighting
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.posing import PosedHand, aimed_arm, place_hand, pose_hand
from prehend_training.scenes.layout.sampling import sample_view
from prehend_training.scenes.layout.scene import (
    Hand,
    Scene,
    Thing,
    mirror_thing_pose,
    plain_thing,
    true_points,
)
from prehend_training.scenes.layout.surroundings import dress_thing
from prehend_training.scenes.layout.viewpoints import sample_hand_rotation, sample_viewpoint
from prehend_training.scenes.people.body import drawn_hand, turn
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.skin import sample_skin
from prehend_training.scenes.render.labels import in_camera
from prehend_training.scenes.render.render import SceneRenderer, crop_view
from prehend_training.storage.codec import Packing
from prehend_training.transforms import rigid

Rng = np.random.Generator

SOURCE = "handbooster"
_TRIES = 6
_NEAREST_M = 0.15
_LEAST_VISIBLE = 0.25
_ELBOW_M = 0.5
CHECKED = ("contact", "volume", "self_penetration")
"""The paper's three criteria; a grasp that the shape's change has broken is drawn anew."""


@dataclass(frozen=True)
class CreateConfig:
    """Which conditions.

    Attributes:
        seed: of everything drawn by chance; with a condition's number it decides it.
        size_px: side of the crops.
        objects: objects to hold; none for all of the library.
        real: folders of crops whose hands are what is there already: of `boost fit`, or of a dataset. Views come from
            them too.
        real_share: share of conditions that take a real hand's pose (the paper's 20 %); 0 without `real`.
        synthetic, real_count: N and M, poses that farthest-point sampling leaves of each object's grasps, and of the
            real hands.
        turn_deg: the hand is turned by up to so much about each axis.
        shape: standard deviation of what is added to each of the ten shape numbers.
        library: folder of grasps, None for the shipped one.
        asset_split: which objects and skins may appear, as for scenes.

    Raises:
        InvalidInput: a number is out of range.
    """

    seed: int = 0
    size_px: int = 128
    objects: tuple[str, ...] = ()
    real: tuple[Path, ...] = ()
    real_share: float = 0.2
    synthetic: int = 48
    real_count: int = 200
    turn_deg: float = 30.0
    shape: float = 0.4
    library: Path | None = None
    asset_split: AssetSplit = "all"

    def __post_init__(self) -> None:
        limits = {"real_share": (0, 1), "turn_deg": (0, 180), "shape": (0, 3)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} is {getattr(self, name)}, expected {low} to {high}")
        if self.size_px < 16 or self.synthetic < 1 or self.real_count < 1:
            raise InvalidInput("size, synthetic and real_count: expected at least 16 px, one grasp and one hand")

    def describe(self) -> dict[str, Any]:
        """What decides about the folder, as JSON; folders by their content."""
        return asdict(self) | {
            "made_by": "boost create",
            "hand": hand_sha256(),
            "real": [_fingerprint(folder / "index.json") for folder in self.real],
            "library": None if self.library is None else str(self.library),
            "objects": list(self.objects),
        }


def _fingerprint(path: Path) -> str:
    if not path.is_file():
        raise InvalidInput(f"{path.parent} holds no index.json: make it with `prehend-train boost fit`")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Draft(NamedTuple):
    """A hand in its own frame with what it holds, before it is placed.

    Attributes:
        posed: a right hand.
        grasp: what it holds, None for an empty hand.
        told: where it comes from.
    """

    posed: PosedHand
    grasp: HeldGrasp | None
    told: dict[str, Any]


class Creator:
    """Draws conditions.

    Args:
        config: which.

    Raises:
        AssetError: a library is missing, has no grasps of an object, or a folder of real hands cannot be read.
    """

    def __init__(self, config: CreateConfig):
        self.config = config
        self.real = read_real(config.real) if config.real else None
        with drawn_from(config.asset_split):
            self.object_ids = things_in_split(config.objects or library_ids(config.library))
        if not self.object_ids:
            raise InvalidInput(
                f"no grasps of {', '.join(config.objects) or config.library} ({config.asset_split}): make them with "
                "`prehend-train grasps`, or choose another --asset-split"
            )
        self._real_rows = np.zeros(0, np.int64)
        if self.real is not None:
            self._real_rows = choose_real(self.real, config.real_count, config.seed)
        for object_id in config.objects:  # name what is missing now, not after an hour
            load_grasps(object_id, config.library)
        self._chosen: dict[str, Chosen] = {}
        self.renderer = SceneRenderer()

    def chosen(self, object_id: str) -> Chosen:
        """Q_s of an object."""
        if object_id not in self._chosen:
            config = self.config
            self._chosen[object_id] = choose_grasps(object_id, config.synthetic, self.real, config.seed, config.library)
        return self._chosen[object_id]

    def condition(self, unit: int) -> Made:
        """Condition number `unit`: a crop with every label, and where it comes from."""
        with drawn_from(self.config.asset_split):
            for attempt in range(_TRIES):
                rng = np.random.default_rng([self.config.seed, unit, attempt])
                draft = self._draft(rng)
                sample = self._drawn(rng, draft, unit)
                if sample.hands[0].visible_ratio > _LEAST_VISIBLE:
                    break
        return Made(unit, (sample,), draft.told)

    def _draft(self, rng: Rng) -> Draft:
        if len(self._real_rows) and rng.random() < self.config.real_share:
            assert self.real is not None
            row = int(rng.choice(self._real_rows))
            return Draft(_posed(self.real, row, self._shape(rng)), None, {"pose": "real", "row": row, "object": ""})
        object_id = str(self.object_ids[int(rng.integers(len(self.object_ids)))])
        chosen = self.chosen(object_id)
        row = int(rng.choice(len(chosen.grasps), p=chosen.probability))
        return self._held(rng, chosen, row, {"pose": "synthetic", "row": row, "object": object_id})

    def _held(self, rng: Rng, chosen: Chosen, row: int, told: dict[str, Any]) -> Draft:
        """A grasp by a hand of another shape, as far as it stays valid: each try changes less, the last nothing."""
        grasp = chosen.grasps.held(row, catalogue()[chosen.grasps.object_id])
        change, T_object_hand = self._shape(rng), chosen.grasps.hands.T_object_hand[row]
        for share in (1.0, 0.5, 0.25):
            betas = np.clip(grasp.betas + share * change, -3, 3)
            report = check(grasp.solid, betas, grasp.angles, T_object_hand)
            if is_valid(report):
                grasp = replace(grasp, betas=betas, contact=report.contact)
                break
        else:
            share = 0.0
        grasp = turned(rng, grasp)
        return Draft(pose_hand(grasp.angles, grasp.betas), grasp, {**told, "shape": share, "kind": grasp.kind})

    def _shape(self, rng: Rng) -> Array:
        return rng.normal(0, self.config.shape, 10)

    def _drawn(self, rng: Rng, draft: Draft, unit: int) -> Sample:
        side, R, centre, camera = self._view(rng)
        limit = np.radians(self.config.turn_deg)
        for axis in np.eye(3):
            R = R @ turn(axis * rng.uniform(-limit, limit))
        wrist = centre - R @ draft.posed.joints.mean(0)
        nearest = float((draft.posed.joints @ R[2] + wrist[2]).min())
        wrist = wrist + centre / centre[2] * max(_NEAREST_M - nearest, 0.0)
        hand, things = _placed(rng, draft, side, rigid(R, wrist))
        view = replace(sample_view(rng), camera=camera)
        joints = in_camera(view, true_points(hand, hand.joints_m))
        square = square_around(Box.around(pixels(joints, camera)))
        view = replace(view, effects=replace(view.effects, focus_m=float(joints[:, 2].mean())))
        scene = Scene(
            hands=(hand,), objects=things, strangers=(), clutter=(), scenery=(), table=None,
            lighting=sample_lighting(rng, np.array([0, -1.0, 0]), joints[0]), background_seed=int(rng.integers(2**32)),
        )  # fmt: skip
        frame_id = FrameId(SOURCE, self.config.seed, unit)
        return self.renderer.render(scene, crop_view(view, square, self.config.size_px), frame_id)

    def _view(self, rng: Rng) -> tuple[Side, Array, Array, Camera]:
        """Side, rotation, middle of the joints ((mirrored) camera frame) and camera: a real hand's, or a scene's."""
        if self.real is not None:
            row = int(rng.integers(len(self.real)))
            size = int(self.real.size_px[row])
            side = SIDES[int(self.real.right[row])]
            return side, self.real.rotations[row, 0], self.real.centre_m[row], Camera(self.real.K[row], size, size)
        side, camera = SIDES[int(rng.integers(2))], sample_view(rng).camera
        viewpoint = sample_viewpoint(rng)
        depth = float(np.exp(rng.uniform(np.log(0.3), np.log(0.9))))
        share = rng.uniform(0.3, 0.7, 2) * (camera.width, camera.height)
        centre = depth * (np.linalg.inv(camera.K) @ np.array([*share, 1.0]))
        own = viewpoint.seen_by(side)
        return side, sample_hand_rotation(rng, own), centre if side == "right" else MIRROR @ centre, camera


def is_valid(report: Report) -> bool:
    """Whether a grasp meets the paper's three criteria: contact, little shared volume, no hand in itself."""
    return all(report.passed[name] for name in CHECKED)


def _posed(real: RealHands, row: int, change: Array) -> PosedHand:
    """A real hand's pose by a hand of another shape."""
    rotations = np.concatenate([np.eye(3)[None], real.rotations[row, 1:]])
    betas = np.clip(real.betas[row] + change, -3, 3)
    posed = skin(drawn_hand(), rotations, betas)
    wrist = posed.joints[0]
    return PosedHand(np.zeros((15, 3)), rotations, betas, posed.vertices - wrist, posed.joints - wrist)


def _placed(rng: Rng, draft: Draft, side: Side, T: Array) -> tuple[Hand, tuple[Thing, ...]]:
    """The hand in the scene with what it holds; its arm goes straight on, without clothes, which no condition shows."""
    behind = T[:3, 3] + _ELBOW_M * T[:3, 0]
    arm = aimed_arm(T, behind, np.array([0, 1.0, 0]))
    hand = place_hand(draft.posed, side, T, arm, Outfit(sample_skin(rng)))
    if draft.grasp is None:
        return hand, ()
    pose = T @ draft.grasp.T_hand_object
    thing = plain_thing(draft.grasp.solid, pose if side == "right" else mirror_thing_pose(pose), np.ones(3))
    held = replace(hand, grasp=True, displaced=True, contact=draft.grasp.contact, object_index=0)
    return held, (dress_thing(rng, thing),)


def open_creator(config: CreateConfig) -> Maker:
    """See `folders.Maker`."""
    creator = Creator(config)

    def make(units: range) -> Iterator[Made]:
        for unit in units:
            yield creator.condition(unit)

    return make


def create_conditions(out: Path, config: CreateConfig, count: int, engine: EngineOptions | None = None) -> Path:
    """Write conditions; goes on where it stopped, and may be raised to more.

    Raises:
        InvalidInput: the folder holds something else, or a number is not positive.
        AssetError: a library or a folder of real hands is missing, or has no grasps of an object.
        EngineError: drawing failed.
    """
    Creator(config)  # fail here, not in the processes
    return fill(
        FolderPlan(out, config.describe(), count, 64, "condition", Packing("none"), engine or EngineOptions()),
        partial(open_creator, config),
    )
