"""Calibrations of two cameras as they are read, and what two clips say together."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from prehend.errors import InvalidInput, SourceError
from prehend.eval.clips import ClipHand, TrueHands
from prehend.types import Box
from prehend_training.evaluate.photographs.clips import (
    ClipRun,
    StereoCamera,
    read_stereo,
    read_true_hands,
    stereo_report,
)
from prehend_training.evaluate.photographs.sheets import (
    TILE_PX,
    TILES_A_SHEET,
    _cut,
    _titled,
    _to_picture,
    write_sheets,
)

RNG = np.random.default_rng(0)
JOINTS = RNG.normal(0, 0.05, (21, 3))


def hand(joints, score=0.9, track=1, at=(0.0, 0.0)):
    keypoints = np.stack([np.arange(21.0), np.arange(21.0) % 5], 1) + at
    return ClipHand(track, "right", score, keypoints, joints, 30.0)


def clip(name, frames, fps=30.0):
    return ClipRun(name, frames, fps, [10.0] * max(len(frames), 1), [])


def placed(rotation, translation):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, translation
    return StereoCamera(None, T)


def two_views(unit_m=1.0, frames=6, error_m=0.0):
    """A hand that moves in the world as two cameras see it; the calibration counts in `unit_m`."""
    rng = np.random.default_rng(1)
    cameras = [placed(np.eye(3), [0, 0, 2.0]), placed(Rotation.from_rotvec([0, 0.6, 0]).as_matrix(), [0.3, 0.1, 2.2])]
    views = [[], []]
    for k in range(frames):
        world = JOINTS + rng.normal(0, 0.2, 3)
        for number, camera in enumerate(cameras):
            T = camera.T_camera_world
            seen = world @ T[:3, :3].T + T[:3, 3] + number * error_m * np.array([0, 0, 1.0])
            views[number].append([hand(seen)] if k != 2 or number == 0 else [])
    told = [replace_T(camera, camera.T_camera_world[:3, 3] / unit_m) for camera in cameras]
    return clip("a.mp4", views[0]), clip("b.mp4", views[1]), told


def replace_T(camera, translation):
    T = camera.T_camera_world.copy()
    T[:3, 3] = translation
    return camera._replace(T_camera_world=T)


@pytest.mark.parametrize("unit_mm", [1.0, 25.0, 1000.0])
def test_the_unit_of_a_calibration_is_given_or_found(unit_mm):
    first, second, cameras = two_views(unit_mm / 1000)
    for given in (unit_mm, None):
        told = stereo_report(first, second, cameras, given)
        assert told["unit_fitted"] is (given is None) and told["unit_mm"] == pytest.approx(unit_mm, rel=1e-2)
        assert (told["frames"], told["both"]) == (6, 5) and told["joints_mm"]["p95"] < 1e-3
    assert cameras[1].T_camera_world[0, 3] == pytest.approx(300 / unit_mm)  # what is given stays


def test_an_error_of_one_camera_is_the_distance_between_both():
    first, second, cameras = two_views(error_m=0.012)
    told = stereo_report(first, second, cameras, 1000.0)
    assert told["joints_mm"]["median"] == told["wrist_mm"]["median"] == pytest.approx(12, abs=0.1)
    assert told["aligned_wrist_mm"]["median"] == pytest.approx(0, abs=0.1)


def test_clips_of_different_length_are_refused():
    first, second, cameras = two_views()
    with pytest.raises(InvalidInput, match=r"a\.mp4 and b\.mp4 have 6 and 4 frames"):
        stereo_report(first, replace(second, frames=second.frames[:4]), cameras, 1.0)


def test_no_hand_in_both_tells_no_unit():
    cameras = two_views()[2]
    told = stereo_report(clip("a", [[]] * 3), clip("b", [[hand(JOINTS)]] * 3), cameras, None)
    assert told["unit_mm"] is None and told["both"] == 0


def test_a_clip_tells_false_hands_where_the_truth_is_known():
    frames = [[hand(JOINTS), hand(JOINTS, 0.5, 2, (500.0, 0))], [hand(JOINTS)], []]
    truth = {"a.mp4": [TrueHands(0, 1, (Box(-5, -5, 40, 40),))]}
    told = clip("a.mp4", frames).report(truth)
    assert told["false_hands"] == {
        "frames": 2, "frames_with_false_hands": 1, "false_hands": 1, "frames_with_missed_hands": 0,
    }  # fmt: skip
    assert told["frames"] == 3 and told["time_ms"] == {"median": 10.0, "p95": 10.0}
    assert "false_hands" not in clip("b.mp4", frames).report(truth)


INTRINSIC = "intrinsic:\n500 0 320\n0 510 240\n0 0 1\ndistortion:\n0.1 -0.2 0 0 0.05\n"
PLACED = "R:\n0 -1 0\n1 0 0\n0 0 1\nT:\n1\n2\n3\n"


def write(folder, intrinsic=INTRINSIC, placed=PLACED):
    for number in (0, 1):
        (folder / f"rig_c{number}.dat").write_text(intrinsic)
        (folder / f"rig_rot_trans_c{number}.dat").write_text(placed)
    return folder / "rig"


def test_a_calibration_is_read_with_comments_and_the_first_block_of_a_name(tmp_path):
    more = "# world to camera\nR: # turned\n" + PLACED[3:] + "R:\n1 0 0\n0 1 0\n0 0 1\n"
    for camera in read_stereo(write(tmp_path, placed=more)):
        np.testing.assert_array_equal(camera.camera.K, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
        np.testing.assert_array_equal(camera.camera.distortion, [0.1, -0.2, 0, 0, 0.05])
        np.testing.assert_array_equal(camera.T_camera_world, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"intrinsic": INTRINSIC.replace("510", "x")}, r"rig_c0\.dat: no numbers below 'intrinsic:'"),
        ({"intrinsic": INTRINSIC.replace("distortion:\n0.1", "other:\n0.1")}, "numbers below a line 'distortion:'"),
        ({"placed": PLACED.replace("T:\n1\n2\n3\n", "T:\n1\n2\n")}, "3 numbers below a line 'T:'"),
        ({"placed": PLACED.replace("0 -1 0", "0 -2 0")}, "R is no rotation"),
        ({"placed": PLACED.replace("0 -1 0", "0 nan 0")}, "R is no rotation"),
        ({"placed": ""}, "9 numbers below a line 'R:'"),
    ],
)
def test_a_calibration_that_is_none_is_named_in_one_line(parts, message, tmp_path):
    with pytest.raises(SourceError, match=message) as caught:
        read_stereo(write(tmp_path, **parts))
    assert "\n" not in str(caught.value)


def test_a_mirrored_camera_is_no_rotation(tmp_path):
    with pytest.raises(SourceError, match="R is no rotation"):
        read_stereo(write(tmp_path, placed=PLACED.replace("0 0 1", "0 0 -1")))


def test_bytes_that_are_no_text_are_named(tmp_path):
    prefix = write(tmp_path)
    (tmp_path / "rig_c0.dat").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"rig_c0\.dat"):
        read_stereo(prefix)


@pytest.mark.parametrize(
    "content",
    ["[", "[1]", '{"a": 3}', '{"a": [[1]]}', '{"a": [{"frames": [0, 1, 2], "boxes": []}]}',
     '{"a": [{"frames": [0, 1], "boxes": [[1, 2, 3]]}]}', '{"a": [{"frames": [0, 1], "boxes": [[1, 2, 3, "x"]]}]}'],
)  # fmt: skip
def test_true_hands_that_are_none_are_named_in_one_line(content, tmp_path):
    path = tmp_path / "hands.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=r"hands\.json") as caught:
        read_true_hands(path)
    assert "\n" not in str(caught.value)


def test_true_hands_may_be_none_in_some_frames(tmp_path):
    path = tmp_path / "hands.json"
    path.write_text(json.dumps({"a": [{"frames": [3, 5], "boxes": []}], "b": []}))
    assert read_true_hands(path) == {"a": [TrueHands(3, 5, ())], "b": []}


def test_a_box_is_cut_out_with_its_middle_in_the_middle():
    picture = np.zeros((120, 200, 3), np.uint8)
    picture[50:60, 90:100] = 255
    for box, scale in ((Box(80.0, 40, 110, 70), 1.0), (Box(160.0, 80, 220, 140), 0.5)):
        tile, affine = _cut(picture, box, scale)
        assert tile.shape == (TILE_PX, TILE_PX, 3)
        middle = affine[:, :2] @ (scale * np.array(box.center)) + affine[:, 2]
        np.testing.assert_allclose(middle, TILE_PX / 2)
        assert tile[TILE_PX // 2 - 5 : TILE_PX // 2 + 5, TILE_PX // 2 - 5 : TILE_PX // 2 + 5].mean() > 250
    whole, affine = _cut(picture, None, 1.0)
    corners = np.array([[0, 0], [200, 120]]) @ affine[:, :2].T + affine[:, 2]
    assert (corners >= 0).all() and (corners <= TILE_PX).all() and whole.any()


def test_pixels_centres_of_a_photograph_fall_on_those_of_the_picture_that_was_drawn():
    """The first pixel of a half picture is the mean of the first two."""
    np.testing.assert_allclose(_to_picture(0.5) @ [0.5, 0.5, 1], [0, 0, 1])
    np.testing.assert_allclose(_to_picture(1.0), np.eye(3))


def test_sheets_are_numbered_and_hold_all_tiles(tmp_path):
    tiles = [np.full((8, 10, 3), k, np.uint8) for k in range(TILES_A_SHEET + 1)]
    paths = write_sheets(tiles, tmp_path, "walls")
    assert [path.name for path in paths] == ["walls_01.jpg", "walls_02.jpg"] and all(path.exists() for path in paths)
    assert write_sheets([], tmp_path, "none") == []


def test_a_title_is_written_on_a_copy():
    picture = np.full((60, 300, 3), 200, np.uint8)
    titled = _titled(picture, "hand.png  nme 0.02")
    assert (picture == 200).all() and (titled != 200).any() and (titled[40:] == 200).all()
