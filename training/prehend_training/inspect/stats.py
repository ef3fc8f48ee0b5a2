"""What a folder of samples holds, as numbers: one table row a hand or an image, and a summary of all."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.conventions import MANO_JOINT_NAMES, NUM_BETAS, NUM_MANO_JOINTS
from prehend.errors import InvalidInput
from prehend.hand_model import load_hand_model
from prehend_training.assets.poses import matrix_axis_angle
from prehend_training.data.pixels.draws import LUMA
from prehend_training.sample import HAND_CODE, HAND_PARTS, HandLabel, OcclusionRule, Sample
from prehend_training.storage.shards import ShardFolder

RULES: tuple[OcclusionRule, ...] = ("paper", "script")
JOINTS = MANO_JOINT_NAMES[1:]
"""The 15 finger joints."""
_BURNT = 250
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_MIDDLE_CHAIN = (0, 9, 10, 11, 12)
"""Joints from the wrist to the tip of the middle finger."""


@dataclass(frozen=True)
class SampleStats:
    """Columns of equal length: of N hands, or of P images. What a sample does not tell is NaN.

    Attributes:
        hands: of each hand. flexion_deg, abduction_deg, twist_deg (N, 15); betas (N, 10); length_mm: wrist to the tip
            of the middle finger along the bones; palm (N, 3): where the palm points, camera frame; visible_ratio;
            part_visible (N, 6) share of vertices seen; occluded_paper, occluded_script: the hand's; parts_paper,
            parts_script (N, 6); grasp, displaced, touching; contact (N, 6); right; distance_m of the wrist; size_px:
            longer side of its box; skin_luma: median brightness 0..1 of its visible skin, NaN where none is seen.
        pictures: of each image. hands, objects: how many; brightness: mean 0..1; burnt: share of white pixels.
        object_ids: how often each object appears.
        held_ids: how often each is held.
    """

    hands: dict[str, NDArray[Any]]
    pictures: dict[str, NDArray[Any]]
    object_ids: Counter[str]
    held_ids: Counter[str]


def collect(folder: ShardFolder, limit: int | None = None) -> SampleStats:
    """The table of a folder, or of at most `limit` of its images, evenly spread.

    Raises:
        InvalidInput: there is no image.
    """
    count = min(len(folder), limit or len(folder))
    if count <= 0:
        raise InvalidInput(f"{folder.path} holds no image")
    hands: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    object_ids: Counter[str] = Counter()
    held_ids: Counter[str] = Counter()
    for index in tqdm(np.linspace(0, len(folder) - 1, count).astype(int), unit="picture"):
        sample = folder.sample(int(index), maps="twin")
        pictures.append(_picture_row(sample))
        hands += [_hand_row(sample, k, hand) for k, hand in enumerate(sample.hands)]
        object_ids.update(thing.object_id for thing in sample.objects)
        held_ids.update(held.object_id for hand in sample.hands if (held := sample.held(hand)) is not None)
    return SampleStats(_columns(hands), _columns(pictures), object_ids, held_ids)


def _columns(rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _picture_row(sample: Sample) -> dict[str, Any]:
    return {
        "hands": len(sample.hands),
        "objects": len(sample.objects),
        "brightness": float((sample.image @ LUMA).mean()) / 255,
        "burnt": float((sample.image.min(-1) >= _BURNT).mean()),
    }


def _hand_row(sample: Sample, k: int, hand: HandLabel) -> dict[str, Any]:
    flexion, abduction, twist = np.rad2deg(joint_angles(hand)).T
    chain = hand.joints_m[list(_MIDDLE_CHAIN)]
    box, parts = np.asarray(hand.box_px), hand.part_vertices.any()
    unknown = np.full(len(HAND_PARTS), np.nan)
    known_ratio = not np.isnan(hand.visible_ratio)
    return {
        "flexion_deg": flexion,
        "abduction_deg": abduction,
        "twist_deg": twist,
        "betas": np.full(NUM_BETAS, np.nan) if hand.betas is None else hand.betas,
        "length_mm": 1000 * np.linalg.norm(np.diff(chain, axis=0), axis=1).sum(),
        "palm": palm_direction(hand),
        "visible_ratio": hand.visible_ratio,
        "part_visible": hand.part_visible / np.maximum(hand.part_vertices, 1) if parts else unknown,
        **{f"occluded_{rule}": float(hand.is_occluded(rule)) if known_ratio else np.nan for rule in RULES},
        **{f"parts_{rule}": hand.occluded_parts(rule).astype(float) if parts else unknown for rule in RULES},
        "grasp": np.nan if hand.grasp is None else float(hand.grasp),
        "displaced": np.nan if hand.displaced is None else float(hand.displaced),
        "touching": np.nan if hand.contact is None else float(hand.contact.any()),
        "contact": unknown if hand.contact is None else hand.contact.astype(float),
        "right": float(hand.side == "right") if hand.side_known else np.nan,
        "distance_m": hand.joints_m[0, 2],
        "size_px": max(box[2] - box[0], box[3] - box[1]),
        "skin_luma": _skin_luma(sample, k),
    }


def joint_angles(hand: HandLabel) -> NDArray[np.float64]:
    """(15, 3) flexion, abduction and twist [rad] of the finger joints, NaN where the pose is unknown: the turn's vector
    along the joint's axes, which is exact for turns about one of them."""
    if hand.rotations is None:
        return np.full((NUM_MANO_JOINTS - 1, 3), np.nan)
    model = load_hand_model(side=hand.side)
    axes = np.stack([np.asarray(a) for a in (model.flexion_axes, model.abduction_axes, model.twist_axes)], 1)
    return (axes @ matrix_axis_angle(hand.rotations[1:])[..., None])[..., 0]


def palm_direction(hand: HandLabel) -> NDArray[np.float64]:
    """(3,) unit vector out of the palm in the camera frame, from the wrist and the knuckles of index and little
    finger."""
    wrist, index, little = (np.asarray(hand.joints_m[joint], np.float64) for joint in (0, 5, 17))
    normal = np.cross(index - wrist, little - wrist)
    normal = -normal if hand.side == "left" else normal
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-9))


def _skin_luma(sample: Sample, k: int) -> float:
    """Where the outline of the hand alone is unknown its sleeve counts too."""
    if sample.segmentation is None:
        return float("nan")
    seen = sample.segmentation == HAND_CODE + k
    if sample.maps is not None:
        seen = seen & sample.maps.hand_amodal[k]
    return float(np.median(sample.image[seen] @ LUMA)) / 255 if seen.any() else float("nan")


def summary(table: SampleStats) -> dict[str, Any]:
    """The table in few numbers, as JSON."""
    hands, pictures = table.hands, table.pictures
    result: dict[str, Any] = {
        "pictures": len(pictures["hands"]),
        "hands": int(pictures["hands"].sum()),
        "hands_a_picture": _counts(pictures["hands"]),
        "objects_a_picture": _counts(pictures["objects"]),
        "brightness": _spread(pictures["brightness"]),
        "burnt_share": _spread(pictures["burnt"]),
        "objects": dict(table.object_ids.most_common()),
        "held": dict(table.held_ids.most_common()),
    }
    if not hands:
        return result
    for name in ("length_mm", "visible_ratio", "distance_m", "size_px", "skin_luma"):
        result[name] = _spread(hands[name])
    for name in ("right", "grasp", "displaced", "touching", "occluded_paper", "occluded_script"):
        result[f"{name}_share"] = share(hands[name])
    for name in ("contact", "parts_paper", "parts_script", "part_visible"):
        result[f"{name}_share"] = {part: share(hands[name][:, k]) for k, part in enumerate(HAND_PARTS)}
    result["flexion_deg"] = {
        joint: _spread(angles) for joint, angles in zip(JOINTS, hands["flexion_deg"].T, strict=True)
    }
    result["betas"] = [_spread(values) for values in hands["betas"].T]
    away = hands["palm"][:, 2]
    result["palm_towards_camera_share"] = share(np.where(np.isfinite(away), away < 0, np.nan))
    return result


def _counts(values: NDArray[Any]) -> dict[str, int]:
    return {str(value): int(count) for value, count in zip(*np.unique(values, return_counts=True), strict=True)}


def share(values: NDArray[np.float64]) -> float | None:
    """Mean of what is known, None where nothing is."""
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 4) if len(known) else None


def _spread(values: NDArray[Any]) -> dict[str, float] | None:
    """Mean and percentiles of what is known."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    points = zip(_PERCENTILES, np.percentile(known, _PERCENTILES), strict=True)
    return {"mean": round(float(known.mean()), 4), **{f"p{at}": round(float(value), 4) for at, value in points}}
