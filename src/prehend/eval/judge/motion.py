"""How steadily hands and objects are followed; none of it needs a truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from prehend.eval.answers import Answered, period_s
from prehend.eval.clips import ClipHand, clip_measures, hand_length_px, same_hands
from prehend.eval.judge.rows import Row
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.smoothing.held import wrist_pose
from prehend.types import FloatArray, HandEstimate

DEFAULT_FPS = 30.0
"""Of frames without stamps."""
_FEWEST = 3
"""Fewer poses of an object say nothing of its steadiness."""


@dataclass(frozen=True)
class Lost:
    """A hand that was followed, or is truly there, and has no answer for a while.

    Attributes:
        kind: "gap" between two answers, "unfound" where a true hand has none.
        who: the hand: its number among the followed ones, or its side.
        first, last: places of the frames.
        seconds: how long.
    """

    kind: str
    who: str
    first: int
    last: int
    seconds: float


def is_sequence(frames: Sequence[Answered]) -> bool:
    """Whether hands were followed: a track that two frames share."""
    seen: set[int] = set()
    for frame in frames:
        tracks = {hand.track_id for hand in frame.result.hands}
        if tracks & seen:
            return True
        seen |= tracks
    return False


def times_of(frames: Sequence[Answered]) -> list[float]:
    """Seconds of each frame since the first: of the stamps, or at 30 Hz where there are none."""
    stamps = [frame.stamp for frame in frames]
    if not stamps or any(stamp is None for stamp in stamps):
        return [place / DEFAULT_FPS for place in range(len(frames))]
    return [float(stamp) - float(stamps[0]) for stamp in stamps if stamp is not None and stamps[0] is not None]


def motion_measures(frames: Sequence[Answered]) -> dict[str, Any] | None:
    """See `clips.clip_measures`, with `acceleration_m_s2`: of the joints in space, median and 95th percentile over
    frames; None for frames in which nothing was followed."""
    if not is_sequence(frames):
        return None
    period = period_s(frames) or 1 / DEFAULT_FPS
    hands = _clip(frames)
    measures = clip_measures(hands, 1 / period)
    accelerations = [
        float(np.linalg.norm(_second(seen[k - 1], seen[k], seen[k + 1]), axis=-1).mean() / period**2)
        for seen in same_hands(hands, 1 / period)
        for k in sorted(seen)
        if k - 1 in seen and k + 1 in seen
    ]
    measures["acceleration_m_s2"] = spread(accelerations, 3)
    return measures


def frame_jitter(frames: Sequence[Answered]) -> dict[int, float]:
    """Mean over a frame's followed hands of the wrist's second difference [m], by the frame's place."""
    found: dict[int, list[float]] = {}
    clip = _clip(frames)
    for seen in same_hands(clip, 1 / (period_s(frames) or 1 / DEFAULT_FPS)) if is_sequence(frames) else ():
        for k in sorted(seen):
            if k - 1 in seen and k + 1 in seen:
                value = float(np.linalg.norm(_second(seen[k - 1], seen[k], seen[k + 1])[0]))
                if np.isfinite(value):
                    found.setdefault(k, []).append(value)
    return {place: float(np.mean(values)) for place, values in found.items()}


def lost_spans(frames: Sequence[Answered], rows: Sequence[Row]) -> list[Lost]:
    """Spans in which a followed hand has no answer, and those in which a true hand has none."""
    if not is_sequence(frames):
        return []
    times = times_of(frames)
    period = period_s(frames) or 1 / DEFAULT_FPS
    spans = []
    for number, seen in enumerate(same_hands(_clip(frames), 1 / period), 1):
        for before, after in pairwise(sorted(seen)):
            if after - before > 1:
                spans.append(Lost("gap", f"hand {number}", before + 1, after - 1, times[after] - times[before]))
    for who, labelled in channels(rows).items():
        for first, last in _runs([row.frame for row in labelled if row.kind == "missed"]):
            spans.append(Lost("unfound", who, first, last, times[last] - times[first] + period))
    return sorted(spans, key=lambda span: (span.first, span.kind, span.who))


def channels(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each true hand: by its side, or by its number in the frame where the side is unknown or not the only
    one."""
    labelled = [row for row in rows if row.is_labelled]
    doubled = {
        (row.frame, row.side) for row, other in pairwise(labelled) if (row.frame, row.side) == (other.frame, other.side)
    }
    by_side = not doubled and all(row.side is not None for row in labelled)
    found: dict[str, list[Row]] = {}
    for row in labelled:
        found.setdefault(str(row.side) if by_side else f"hand {row.hand + 1}", []).append(row)
    return found


def id_changes(rows: Iterable[Row]) -> int:
    """How often the track of a true hand changes from one answer to the next."""
    return sum(
        a.track_id != b.track_id
        for labelled in channels(rows).values()
        for a, b in pairwise([row for row in labelled if row.kind == "found"])
    )


def steadiness(frames: Sequence[Answered], rigid: bool) -> dict[str, Any]:
    """How much what should not move does.

    Args:
        frames: of the run.
        rigid: nothing in the scene moves, the camera neither.

    Returns:
        `held_object`: position and turn of each held object seen from the wrist that holds it, about their means while
        one track holds it (it moves with the hand); with `rigid` also `hands` and `objects`, about their means in the
        camera frame. Root mean square in mm and degrees, over all; None where there are too few.
    """
    in_hand: dict[tuple[int, str], list[FloatArray]] = {}
    objects: dict[tuple[int, str], list[FloatArray]] = {}
    hands: dict[int, list[FloatArray]] = {}
    for frame in frames:
        for hand in frame.result.hands:
            hands.setdefault(hand.track_id, []).append(np.asarray(hand.joints_m, np.float64))
            T = _held_pose(hand)
            if T is not None and hand.held_object is not None:
                key = (hand.track_id, hand.held_object.object_id)
                objects.setdefault(key, []).append(T)
                wrist = wrist_pose(np.asarray(hand.rotations), np.asarray(hand.joints_m))
                if np.isfinite(wrist).all():
                    in_hand.setdefault(key, []).append(np.linalg.inv(wrist) @ T)
    result: dict[str, Any] = {"held_object": _pose_spread(in_hand)}
    if rigid:
        result |= {"hands": _joint_spread(hands), "objects": _pose_spread(objects)}
    return result


def spread(values: Sequence[float], decimals: int) -> dict[str, float] | None:
    """Median and 95th percentile of what is finite, None for nothing."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    median, high = np.percentile(known, [50, 95])
    return {"median": round(float(median), decimals), "p95": round(float(high), decimals)}


def _held_pose(hand: HandEstimate) -> FloatArray | None:
    held = hand.held_object
    return None if held is None or hand.grasp.state != "grasping" else held.T_camera_object


def _pose_spread(groups: Mapping[Any, Sequence[FloatArray]]) -> dict[str, Any] | None:
    places, turns = [], []
    for poses in groups.values():
        if len(poses) < _FEWEST:
            continue
        T = np.array(poses)
        places.append(np.linalg.norm(T[:, :3, 3] - T[:, :3, 3].mean(0), axis=-1))
        u, _, v = np.linalg.svd(T[:, :3, :3].mean(0))  # the chordal mean
        middle = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
        turns.append(geodesic_angle(T[:, :3, :3], np.broadcast_to(middle, (len(T), 3, 3))))
    if not places:
        return None
    return {
        "poses": int(sum(map(len, places))),
        "rms_mm": round(1e3 * _rms(places), 2),
        "rms_deg": round(float(np.degrees(_rms(turns))), 2),
    }


def _joint_spread(tracks: Mapping[int, Sequence[FloatArray]]) -> dict[str, Any] | None:
    joints, wrists, count = [], [], 0
    for seen in tracks.values():
        points = np.array([one for one in seen if np.isfinite(one).all()])
        if len(points) < _FEWEST:
            continue
        count += len(points)
        away = np.linalg.norm(points - points.mean(0), axis=-1)
        joints.append(away.ravel())
        wrists.append(away[:, 0])
    if not joints:
        return None
    return {
        "answers": count,
        "joints_rms_mm": round(1e3 * _rms(joints), 2),
        "wrist_rms_mm": round(1e3 * _rms(wrists), 2),
    }


def _rms(parts: Sequence[Any]) -> float:
    values = np.concatenate([np.asarray(part, np.float64) for part in parts])
    return float(np.sqrt((values**2).mean()))


def _clip(frames: Sequence[Answered]) -> list[list[ClipHand]]:
    return [
        [
            ClipHand(
                hand.track_id,
                hand.side,
                float(hand.score),
                np.asarray(hand.keypoints_px),
                np.asarray(hand.joints_m),
                _length_px(hand, frame),
            )
            for hand in frame.result.hands
        ]
        for frame in frames
    ]


def _length_px(hand: HandEstimate, frame: Answered) -> float:
    length = hand_length_px(np.asarray(hand.joints_m), float(frame.result.camera.K[0, 0]))
    return length if np.isfinite(length) and length > 0 else max(hand.box_px.width, hand.box_px.height, 1.0)


def _second(before: ClipHand, now: ClipHand, after: ClipHand) -> FloatArray:
    return np.asarray(before.joints_m, np.float64) - 2 * np.asarray(now.joints_m) + np.asarray(after.joints_m)


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of numbers that follow each other."""
    spans: list[tuple[int, int]] = []
    for place in sorted(set(places)):
        if spans and place == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], place)
        else:
            spans.append((place, place))
    return spans
