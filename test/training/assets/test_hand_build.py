"""A whole hand is built from a small body: it can be read, bends as it says, and is that of its seed."""

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.documents import read_arrays
from prehend.errors import AssetError
from prehend.hand_model import load_hand_model, skin
from prehend_training.assets import hand
from prehend_training.assets.hand_rig import joint_limits
from prehend_training.assets.hand_shapes import average_hand
from prehend_training.assets.poses import pose_from_angles

FLAT = np.tile(np.eye(3, dtype=np.float32), (16, 1, 1))
NO_SHAPE = np.zeros(10, np.float32)


@pytest.fixture(scope="module")
def model(built_file):
    return load_hand_model(built_file, forearm=True)


def test_the_zero_pose_is_the_mean_of_the_people(model, source):
    posed = skin(model, FLAT, NO_SHAPE)
    np.testing.assert_allclose(posed.vertices, model.v_template, atol=1e-6)
    average = average_hand(source)
    reach = np.linalg.norm(model.v_template[model.tips[2]] - posed.joints[0])
    assert reach == pytest.approx(0.18, abs=0.02)
    assert len(average.vertices) == model.num_vertices
    assert np.linalg.norm(posed.joints[0]) < 5e-3


def test_a_shape_moves_the_skin_by_its_direction_and_the_joints_with_it(model):
    for component in range(3):
        betas = np.zeros(10, np.float32)
        betas[component] = 2.0
        posed = skin(model, FLAT, betas)
        np.testing.assert_allclose(posed.vertices, model.v_template + 2 * model.shapedirs[..., component], atol=1e-6)
        np.testing.assert_allclose(posed.joints16, model.J_regressor @ posed.vertices, atol=1e-5)


def test_the_first_shape_is_the_size(model):
    large, small = (skin(model, FLAT, size * np.eye(1, 10, dtype=np.float32)[0]) for size in (2, -2))
    span = [np.linalg.norm(posed.joints[12] - posed.joints[0]) for posed in (large, small)]
    assert span[0] > 1.1 * span[1]


def test_closed_fingers_bring_their_tips_to_the_palm(model):
    limits = joint_limits()
    flat = skin(model, FLAT, NO_SHAPE)
    fist = skin(model, pose_from_angles(model, 0.8 * limits[:, 0, 1]), NO_SHAPE)
    for finger in range(1, 5):  # of the 21 joints: index .. little
        tip = 4 + 4 * finger
        assert fist.joints[tip, 1] < flat.joints[tip, 1] - 0.015
        assert np.linalg.norm(fist.joints[tip] - fist.joints[0]) < 0.75 * np.linalg.norm(flat.joints[tip])
    back = skin(model, pose_from_angles(model, 0.8 * limits[:, 0, 0]), NO_SHAPE)
    assert (back.joints[[8, 12, 16, 20], 1] > flat.joints[[8, 12, 16, 20], 1]).all()


def test_the_left_hand_is_the_mirror_image(built_file, model):
    left = load_hand_model(built_file, side="left", forearm=True)
    rotations = pose_from_angles(model, np.full(15, 0.4), np.full(15, 0.05))
    betas = np.random.default_rng(0).normal(size=10).astype(np.float32)
    right_hand = skin(model, rotations, betas)
    left_hand = skin(left, MIRROR @ rotations @ MIRROR, betas)
    np.testing.assert_allclose(left_hand.vertices, right_hand.vertices @ MIRROR, atol=1e-5)


def test_correctives_are_of_the_own_digit_and_small(model):
    moves = model.posedirs.reshape(model.num_vertices, 3, 15, 9)
    felt = np.abs(moves).max((1, 3)) > 0
    assert felt.any() and felt.mean() < 0.2
    owner = model.weights[:, 1:].reshape(-1, 5, 3).sum(2)  # by digit
    rows, joints = np.nonzero(felt)
    assert (owner[rows, joints // 3] > 0.009).all()
    assert np.abs(moves).max() < 0.05


def test_correctives_do_nothing_to_the_zero_pose_and_keep_flesh_in_a_bend(model, built):
    bend = np.zeros(15)
    bend[1] = 1.5
    posed = skin(model, pose_from_angles(model, bend), NO_SHAPE)
    assert np.isfinite(posed.vertices).all()
    away = np.linalg.norm(posed.vertices - posed.joints16[2], axis=1)
    shared = (model.weights[:, 2] > 0.2) & (model.weights[:, 1] > 0.2)
    before = np.linalg.norm(model.v_template - model.joints_template[2], axis=1)
    assert shared.any() and (away[shared] > 0.55 * before[shared]).all()


def test_natural_poses_span_the_priors_components(built):
    components, mean = built["hands_components"], built["hands_mean"]
    np.testing.assert_allclose(components @ components.T, np.eye(45), atol=1e-5)
    assert mean.shape == (45,) and np.abs(mean).max() < np.pi
    strongest = np.abs(components).argmax(1)
    assert (components[np.arange(45), strongest] > 0).all()


def test_a_seed_is_a_hand(wheel, built):
    again = hand.build(wheel.path, people=14, pose_count=60, seed=3)
    other = hand.build(wheel.path, people=14, pose_count=60, seed=4)
    for name in built:
        np.testing.assert_array_equal(again[name], built[name], name)
    assert not np.array_equal(other["shapedirs"], built["shapedirs"])
    for name in ("uv", "nail_map", "limits_rad", "hand_mask", "forearm_weights"):
        np.testing.assert_array_equal(other[name], built[name], name)  # nobody's chance


def test_texture_corners_belong_to_their_faces(built):
    assert built["faces"].shape == built["uv_faces"].shape
    assert built["uv_faces"].max() < len(built["uv"])
    assert built["uv"].min() >= 0 and built["uv"].max() <= 1
    u, v = built["uv"][built["uv_faces"]].transpose(2, 0, 1)
    turn = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    assert (np.abs(turn) > 1e-9).mean() > 0.7  # the others are the tubes' sides, seen from above


@pytest.fixture
def quick_main(monkeypatch):
    """The command with fewer people and poses: all else is as it ships."""
    whole = hand.build
    monkeypatch.setattr(hand, "build", lambda wheel: whole(wheel, people=12, pose_count=50))
    return hand.main


@pytest.mark.parametrize("name", ["hand.npz", "hand"])
def test_the_command_writes_the_hand_and_its_licence_under_the_name_asked_for(wheel, tmp_path, quick_main, name):
    out = tmp_path / "new" / name
    assert quick_main(["--wheel", str(wheel.path), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["LICENSE-CC0.txt", name]
    assert "no rights" in (out.parent / "LICENSE-CC0.txt").read_text()
    assert str(read_arrays(out)["name"]) == hand.NAME


def test_the_command_says_in_one_line_what_it_cannot_write(wheel, tmp_path, quick_main, capsys):
    (tmp_path / "file").write_text("no folder")
    assert quick_main(["--wheel", str(wheel.path), "--out", str(tmp_path / "file" / "hand.npz")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "hand.npz" in said


def test_the_built_hand_is_refused_once_it_is_damaged(built, tmp_path):
    for name, array in (("faces", built["faces"].astype(np.int64) + 700), ("tips", np.full(5, 9999, np.uint16))):
        path = tmp_path / name / "hand.npz"
        path.parent.mkdir()
        np.savez_compressed(path, **{**built, name: array})
        with pytest.raises(AssetError, match=r"hand\.npz"):
            load_hand_model(path)
