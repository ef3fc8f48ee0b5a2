"""Measures of hands that are followed through a clip, which need no labels; and of two calibrated cameras."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.types import Box, FloatArray

SAME_PLACE_IOU = 0.3
"""A track that begins where another one ended not long ago follows the same hand."""

RETURN_S = 1.0
"""How long ago [s]."""

_MIDDLE_FINGER = (0, 9, 10, 11, 12)


@dataclass(frozen=True)
class ClipHand:
    """One hand of a frame.

    Attributes:
        track_id: stays the same while the hand is followed.
        side: left or right.
        score: that this is a hand.
        keypoints_px: (21, 2).
        joints_m: (21, 3) camera frame [m].
        length_px: of the whole hand, see `hand_length_px`.
    """

    track_id: int
    side: Side
    score: float
    keypoints_px: FloatArray
    joints_m: FloatArray
    length_px: float


Frames = Sequence[Sequence[ClipHand]]


def hand_length_px(joints_m: FloatArray, focal_px: float) -> float:
    """Length of a hand from wrist to the tip of the middle finger along the bones, as it would look unforeshortened.

    Args:
        joints_m: (21, 3) camera frame [m].
        focal_px: of the camera.
    """
    bones = np.linalg.norm(np.diff(np.asarray(joints_m, np.float64)[list(_MIDDLE_FINGER)], axis=0), axis=-1)
    return float(focal_px * bones.sum() / max(float(joints_m[0, 2]), 1e-6))


def clip_measures(frames: Frames, fps: float) -> dict[str, Any]:
    """What can be told of a clip without labels.

    Args:
        frames: hands of each frame, frames one after the other.
        fps: frames a second.

    Returns:
        `frames`; `frames_with_hands`, how many frames show 0, 1, 2, ... hands; `tracks`, how many track ids;
        `hands`, how many of them follow different hands (see `same_hands`); `side_changes` of a track, and
        `side_changes_of_hands` with those from a track to the one that takes over;
        `lost_share`, the share of frames between the first and the last of a hand in which it has no answer;
        `jitter_hand`, size of the keypoints' second difference in lengths of the hand, and `wrist_jitter_mm`, of the
        wrist in space: median and 95th percentile over frames. A moving hand has some of both.
    """
    tracks = _tracks(frames)
    hands = same_hands(frames, fps)
    counts = Counter(len(hands_of_frame) for hands_of_frame in frames)
    spans = [max(seen) - min(seen) + 1 for seen in hands]
    lost = sum(spans) - sum(len(seen) for seen in hands)
    return {
        "frames": len(frames),
        "frames_with_hands": {str(count): counts[count] for count in sorted(counts)},
        "tracks": len(tracks),
        "hands": len(hands),
        "side_changes": sum(side_changes(seen) for seen in tracks.values()),
        "side_changes_of_hands": sum(side_changes(seen) for seen in hands),
        "lost_share": round(lost / sum(spans), 4) if spans else None,
        "jitter_hand": _spread(_jitters(hands, _keypoint_jitter), 5),
        "wrist_jitter_mm": _spread(_jitters(hands, _wrist_jitter_mm), 2),
    }


def same_hands(frames: Frames, fps: float) -> list[dict[int, ClipHand]]:
    """Followed hands, each as frame -> answer; tracks that take over where another ended are joined.

    A track takes over from one that ended at most `RETURN_S` ago at the same place (`SAME_PLACE_IOU`); the one that
    overlaps most.
    """
    chains: list[dict[int, ClipHand]] = []
    for track in sorted(_tracks(frames).values(), key=min):
        earlier = _predecessor(chains, track, fps)
        if earlier is None:
            chains.append(dict(track))
        else:
            earlier.update(track)
    return chains


def side_changes(seen: Mapping[int, ClipHand]) -> int:
    """How often a followed hand is said to be the other one."""
    sides = [seen[index].side for index in sorted(seen)]
    return sum(a != b for a, b in pairwise(sides))


@dataclass(frozen=True)
class TrueHands:
    """Where hands truly are in some frames.

    Attributes:
        first, last: frames, both included.
        regions: around each hand, generous; none where there is no hand.
    """

    first: int
    last: int
    regions: tuple[Box, ...]


def false_hands(frames: Frames, truth: Sequence[TrueHands]) -> dict[str, Any]:
    """False hands in frames whose true hands are known.

    An answer is a hand if the middle of its keypoints' box lies in a region; each region has one.

    Returns:
        `frames` that are known, `frames_with_false_hands`, `false_hands`, `frames_with_missed_hands`.
    """
    known = with_false = false = missed = 0
    for index, hands in enumerate(frames):
        spans = [span for span in truth if span.first <= index <= span.last]
        if not spans:
            continue
        regions = [region for span in spans for region in span.regions]
        right = _right_answers(hands, regions)
        known += 1
        false += len(hands) - right
        with_false += len(hands) > right
        missed += right < len(regions)
    return {
        "frames": known,
        "frames_with_false_hands": with_false,
        "false_hands": false,
        "frames_with_missed_hands": missed,
    }


def stereo_unit_m(first: Frames, second: Frames, T_first_world: FloatArray, T_second_world: FloatArray) -> float | None:
    """The unit of a calibration whose unit nobody knows [m]: the one in which the wrists of both cameras fit best.

    A calibration with a board of unknown squares tells directions and ratios alone. Each frame in which both see a hand
    gives one unit, of its surest hands, in which the wrists are nearest; the median counts. What both cameras get wrong
    by the same factor is then not seen.

    Args:
        first, second: see `stereo_distances`.
        T_first_world, T_second_world: (4, 4) with translations in the unknown unit.

    Returns:
        None where no frame tells.
    """
    R = [np.asarray(T, np.float64)[:3, :3] for T in (T_first_world, T_second_world)]
    apart = R[0].T @ T_first_world[:3, 3] - R[1].T @ T_second_world[:3, 3]
    units = []
    for one, other in zip(first, second, strict=False):
        if one and other:
            a, b = (max(hands, key=lambda hand: hand.score).joints_m[0] for hands in (one, other))
            units.append(float((R[0].T @ a - R[1].T @ b) @ apart / (apart @ apart)))
    unit = float(np.median(units)) if units else 0.0
    return unit if unit > 0 else None


def stereo_distances(
    first: Frames, second: Frames, T_first_world: FloatArray, T_second_world: FloatArray
) -> dict[str, Any]:
    """How far two calibrated cameras disagree about the same hands.

    Args:
        first, second: frames of two clips that were taken at the same times.
        T_first_world, T_second_world: (4, 4) from the world to each camera [m].

    Returns:
        `frames`, `both`: frames in which both see a hand; `joints_mm`: mean distance of the 21 joints in the world
        frame of the pair of hands that agrees best, `wrist_mm`, `aligned_wrist_mm`: joints with wrist on wrist; median
        and 95th percentile over frames.
    """
    to_world = [np.linalg.inv(np.asarray(T, np.float64)) for T in (T_first_world, T_second_world)]
    joints, wrists, relative = [], [], []
    for one, other in zip(first, second, strict=False):
        pairs = [(_moved(to_world[0], a.joints_m), _moved(to_world[1], b.joints_m)) for a in one for b in other]
        if not pairs:
            continue
        a, b = min(pairs, key=lambda pair: float(np.linalg.norm(pair[0] - pair[1], axis=-1).mean()))
        joints.append(1e3 * float(np.linalg.norm(a - b, axis=-1).mean()))
        wrists.append(1e3 * float(np.linalg.norm(a[0] - b[0])))
        relative.append(1e3 * float(np.linalg.norm((a - a[0]) - (b - b[0]), axis=-1).mean()))
    return {
        "frames": min(len(first), len(second)),
        "both": len(joints),
        "joints_mm": _spread(joints, 1),
        "wrist_mm": _spread(wrists, 1),
        "aligned_wrist_mm": _spread(relative, 1),
    }


def _tracks(frames: Frames) -> dict[int, dict[int, ClipHand]]:
    """Track id -> frame -> answer."""
    tracks: dict[int, dict[int, ClipHand]] = defaultdict(dict)
    for index, hands in enumerate(frames):
        for hand in hands:
            tracks[hand.track_id][index] = hand
    return tracks


def _predecessor(
    chains: Iterable[dict[int, ClipHand]], track: Mapping[int, ClipHand], fps: float
) -> dict[int, ClipHand] | None:
    begin = min(track)
    box = Box.around(np.asarray(track[begin].keypoints_px))
    best, overlap = None, SAME_PLACE_IOU
    for chain in chains:
        end = max(chain)
        if not 0 < begin - end <= RETURN_S * fps:
            continue
        iou = Box.around(np.asarray(chain[end].keypoints_px)).iou(box)
        if iou >= overlap:
            best, overlap = chain, iou
    return best


def _right_answers(hands: Sequence[ClipHand], regions: Sequence[Box]) -> int:
    """How many answers are hands: each region takes one, the most certain first."""
    free = list(regions)
    for hand in sorted(hands, key=lambda hand: -hand.score):
        x, y = Box.around(np.asarray(hand.keypoints_px)).center
        region = next((box for box in free if box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1), None)
        if region is not None:
            free.remove(region)
    return len(regions) - len(free)


def _jitters(hands: Iterable[Mapping[int, ClipHand]], measure: Any) -> list[float]:
    """Of every three frames in a row in which a hand has an answer."""
    return [
        measure(seen[index - 1], seen[index], seen[index + 1])
        for seen in hands
        for index in sorted(seen)
        if index - 1 in seen and index + 1 in seen
    ]


def _keypoint_jitter(before: ClipHand, now: ClipHand, after: ClipHand) -> float:
    second = _second_difference(before.keypoints_px, now.keypoints_px, after.keypoints_px)
    return float(np.linalg.norm(second, axis=-1).mean() / now.length_px)


def _wrist_jitter_mm(before: ClipHand, now: ClipHand, after: ClipHand) -> float:
    return 1e3 * float(np.linalg.norm(_second_difference(*(hand.joints_m[0] for hand in (before, now, after)))))


def _second_difference(before: FloatArray, now: FloatArray, after: FloatArray) -> NDArray[np.float64]:
    return np.asarray(before, np.float64) - 2 * np.asarray(now, np.float64) + np.asarray(after, np.float64)


def _moved(T_world_camera: FloatArray, joints_m: FloatArray) -> NDArray[np.float64]:
    return np.asarray(joints_m @ T_world_camera[:3, :3].T + T_world_camera[:3, 3])


def _spread(values: Sequence[float], decimals: int) -> dict[str, float] | None:
    if not values:
        return None
    median, high = np.percentile(values, [50, 95])
    return {"median": round(float(median), decimals), "p95": round(float(high), decimals)}
