"""Files of rigs: the forms that are read, and what is wrong with the others in one line."""

import json

import numpy as np
import pytest
import yaml

from prehend.errors import SourceError, UnknownName
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.resources import resource
from prehend.rig.files import read_rig

K = [[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]


@pytest.fixture
def poses(new_rig):
    return new_rig(2).poses


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "rig.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return written


def test_poses_in_every_form_are_the_same(poses, write):
    T = poses[1]
    forms = [
        {"T_rig_camera": T.tolist()},
        {"T_rig_camera": T.ravel().tolist()},
        {"T_camera_rig": np.linalg.inv(T).tolist()},
        {"position_m": T[:3, 3].tolist(), "quaternion_xyzw": quaternion_from_matrix(T[:3, :3]).tolist()},
    ]
    for form in forms:
        rig = read_rig(write({"frame": "/table", "cameras": {"a": {"T_rig_camera": poses[0].tolist()}, "b": form}}))
        assert rig.frame == "table" and list(rig.cameras) == ["a", "b"]
        assert np.allclose(rig.of("b").T_rig_camera, T) and rig.of("b").camera is None


def test_intrinsics_stand_beside_the_pose_or_in_a_file(poses, write, tmp_path):
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({"K": K, "width": 640, "height": 480}))
    entries = {
        "a": {"K": K, "T_rig_camera": poses[0].tolist()},
        "b": {"camera": "b.yaml", "T_rig_camera": poses[1].tolist()},
    }
    rig = read_rig(write({"cameras": entries}))
    for name in ("a", "b"):
        assert np.array_equal(rig.of(name).camera.for_image(640, 480).K, K)
    assert rig.of("b").camera.for_image(320, 240).K[0, 0] == 300
    with pytest.raises(UnknownName, match="a, b"):
        rig.of("c")


def test_the_camchain_of_kalibr(poses, write):
    T = np.linalg.inv(poses[1]) @ poses[0]
    entry = {"camera_model": "pinhole", "intrinsics": [600, 601, 320, 240], "resolution": [640, 480]}
    rig = read_rig(write({"cam0": entry, "cam1": {**entry, "T_cn_cnm1": T.tolist()}}))
    assert rig.frame == "cam0" and np.array_equal(rig.of("cam0").T_rig_camera, np.eye(4))
    assert np.allclose(rig.of("cam1").T_rig_camera, np.linalg.inv(T)) and rig.of("cam1").camera.width == 640


def test_the_example_is_a_rig():
    rig = read_rig(resource("rig.yaml"))
    assert rig.frame == "table" and list(rig.cameras) == ["front", "left"]
    for camera in rig.cameras.values():
        T = camera.T_rig_camera
        ahead = T[:3, 3] + T[:3, 2] * np.linalg.norm(T[:3, 3])
        assert np.linalg.norm(ahead) < 1e-3 and camera.camera.for_image(640, 480), "it looks at the middle of the table"


def _rig(**changes):
    a = np.eye(4).tolist()
    b = np.eye(4)
    b[0, 3] = 0.2
    return {"frame": "table", "cameras": {"a": {"T_rig_camera": a}, "b": {"T_rig_camera": b.tolist(), **changes}}}


def _wrong():
    skewed, far, last = np.eye(4), np.eye(4), np.eye(4)
    skewed[0, 1], far[0, 3], last[3, 3] = 0.5, 900.0, 2.0
    yield "cameras: [1, 2]", "no rig"
    yield "{}", "no rig"
    yield {"cameras": {"a": {"T_rig_camera": np.eye(4).tolist()}}}, "two cameras or more"
    yield {"cameras": {"a": {"K": K}, "b": {}}}, "camera a has no pose"
    yield _rig(T_rig_camera=np.eye(4).tolist()), "at the same place"
    yield _rig(position_m=[0, 0, 1]), "T_rig_camera and position_m"
    yield _rig(T_rig_camera=skewed.tolist()), "no rotation"
    yield _rig(T_rig_camera=far.tolist()), "millimetres"
    yield _rig(T_rig_camera=last.tolist()), "0 0 0 1"
    yield _rig(T_rig_camera="here"), "numbers"
    yield _rig(T_rig_camera=[[1, 2], [3]]), "numbers"
    yield _rig(camera="no.yaml"), "camera b"
    yield _rig(K=[[0, 0, 0]] * 3), "not calibrated"
    yield {**_rig(), "frame": ""}, "frame is ''"
    yield {"cameras": {"a/b": {}, "c": {}}}, "letters, digits"
    yield {"cameras": {"a": {"position_m": [0, 0, 1]}, "b": {}}}, "quaternion_xyzw"
    yield {"cam0": {"intrinsics": [600, 600, 1, 1]}, "cam1": {"intrinsics": [600, 600, 1, 1]}}, "T_cn_cnm1"


@pytest.mark.parametrize(("content", "word"), list(_wrong()), ids=lambda value: str(value)[-40:])
def test_what_is_wrong_is_told_in_one_line(write, content, word):
    path = write(content)
    with pytest.raises(SourceError) as told:
        read_rig(path)
    assert word in str(told.value) and str(path) in str(told.value) and "\n" not in str(told.value)


def test_cameras_that_cannot_see_one_hand_are_refused(poses, write):
    far = np.array(poses[0])
    far[0, 3] += 65.0  # a stereo camera's millimetres
    entries = {"a": {"T_rig_camera": poses[0].tolist()}, "b": {"T_rig_camera": far.tolist()}}
    with pytest.raises(SourceError, match="cameras a and b are 65 m apart: give metres, not millimetres"):
        read_rig(write({"cameras": entries}))


@pytest.mark.parametrize("key", ["T_rig_camera", "T_camera_rig", "position_m"])
def test_numbers_that_no_float_holds_are_told_in_one_line(write, key):
    entries = _rig()["cameras"]
    size = 3 if key == "position_m" else 16
    entries["b"] = {key: [10**400] * size, "quaternion_xyzw": [0, 0, 0, 1]}
    with pytest.raises(SourceError, match="camera b"):
        read_rig(write({"cameras": entries}))


def test_two_ways_of_one_pose_are_the_same_whatever_the_sign_of_the_quaternion(poses, write):
    T = poses[1]
    quaternion = quaternion_from_matrix(T[:3, :3])
    found = []
    for sign in (1.02, -0.98):  # files round, and signs are free
        form = {"position_m": T[:3, 3].tolist(), "quaternion_xyzw": (sign * quaternion).tolist()}
        entries = {"a": {"T_rig_camera": poses[0].tolist()}, "b": form}
        found.append(read_rig(write({"cameras": entries})).of("b").T_rig_camera)
    np.testing.assert_allclose(found[0], T, atol=1e-12)
    np.testing.assert_allclose(found[1], T, atol=1e-12)


def test_a_rig_in_json_is_the_same(poses, tmp_path):
    entries = {name: {"T_rig_camera": T.tolist()} for name, T in zip("ab", poses, strict=True)}
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"frame": "table", "cameras": entries}))
    np.testing.assert_allclose(read_rig(path).of("b").T_rig_camera, poses[1], atol=1e-12)
    path.unlink()
    with pytest.raises(SourceError, match=r"rig\.json: no such file"):
        read_rig(path)
