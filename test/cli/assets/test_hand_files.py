"""What `prehend hand` reads: any file is a hand's joints, or one line that names the file."""

import json

import numpy as np
import pytest

from prehend.cli.assets.hand_files import cut_conditions, obj_text, read_foreign_mesh, read_known, read_own_mesh
from prehend.conventions import FINGERS
from prehend.errors import InvalidInput, ParameterError, PrehendError, SourceError
from prehend.geometry.camera import project
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.joints import joints_of_mesh
from prehend.prior.conditions import Conditions
from prehend.types import Camera

MODEL = load_hand_model()
K = [[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]
CAMERA = Camera(np.array(K), 640, 480)
HAND = skin(MODEL, np.tile(np.eye(3), (16, 1, 1)), np.zeros(10), [0.0, 0, 0.5])
JOINTS = HAND.joints.astype(float)


def content(**changes):
    whole = {
        "side": "right",
        "joints_m": JOINTS.round(5).tolist(),
        "keypoints_px": project(JOINTS, CAMERA).round(2).tolist(),
        "camera": {"K": K, "width": 640, "height": 480},
        "joints_std_m": 0.004,
        "keypoints_std_px": [2.0] * 21,
    }
    return {key: value for key, value in {**whole, **changes}.items() if value != "leave out"}


@pytest.fixture
def known(tmp_path):
    def read(data):
        path = tmp_path / "known.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return read_known(path)

    return read


def test_joints_and_keypoints_are_read_with_their_gaps(known):
    gaps = [None if joint in (3, 7) else row for joint, row in enumerate(content()["joints_m"])]
    found = known(content(joints_m=gaps))
    assert np.flatnonzero(np.isnan(found.joints_m).any(1)).tolist() == [3, 7]
    assert found.camera.width == 640 and found.keypoints_std_px.shape == (21,) and found.side == "right"
    alone = known({"joints_m": content()["joints_m"]})
    assert alone.side == "right" and alone.camera is None and alone.keypoints_px is None


ODD = [None, "x", [], {}, -1, 0, True, 10**400, float("nan"), float("inf"), [[1, 2]] * 21, ["x"] * 21, [10**400] * 21]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("key", ["side", "joints_m", "keypoints_px", "camera", "joints_std_m", "keypoints_std_px"])
def test_any_value_is_read_or_told_in_one_line(known, key, value):
    try:
        known(content(**{key: value}))
    except PrehendError as error:
        assert "\n" not in str(error) and len(str(error)) < 400


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("[1]", "no object with joints_m"),
        ("{", "known.json"),
        ({}, "knows no joint"),
        (content(joint_m=[]), "'joint_m' is not known here"),
        (content(side="up"), "side 'up' is neither"),
        (content(joints_m=JOINTS[:20].tolist()), "no list of 21"),
        (content(joints_m=[[1, 2]] * 21), "21 x 3 numbers"),
        (content(joints_m=[[1, 2, float("nan")]] * 21), "null stands for what is not known"),
        (content(camera={"K": K}), "no width and height"),
        (content(camera={"K": [[0] * 3] * 3, "width": 64, "height": 48}), "not calibrated"),
        (content(joints_std_m="x"), "joints_std_m is no number"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(known, data, says):
    with pytest.raises(SourceError, match=says) as told:
        known(data)
    assert "known.json" in str(told.value)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_mesh_that_is_written_is_read_again(tmp_path, side):
    path = tmp_path / "hand.obj"
    model = load_hand_model(side=side)
    path.write_text(obj_text(HAND.vertices, model.faces))
    found = read_own_mesh(path, side, model)
    np.testing.assert_allclose(found.vertices_m, HAND.vertices, atol=1e-6)
    assert found.side == side and path.read_text().count("\nf ") == len(model.faces)


def test_a_written_mesh_is_one_that_other_programs_read(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    (tmp_path / "hand.obj").write_text(obj_text(HAND.vertices, MODEL.faces))
    mesh = trimesh.load(tmp_path / "hand.obj", process=False)
    np.testing.assert_allclose(mesh.extents, np.ptp(HAND.vertices, axis=0), atol=1e-5)
    assert len(mesh.faces) == len(MODEL.faces)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no vertices"),
        ("v 1 2\n", "holds no vertices"),
        ("v 1 2 x\n", "line 1: no vertex"),
        ("# v 1 2 3\n", "no ver"),
    ],
)
def test_what_is_no_obj_says_so(tmp_path, text, says):
    path = tmp_path / "hand.obj"
    path.write_text(text)
    with pytest.raises(SourceError, match=says):
        read_own_mesh(path, "right", MODEL)


def test_a_mesh_of_another_model_needs_that_model(tmp_path):
    path = tmp_path / "hand.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    with pytest.raises(InvalidInput, match=r"has 3 vertices, the hand model \d+: .*--mesh-model"):
        read_own_mesh(path, "right", MODEL)
    with pytest.raises(ParameterError, match="--mesh-model"):
        read_foreign_mesh(path, None, "right")


@pytest.mark.parametrize("finger", FINGERS)
def test_a_finger_that_is_cut_is_unknown_from_its_first_joint_on_and_nothing_else(finger):
    first = 1 + 4 * FINGERS.index(finger)
    whole = Conditions(joints_m=JOINTS, vertices_m=HAND.vertices, keypoints_px=project(JOINTS, CAMERA), camera=CAMERA)
    cut = cut_conditions(whole, (finger,), MODEL)
    gone = np.isnan(cut.joints_m).any(1)
    assert np.flatnonzero(gone).tolist() == list(range(first, first + 4))
    np.testing.assert_array_equal(np.isnan(cut.keypoints_px).any(1), gone)
    left = np.flatnonzero(np.isfinite(cut.vertices_m).all(1))
    tips = MODEL.tips
    assert [tip in left for tip in tips] == [other != finger for other in FINGERS]
    wrist = joints_of_mesh(MODEL)[0] != 0
    assert np.isfinite(cut.vertices_m[wrist]).all(), "the wrist stays"
    assert cut_conditions(whole, (), MODEL) is whole
