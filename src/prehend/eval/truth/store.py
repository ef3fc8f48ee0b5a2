"""The file that keeps a run's truth beside its predictions (`prehend.truth/1`): so it can be judged again alone."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from prehend.conventions import NUM_JOINTS, SIDES, Side
from prehend.documents import read_json
from prehend.errors import SourceError
from prehend.eval.answers import Answered
from prehend.eval.truth.records import GraspMark, TrueFrame, TrueHand, TrueObject, unknown_points
from prehend.types import Box, FloatArray

SCHEMA = "prehend.truth/1"

Stored = tuple[str, int, float | None, TrueFrame]


def truth_text(frames: Iterable[tuple[Answered, TrueFrame | None]]) -> str:
    """What is known of frames as JSON, a line a frame."""
    lines = [
        json.dumps(
            {"source": frame.source, "index": frame.index, "stamp": frame.stamp, **_record(known)},
            separators=(",", ":"),
        )
        for frame, known in frames
        if known is not None
    ]
    body = ",\n".join(lines)
    return f'{{"schema": "{SCHEMA}", "frames": [\n{body}\n]}}\n'


def read_truth(path: Path) -> list[Stored]:
    """Read it again: source, index, stamp and what is known of each frame.

    Raises:
        SourceError: it is missing or damaged.
    """
    content = read_json(path, limit=8 << 30)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or not isinstance(content.get("frames"), list):
        raise SourceError(f"{path}: expected schema '{SCHEMA}' with 'frames'")
    frames = []
    for row, entry in enumerate(content["frames"]):
        try:
            stamp = None if entry["stamp"] is None else float(entry["stamp"])
            frames.append((str(entry["source"]), int(entry["index"]), stamp, _frame(entry)))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise SourceError(f"{path}: frame {row} is damaged ({type(error).__name__}: {error})") from error
    return frames


def _record(known: TrueFrame) -> dict[str, Any]:
    return {
        "complete": known.complete,
        "hands": [_hand_record(hand) for hand in known.hands],
        "objects": [_object_record(thing) for thing in known.objects],
        "marks": [{"side": mark.side, "grasp": mark.grasp} for mark in known.marks],
        "size": known.size,
    }


def _hand_record(hand: TrueHand) -> dict[str, Any]:
    box = hand.box_px
    return {
        "side": hand.side,
        "joints_m": _rows(hand.joints_m, 6),
        "keypoints_px": _rows(hand.keypoints_px, 3),
        "box_px": None if box is None else [box.x0, box.y0, box.x1, box.y1],
        "grasp": hand.grasp,
        "held": None if hand.held is None else _object_record(hand.held),
    }


def _object_record(thing: TrueObject) -> dict[str, Any]:
    return {"id": thing.object_id, "T_camera_object": np.asarray(thing.T_camera_object, np.float64).tolist()}


def _rows(points: FloatArray, decimals: int) -> list[list[float] | None] | None:
    """Points, null for those that are unknown, and for all where all are."""
    known = np.asarray(np.isfinite(points).all(-1))
    if not known.any():
        return None
    rows = np.round(np.asarray(points, np.float64), decimals).tolist()
    return [row if there else None for row, there in zip(rows, known, strict=True)]


def _frame(entry: Any) -> TrueFrame:
    size = entry.get("size")
    return TrueFrame(
        tuple(_hand(one) for one in entry["hands"]),
        bool(entry["complete"]),
        tuple(_object(one) for one in entry["objects"]),
        tuple(GraspMark(_side(one["side"]), bool(one["grasp"])) for one in entry["marks"]),
        None if size is None else (int(size[0]), int(size[1])),
    )


def _hand(entry: Any) -> TrueHand:
    box, grasp, held = entry["box_px"], entry["grasp"], entry["held"]
    return TrueHand(
        _side(entry["side"]),
        _points(entry["joints_m"], 3),
        _points(entry["keypoints_px"], 2),
        None if box is None else Box(*map(float, box)),
        None if grasp is None else bool(grasp),
        None if held is None else _object(held),
    )


def _object(entry: Any) -> TrueObject:
    return TrueObject(str(entry["id"]), np.array(entry["T_camera_object"], np.float64).reshape(4, 4))


def _points(rows: Any, axes: int) -> FloatArray:
    if rows is None:
        return unknown_points(axes)
    full = [[np.nan] * axes if row is None else row for row in rows]
    return np.array(full, np.float64).reshape(NUM_JOINTS, axes)


def _side(text: Any) -> Side | None:
    if text is None:
        return None
    for side in SIDES:
        if text == side:
            return side
    raise ValueError(f"side is {text!r}")
