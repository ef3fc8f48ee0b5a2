"""One hand with its label, and what its measures are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import NUM_JOINTS, Side
from prehend.eval.metrics import (
    F_THRESHOLDS_M,
    PCK_THRESHOLDS_M,
    aligned,
    diameter,
    f_scores,
    pck,
    point_errors,
    pose_errors,
    root_relative,
)
from prehend.types import FloatArray

Column = NDArray[np.float64]
NAN = float("nan")


@dataclass(frozen=True)
class HandAnswer:
    """What was said about a hand.

    Attributes:
        joints_m: (21, 3) camera frame [m].
        vertices_m: (V, 3) camera frame [m], V is 0 where there is no mesh.
        placed: whether the place in the camera frame is meant; False where only the pose about the wrist is known.
        side: left or right as it was found; None where it was given.
        grasp: probability that it grasps, NaN where unknown.
        keypoint_error_box: mean distance of keypoints from the labels over the longer side of the box, NaN if unknown.
        turn_error_rad: angle between the wrist's rotation and the label's, NaN where unknown.
        visibility_right: share of joints whose visibility was told right, NaN where unknown.
    """

    joints_m: FloatArray
    vertices_m: FloatArray
    placed: bool
    side: Side | None = None
    grasp: float = NAN
    keypoint_error_box: float = NAN
    turn_error_rad: float = NAN
    visibility_right: float = NAN


@dataclass(frozen=True)
class ObjectCase:
    """What a hand truly grasps, and its pose as it was said.

    Attributes:
        object_id: name in the catalogue or of the dataset.
        points_m: (P, 3) points of its surface in the object frame [m].
        symmetric: whether ADD-S counts in place of ADD.
        truth: (4, 4) T_camera_object.
        predicted: the same as it was said; None where no pose was found.
        K: (3, 3) of the image [px].
    """

    object_id: str
    points_m: FloatArray
    symmetric: bool
    truth: FloatArray
    predicted: FloatArray | None
    K: FloatArray


@dataclass(frozen=True)
class HandCase:
    """A labelled hand and its answer.

    Attributes:
        joints_m: (21, 3) true joints, camera frame [m].
        vertices_m: (V, 3) true mesh, camera frame [m]; V is 0 where the dataset has none.
        side: true.
        grasp: true label, None where the dataset does not tell.
        hidden: share of the hand's own pixels that something hides, 0..1; NaN where unknown.
        answer: what was said, None where the hand was not found or given up.
        held: what it grasps, None where it grasps nothing whose pose is known.
    """

    joints_m: FloatArray
    vertices_m: FloatArray
    side: Side
    grasp: bool | None
    hidden: float
    answer: HandAnswer | None
    held: ObjectCase | None = None


@dataclass(frozen=True)
class HandScores:
    """Measures of one hand; what cannot be told is NaN. Lengths in metres, shares 0..1.

    Attributes:
        answered: 1 where there is an answer.
        grasp, hidden: as in `HandCase`, the label as 0, 1 or NaN.
        said_grasp: 0, 1 or NaN.
        side_right: 1 where the side is the true one, NaN where it was given.
        j_pe, v_pe: mean error of joints and vertices, wrist on wrist.
        pa_j_pe, pa_v_pe: the same after alignment, of joints and vertices each on its own.
        absolute: mean error of joints in the camera frame, nothing moved.
        absolute_root: error of the wrist in the camera frame.
        j_pck, v_pck, pa_j_pck, pa_v_pck: (T,) see `metrics.pck`.
        f, pa_f: (2,) F-scores at 5 and 15 mm.
        keypoint_error_box, turn_error_rad, visibility_right: as in `HandAnswer`.
        object_id: of what is grasped, empty for nothing.
        add, add_plain: ADD-S for symmetric objects and ADD for the others; ADD for all. Inf where no pose was found.
        diameter: of the object.
        reprojection_px: of its points; inf where no pose was found.
    """

    answered: float
    grasp: float
    hidden: float
    said_grasp: float = NAN
    side_right: float = NAN
    j_pe: float = NAN
    v_pe: float = NAN
    pa_j_pe: float = NAN
    pa_v_pe: float = NAN
    absolute: float = NAN
    absolute_root: float = NAN
    j_pck: Column = field(default_factory=lambda: np.full(len(PCK_THRESHOLDS_M), NAN))
    v_pck: Column = field(default_factory=lambda: np.full(len(PCK_THRESHOLDS_M), NAN))
    pa_j_pck: Column = field(default_factory=lambda: np.full(len(PCK_THRESHOLDS_M), NAN))
    pa_v_pck: Column = field(default_factory=lambda: np.full(len(PCK_THRESHOLDS_M), NAN))
    f: Column = field(default_factory=lambda: np.full(len(F_THRESHOLDS_M), NAN))
    pa_f: Column = field(default_factory=lambda: np.full(len(F_THRESHOLDS_M), NAN))
    keypoint_error_box: float = NAN
    turn_error_rad: float = NAN
    visibility_right: float = NAN
    object_id: str = ""
    add: float = NAN
    add_plain: float = NAN
    diameter: float = NAN
    reprojection_px: float = NAN


def score(case: HandCase) -> HandScores:
    """The measures of a hand, see `HandScores`.

    Vertex measures need the same mesh on both sides: where the numbers of vertices differ they are NaN.

    Raises:
        InvalidInput: an array has another shape.
    """
    check_shape("joints_m", np.asarray(case.joints_m), [NUM_JOINTS, 3])
    values: dict[str, object] = {
        "answered": float(case.answer is not None),
        "grasp": NAN if case.grasp is None else float(case.grasp),
        "hidden": float(case.hidden),
    }
    if case.answer is not None:
        values |= _pose_scores(case, case.answer)
    if case.held is not None:
        values |= _object_scores(case.held)
    return HandScores(**values)  # type: ignore[arg-type]


def score_all(cases: Iterable[HandCase]) -> dict[str, NDArray[np.generic]]:
    """`table_of` the scores of all cases, made one after the other, so that meshes need not stay in memory."""
    return table_of([score(case) for case in cases])


def table_of(scores: Sequence[HandScores]) -> dict[str, NDArray[np.generic]]:
    """One array a field of `HandScores`, with a first axis of hands."""
    return {each.name: np.array([getattr(row, each.name) for row in scores]) for each in fields(HandScores)}


def _pose_scores(case: HandCase, answer: HandAnswer) -> dict[str, object]:
    said, true = np.asarray(answer.joints_m, np.float64), np.asarray(case.joints_m, np.float64)
    errors = point_errors(root_relative(said, said[0]), root_relative(true, true[0]))
    pa_errors = point_errors(aligned(said, true), true)
    values: dict[str, object] = {
        "said_grasp": NAN if np.isnan(answer.grasp) else float(answer.grasp >= 0.5),
        "side_right": NAN if answer.side is None else float(answer.side == case.side),
        "j_pe": errors.mean(),
        "pa_j_pe": pa_errors.mean(),
        "j_pck": pck(errors),
        "pa_j_pck": pck(pa_errors),
        "keypoint_error_box": answer.keypoint_error_box,
        "turn_error_rad": answer.turn_error_rad,
        "visibility_right": answer.visibility_right,
    }
    if answer.placed:
        absolute = point_errors(said, true)
        values |= {"absolute": absolute.mean(), "absolute_root": absolute[0]}
    if len(case.vertices_m) and len(case.vertices_m) == len(answer.vertices_m):
        mesh, true_mesh = root_relative(answer.vertices_m, said[0]), root_relative(case.vertices_m, true[0])
        fitted = aligned(mesh, true_mesh)
        v_errors, pa_v_errors = point_errors(mesh, true_mesh), point_errors(fitted, true_mesh)
        values |= {
            "v_pe": v_errors.mean(),
            "pa_v_pe": pa_v_errors.mean(),
            "v_pck": pck(v_errors),
            "pa_v_pck": pck(pa_v_errors),
            "f": f_scores(mesh, true_mesh),
            "pa_f": f_scores(fitted, true_mesh),
        }
    return values


def _object_scores(held: ObjectCase) -> dict[str, object]:
    values: dict[str, object] = {"object_id": held.object_id, "diameter": float(diameter(held.points_m))}
    if held.predicted is None:
        return {**values, "add": np.inf, "add_plain": np.inf, "reprojection_px": np.inf}
    errors = pose_errors(held.predicted, held.truth, held.points_m, held.K)
    add = errors.adds_m if held.symmetric else errors.add_m
    return {**values, "add": add, "add_plain": errors.add_m, "reprojection_px": errors.reprojection_px}
