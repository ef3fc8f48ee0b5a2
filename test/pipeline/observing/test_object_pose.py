import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.geometry.camera import project, rotation_camera_crop
from prehend.geometry.control_points import MIRRORED_ORDER, control_points
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.object_catalogue import ObjectModel, Symmetry, object_ids, object_kind
from prehend.pipeline.crops.crop import CropSpec
from prehend.pipeline.networks.base import ThingAnswer
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.observing.object_pose import choose, decode_object
from prehend.types import Box, Camera

CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)
EXTENTS = np.array([0.07, 0.05, 0.2])
MODEL = ObjectModel("carton", "a carton", EXTENTS, np.zeros(3))
SPEC = CropSpec.from_box(Box(240, 160, 400, 320), "right", (640, 480), Box(230, 150, 420, 330), 224)


def pose_of(distance: float = 0.6) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(np.array([0.5, -0.8, 0.3]))
    T[:3, 3] = [0.01, 0.02, distance]
    return T


def hand_at(place: np.ndarray) -> DecodedHand:
    joints = np.tile(place, (21, 1))
    nothing = np.zeros((16, 3, 3)) + np.eye(3)
    model = load_hand_model()
    return DecodedHand(
        np.zeros((21, 2)), joints, np.zeros((model.num_vertices, 3), np.float32), nothing, np.zeros(10),
        np.ones(21, bool), 0.0, 0.0,
    )  # fmt: skip


def answer_of(
    T: np.ndarray, shrink: float = 1.0, spread: float = 0.0, scale: tuple[float, float] | None = None
) -> ThingAnswer:
    points = control_points(EXTENTS) @ T[:3, :3].T + T[:3, 3]
    points = points[-1] + shrink * (points - points[-1])
    box = SPEC.object_box
    inside = (SPEC.to_crop(project(points, CAMERA)) - box[:2]) / (box[2:] - box[:2])
    cells = np.random.default_rng(0).normal(0, spread, (21, 16, 2)) + inside[:, None]
    full = np.concatenate([cells, np.full((21, 16, 1), 0.8)], axis=-1)
    return ThingAnswer(full.astype(np.float32), 0.0, EXTENTS, None if scale is None else np.array(scale))


def test_a_known_object_gets_its_pose() -> None:
    T = pose_of()
    held = decode_object(answer_of(T), SPEC, CAMERA, hand_at(T[:3, 3]), MODEL)
    assert held is not None and held.no_pose == "" and held.object_id == "carton" and not held.extents_estimated
    np.testing.assert_allclose(held.T_camera_object, T, atol=2e-3)


def test_an_unknown_object_is_a_box_of_the_size_that_is_seen() -> None:
    T = pose_of()
    held = decode_object(answer_of(T), SPEC, CAMERA, hand_at(T[:3, 3]), None)
    assert held is not None and held.object_id == "unknown" and held.extents_estimated
    np.testing.assert_allclose(held.extents_m, EXTENTS)
    np.testing.assert_allclose(held.T_camera_object, T, atol=2e-3)
    silent = decode_object(answer_of(T)._replace(extents_m=None), SPEC, CAMERA, hand_at(T[:3, 3]), None)
    assert silent is not None and silent.T_camera_object is None and silent.no_pose == "unknown_object"


@pytest.mark.parametrize(
    ("answer", "hand", "why"),
    [
        (answer_of(pose_of(), shrink=0.02), pose_of()[:3, 3], "unsure"),
        (answer_of(pose_of(), spread=3.0), pose_of()[:3, 3], "no_fit"),
        (answer_of(pose_of()), np.array([0.7, 0.0, 0.6]), "far_from_hand"),
    ],
)
def test_why_there_is_no_pose_is_said(answer: ThingAnswer, hand: np.ndarray, why: str) -> None:
    held = decode_object(answer, SPEC, CAMERA, hand_at(hand), MODEL)
    assert held is not None and held.T_camera_object is None and held.no_pose == why


def test_the_distance_comes_from_the_size_in_the_crop_and_from_the_hand() -> None:
    T = pose_of(0.6)
    share = 600 * SPEC.scale * 0.1 / 0.6 / SPEC.size
    sure = answer_of(T, shrink=0.4, scale=(np.log(share), -5.0))
    held = decode_object(sure, SPEC, CAMERA, hand_at(T[:3, 3] * 1.2), MODEL)
    assert held is not None and held.T_camera_object is not None
    np.testing.assert_allclose(held.T_camera_object[:3, 3], T[:3, 3], atol=5e-3)
    unsure = decode_object(answer_of(T, shrink=0.4), SPEC, CAMERA, hand_at(T[:3, 3] * 1.2), MODEL)
    assert unsure is not None and unsure.T_camera_object is not None
    assert unsure.T_camera_object[2, 3] == pytest.approx(0.72, abs=5e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_how_the_box_lies_is_told_in_the_frame_of_the_crop(mirrored: bool) -> None:
    T = pose_of()
    spec = SPEC.for_other_side() if mirrored else SPEC
    R = rotation_camera_crop(spec.center_px, CAMERA, spec.turn_rad).T @ T[:3, :3]
    M = R @ np.diag(EXTENTS**2) @ R.T / (EXTENTS**2).sum()
    if mirrored:
        M = MIRROR @ M @ MIRROR
    vague = answer_of(T, shrink=0.05, spread=0.02)
    if mirrored:
        points = vague.points.copy()
        points[..., 0] = 1 - points[..., 0]
        vague = vague._replace(points=points[list(MIRRORED_ORDER)])
    told = decode_object(vague._replace(moments=M), spec, CAMERA, hand_at(T[:3, 3]), MODEL)
    assert told is not None and told.T_camera_object is not None
    found = told.T_camera_object[:3, :3]
    halves = (np.diag(signs) for signs in ([1.0, 1, 1], [1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1]))
    assert min(geodesic_angle(found, T[:3, :3] @ half) for half in halves) < 0.1


def test_numbers_that_are_none_are_no_object() -> None:
    broken = answer_of(pose_of())
    broken.points[3, 2, 1] = np.nan
    assert decode_object(broken, SPEC, CAMERA, hand_at(pose_of()[:3, 3]), MODEL) is None


def test_evidence_of_frames_before_counts_in_the_choice() -> None:
    things = tuple(ThingAnswer(np.zeros((21, 1, 3)), match) for match in (0.4, 0.6, -1.0))
    assert choose(things, np.zeros(3)) == 1
    assert choose(things, np.array([3.0, 0.0, 0.0])) == 0


def test_the_description_holds_what_is_known() -> None:
    kind = object_kind(np.array([0.1, 0.2, 0.05]), Symmetry(("x",), "z"))
    np.testing.assert_allclose(kind, [1, 0, np.log(2), np.log(0.5), 1, 0, 0, 0, 0, 1], atol=1e-6)
    assert object_ids(" mug, banana ,") == ["mug", "banana"] and object_ids(None) == [] == object_ids("")
