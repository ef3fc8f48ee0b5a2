"""From the network's answer for a crop to a hand in metres, in the frame of the camera."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend.geometry.camera import rotation_camera_crop
from prehend.geometry.root import RootFit, fit_residual, fit_root
from prehend.hand_model.model import HandModel
from prehend.hand_model.skeleton import Posture
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.border import border_trust, is_inside
from prehend.pipeline.crops.crop import CropSpec, from_box
from prehend.pipeline.frames.targets import NoHand
from prehend.pipeline.networks.base import NetworkAnswer
from prehend.pipeline.networks.pose_refine import PosePrior, of_side, refine_pose
from prehend.types import Camera, FloatArray

MIN_WEIGHT = 0.1
"""Weight of a hidden joint in the metric fit: its keypoint is a guess, but better than none."""

DISAGREES = 3.0
"""What several frames say is believed while it lies no farther from this image's keypoints than so many times what this
image says alone."""

_ROTATION_TOLERANCE = 1e-2


@dataclass(frozen=True)
class DecodedHand:
    """A hand in the camera frame; fields as in `types.HandEstimate`, whether depth measured its distance, `misfit_px`:
    `fit_error_px` of the network's own pose by this image alone, which tells hands from what are none, and `prior`:
    the pose before keypoints refined it, where it is known how far it errs. `joint_std_m` is None but of hands that
    depth measured."""

    keypoints_px: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    rotations: FloatArray
    betas: FloatArray
    visible: NDArray[np.bool_]
    fit_error_px: float
    position_std_m: float
    keypoint_std_px: FloatArray | None = None
    measured: bool = False
    misfit_px: float = float("nan")
    prior: PosePrior | None = None
    joint_std_m: FloatArray | None = None

    def moved_away(self, factor: float) -> "DecodedHand":
        """The hand at another distance, along the viewing ray through the middle of its joints."""
        if factor == 1:
            return self
        shift = (factor - 1) * self.joints_m.mean(0)
        vertices = (self.vertices_m + shift).astype(np.float32)
        return replace(self, joints_m=self.joints_m + shift, vertices_m=vertices)


def decode_hand(
    answer: NetworkAnswer, spec: CropSpec, camera: Camera, model: HandModel, mesh: bool = True
) -> DecodedHand | NoHand:
    """Undo crop and mirror, pose the hand model, and find its place in metres.

    Args:
        answer: of the network, in the crop.
        spec: of the crop.
        camera: of the image.
        model: of the hand's side, without forearm.
        mesh: False leaves `vertices_m` empty: the hand is posed anew when it is smoothed.
    """
    one = answer if answer.alone is None else answer._replace(**answer.alone._asdict())
    numbers = (answer.keypoints, answer.visibility, answer.keypoint_std)
    poses = (answer.rotations, answer.betas, one.rotations, one.betas)
    if not all(np.isfinite(array).all() for array in (*numbers, *poses) if array is not None):
        return NoHand("not_finite")
    if answer.mesh is not None and not np.isfinite(answer.mesh.joints).all():
        return NoHand("not_finite")
    keypoints = spec.to_image(from_box(answer.keypoints, spec.hand_box))
    refines = answer.pose_covariance is not None and answer.keypoint_std is not None and answer.mesh is None
    size = (camera.width, camera.height)
    weights = np.clip(answer.visibility, MIN_WEIGHT, 1.0) * border_trust(keypoints, size)
    std_px = _std_px(answer, spec)
    seen = _CropSight(spec, camera, model, keypoints, weights, std_px, mesh and not refines)
    alone = _placed(one, seen)
    if isinstance(alone, NoHand):
        return alone
    placed = alone if answer is one else _placed(answer, seen)
    if isinstance(placed, NoHand) or placed.fit.residual_px > DISAGREES * alone.fit.residual_px:
        placed = alone
    answer, rotations, posed, shift, fit = placed
    prior: PosePrior | None = None
    error_px = fit.residual_px
    if refines:
        assert answer.pose_covariance is not None
        prior = PosePrior(rotations, of_side(answer.pose_covariance, model.side))
        start = Posture(rotations, np.asarray(answer.betas, np.float64), shift)
        refined = _refined(start, posed.joints + shift, keypoints, std_px, camera, answer, model.side) or start
        rotations, shift = refined.rotations, refined.translation_m
        posed = _posed(answer, rotations, spec, camera, model, mesh)
        error_px = fit_residual(posed.joints + shift, keypoints, camera, weights)
    return DecodedHand(
        keypoints_px=keypoints,
        joints_m=posed.joints + shift,
        vertices_m=(posed.vertices + shift).astype(np.float32),
        rotations=rotations,
        betas=answer.betas,
        visible=is_inside(keypoints, size) & (answer.visibility > 0.5),
        fit_error_px=error_px,
        misfit_px=alone.fit.residual_px,
        # with an assumed focal length the distance is off by an unknown factor
        position_std_m=float("nan") if camera.estimated else fit.std_m,
        keypoint_std_px=std_px,
        prior=prior,
    )


class _CropSight(NamedTuple):
    """What a crop is decoded with: its keypoints (21, 2) in the image [px], their weights (21,) and standard deviations
    (21,) [px] or None, whether vertices are needed; else as of `decode_hand`."""

    spec: CropSpec
    camera: Camera
    model: HandModel
    keypoints: FloatArray
    weights: FloatArray
    std_px: FloatArray | None
    mesh: bool


class _PlacedPose(NamedTuple):
    """An answer, its rotations (16, 3, 3) in the camera frame, the hand in that pose, what to add to its joints [m],
    and how these fit to the keypoints."""

    answer: NetworkAnswer
    rotations: FloatArray
    posed: "_Posed"
    shift: FloatArray
    fit: RootFit


def _placed(answer: NetworkAnswer, seen: _CropSight) -> _PlacedPose | NoHand:
    """The pose of an answer where its joints fall on the keypoints, or why it has no place."""
    rotations = rotations_in_camera(answer.rotations, seen.spec, seen.camera)
    off = np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max()
    if off > _ROTATION_TOLERANCE or np.linalg.det(rotations).min() < 0:
        return NoHand("bad_rotation")
    posed = _posed(answer, rotations, seen.spec, seen.camera, seen.model, seen.mesh)
    root = posed.joints[0].astype(np.float64)
    fit = fit_root(posed.joints - root, seen.keypoints, seen.camera, seen.weights, seen.std_px)
    if fit is None:
        return NoHand("no_position")
    return _PlacedPose(answer, rotations, posed, fit.translation_m - root, fit)


def _refined(
    start: Posture,
    joints_m: FloatArray,
    keypoints: FloatArray,
    std_px: FloatArray | None,
    camera: Camera,
    answer: NetworkAnswer,
    side: Side,
) -> Posture | None:
    """The pose that goes best with the keypoints, those near the border for less."""
    assert answer.pose_covariance is not None and std_px is not None
    std = std_px / np.sqrt(border_trust(keypoints, (camera.width, camera.height)))
    return refine_pose(start, joints_m, keypoints, std, camera, side, answer.pose_covariance)


class _Posed(NamedTuple):
    """Vertices (V, 3) and joints (21, 3) in the camera's directions, at any place [m]."""

    vertices: FloatArray
    joints: FloatArray


def _posed(
    answer: NetworkAnswer, rotations: FloatArray, spec: CropSpec, camera: Camera, model: HandModel, mesh: bool
) -> _Posed:
    """The network's own mesh, or else the hand model's with the network's pose and shape."""
    if answer.mesh is None:
        posed = skin(model, rotations, answer.betas, mesh=mesh)
        return _Posed(posed.vertices, posed.joints)
    turn = crop_to_camera(spec, camera)
    if spec.mirrored:  # a mirrored crop's frame belongs to the mirrored camera
        turn = MIRROR @ turn
    return _Posed(answer.mesh.vertices @ turn.T, answer.mesh.joints @ turn.T)


def crop_to_camera(spec: CropSpec, camera: Camera) -> FloatArray:
    """(3, 3) from the frame of a crop to the camera's; of a mirrored crop to the mirrored camera's."""
    turn = rotation_camera_crop(spec.center_px, camera, spec.turn_rad)
    return MIRROR @ turn @ MIRROR if spec.mirrored else turn


def _std_px(answer: NetworkAnswer, spec: CropSpec) -> FloatArray | None:
    """(21,) standard deviations of the keypoints in the image [px], None where the network does not tell them."""
    if answer.keypoint_std is None:
        return None
    width, height = spec.hand_box[2:] - spec.hand_box[:2]
    return np.asarray(answer.keypoint_std, np.float64) * max(float(width), float(height)) / spec.scale


def rotations_in_camera(rotations: FloatArray, spec: CropSpec, camera: Camera) -> FloatArray:
    """(16, 3, 3) of the network -> (16, 3, 3) float64 of the hand's own side, the first from hand to camera frame.

    A mirrored crop is the crop of the mirrored image, whose virtual camera is the mirror image of ours; hence the
    mirror is undone first.
    """
    rotations = np.asarray(rotations, np.float64)
    if spec.mirrored:
        rotations = MIRROR @ rotations @ MIRROR
    turned = rotation_camera_crop(spec.center_px, camera, spec.turn_rad) @ rotations[0]
    return np.concatenate([turned[None], rotations[1:]])
