"""One image with everything known about it: the typed sample of training, evaluation and viewing.

Renderings and readers of real datasets give the same type; what a dataset does not have is None.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import FINGERS, Side
from prehend.errors import InvalidInput
from prehend.types import Camera, FloatArray

HAND_PARTS = (*FINGERS, "palm")
"""Parts of a hand whose visibility and contact are told."""
PART_OF_JOINT = (5, 1, 1, 1, 2, 2, 2, 4, 4, 4, 3, 3, 3, 0, 0, 0)
"""Number in `HAND_PARTS` of what each of MANO's 16 joints moves."""
HAND_CODE, OBJECT_CODE, OTHER_CODE = 1, 101, 255
"""Numbers in a segmentation: `HAND_CODE + i` is `hands[i]` with its arm and clothes, `OBJECT_CODE + k` is `objects[k]`,
`OTHER_CODE` any other object in front, 0 the background."""

OcclusionRule = Literal["paper", "script"]
HIDDEN_SHARE = 50 / 120
"""More of a part than this is hidden in an occluded one, by H2ONet's paper: 50 vertices of about 120."""


@dataclass(frozen=True)
class ObjectLabel:
    """A rigid object whose pose is known.

    Attributes:
        object_id: name in the catalogue (or of the dataset's model).
        T_camera_object: (4, 4) pose.
        extents_m, center_m: (3,) size and centre of the model's axis-aligned box in the object frame.
        control_points_m: (21, 3) in the camera frame, order of `prehend.geometry.control_points.control_points`.
        keypoints_px: (21, 2) their projections.
        box_px: (4,) box of the projections.
    """

    object_id: str
    T_camera_object: FloatArray
    extents_m: FloatArray
    center_m: FloatArray
    control_points_m: FloatArray
    keypoints_px: FloatArray
    box_px: FloatArray


@dataclass(frozen=True)
class HandLabel:
    """A hand, as it is (a left hand is a left hand here).

    Attributes:
        side: left or right; where `side_known` is False it means nothing.
        rotations: (16, 3, 3) of the hand model of that side, MANO's order; the first takes the hand to the camera
            frame. None for a dataset's hand whose MANO file nobody gave.
        betas: (10,) shape, None where unknown.
        joints_m: (21, 3) camera frame; NaN where unknown.
        vertices_m: (V, 3) camera frame, hand without forearm; V is 0 where there is no mesh.
        keypoints_px: (21, 2) projections of the joints; NaN where unknown (`has_keypoints`).
        box_px: (4,) tight box of the joints; where these are unknown a box of the hand.
        visible: (21,) bool: in the image and not hidden by anything (the hand's own skin over the joint is no
            hindrance).
        visible_ratio: visible pixels of the hand over the pixels it would cover alone (0..1), NaN where unknown.
        part_vertices: (6,) int, vertices of each of `HAND_PARTS`; all 0 where their visibility is unknown.
        part_visible: (6,) int, those of them at whose place the image shows their part (H2ONet, section 3.2: another
            part of the hand hides them, their own does not).
        grasp: the object moves with the hand: displaced and in contact. None where a dataset does not tell.
        displaced: the papers' rule: the object left the pose it had in the sequence's first frame by more than
            5 degrees or 10 mm (HandBooster); in a single rendered image the same as `grasp`. None where unknown.
        contact: (6,) bool, the parts of the hand that touch the object; None where unknown (no dataset tells).
        object_index: number in `Sample.objects` of what the hand holds or touches, None for nothing.
        side_known: False for a hand of a photograph of which nobody says the side.
    """

    side: Side
    rotations: FloatArray | None
    betas: FloatArray | None
    joints_m: FloatArray
    vertices_m: FloatArray
    keypoints_px: FloatArray
    box_px: FloatArray
    visible: NDArray[np.bool_]
    visible_ratio: float
    part_vertices: NDArray[np.int64]
    part_visible: NDArray[np.int64]
    grasp: bool | None
    displaced: bool | None
    contact: NDArray[np.bool_] | None
    object_index: int | None
    side_known: bool = True

    @property
    def has_joints(self) -> bool:
        """Whether the joints' places in space are known."""
        return bool(np.isfinite(self.joints_m).all())

    @property
    def has_keypoints(self) -> bool:
        """Whether the joints' places in the image are known."""
        return bool(np.isfinite(self.keypoints_px).all())

    def occluded_parts(self, rule: OcclusionRule) -> NDArray[np.bool_]:
        """(6,) which parts count as occluded in H2ONet's sense.

        MANO's fingers have about 120 vertices; the thresholds are scaled to the number that ours have. "paper": more
        than 50 vertices hidden (section 3.2); "script": less than 30 visible (as in the released preprocessing).

        Raises:
            InvalidInput: the visibility of the parts is unknown.
        """
        if not self.part_vertices.any():
            raise InvalidInput("the visibility of this hand's parts is unknown: it has no mesh or no segmentation")
        total, seen = self.part_vertices.astype(float), self.part_visible.astype(float)
        if rule == "paper":
            return np.asarray(total - seen > HIDDEN_SHARE * total)
        return np.asarray(seen < 30 / 120 * total)

    def is_occluded(self, rule: OcclusionRule) -> bool:
        """Whether the whole hand counts as occluded: under 50 % visible ("paper"), under 40 % ("script").

        Raises:
            InvalidInput: `visible_ratio` is unknown.
        """
        if np.isnan(self.visible_ratio):
            raise InvalidInput("the visible ratio of this hand is unknown: it has no mesh or no segmentation")
        return self.visible_ratio < {"paper": 0.5, "script": 0.4}[rule]


@dataclass(frozen=True)
class Maps:
    """Labels of every pixel that only renderings have, all as large as the image; None for what was not kept.

    Attributes:
        deoccluded: (H, W, 3) uint8: the twin, the same image with the objects of `Sample.objects` gone and nothing
            else changed (camera, light, noise, background).
        hand_amodal: (N, H, W) bool, where each hand (without its arm) would be seen alone.
        object_amodal: (M, H, W) bool, the same for each object.
        depth_m: (H, W) float32 along the optical axis, 0 where there is only background.
        sensor_depth_mm: (H, W) uint16 as a stereo depth camera (RealSense) gives it, aligned to the image; 0 for no
            measurement.
        normals: (H, W, 3) int8, 127 times the unit normal in the camera frame, 0 for background.
        albedo: (H, W, 3) uint8 colour without light, sRGB-like (square root), 0 for background.
    """

    deoccluded: NDArray[np.uint8]
    hand_amodal: NDArray[np.bool_]
    object_amodal: NDArray[np.bool_] | None = None
    depth_m: NDArray[np.float32] | None = None
    sensor_depth_mm: NDArray[np.uint16] | None = None
    normals: NDArray[np.int8] | None = None
    albedo: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class FrameId:
    """Which image it is; equal in all but `view` for images taken at the same instant.

    Attributes:
        source: "scenes", or the dataset.
        seed, index: a rendered image comes from these two alone; for a dataset the index of the frame.
        sequence: name of the sequence, empty for single images.
        frame: number in the sequence.
        view: name of the camera.
    """

    source: str
    seed: int
    index: int
    sequence: str = ""
    frame: int = 0
    view: str = "cam0"


@dataclass(frozen=True)
class Film:
    """Images that one camera took one after the other.

    Attributes:
        rows: their numbers in what holds them.
        times_s: (N,) when they were taken, rising, from any origin.
    """

    rows: tuple[int, ...]
    times_s: FloatArray


@dataclass(frozen=True)
class Sample:
    """An image and its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        segmentation: (H, W) uint8, see `HAND_CODE`; None where a dataset has none.
        camera: intrinsics of this image (crops have theirs: the principal point is then off the centre).
        T_camera_world: (4, 4); the same world for all views of an instant and all frames of a sequence.
        hands: labels.
        objects: objects whose pose is known, held or not.
        maps: labels of every pixel, None for datasets.
        frame_id: which image it is.
    """

    image: NDArray[np.uint8]
    segmentation: NDArray[np.uint8] | None
    camera: Camera
    T_camera_world: FloatArray
    hands: tuple[HandLabel, ...]
    objects: tuple[ObjectLabel, ...]
    maps: Maps | None
    frame_id: FrameId

    def held(self, hand: HandLabel) -> ObjectLabel | None:
        """What a hand of this image grasps, None for an empty hand."""
        return self.objects[hand.object_index] if hand.grasp and hand.object_index is not None else None
