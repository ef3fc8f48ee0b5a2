import os
from dataclasses import fields

import numpy as np
import pytest

from prehend.errors import AssetError, UnknownName
from prehend.hand_model import HandModel, load_hand_model
from prehend.hand_model.asset import SHIPPED, validate


def same(a: HandModel, b: HandModel) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(HandModel))


def test_the_shipped_asset_is_small_and_a_hand(hand):
    assert SHIPPED.stat().st_size < 1_000_000
    assert hand.side == "right"
    assert hand.num_vertices == 1596
    assert np.isfinite(hand.v_template).all()
    np.testing.assert_allclose(hand.weights.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(hand.J_regressor.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(hand.hands_components @ hand.hands_components.T, np.eye(45), atol=1e-4)
    assert 0.15 < np.linalg.norm(hand.v_template[hand.tips[2]] - hand.joints_template[0]) < 0.20


def test_the_frame_is_that_of_the_conventions(hand):
    joints = hand.joints_template
    nails = hand.v_template[hand.nail_weights > 0.5]
    assert (joints[[1, 4, 7, 10], 0] < joints[0, 0] - 0.05).all(), "fingers point along -x"
    assert joints[13, 2] > joints[0, 2] + 0.01, "the thumb lies towards +z"
    assert joints[1, 2] > joints[4, 2] > joints[10, 2] > joints[7, 2], "index to little run along -z"
    finger_nails = nails[nails[:, 0] < -0.12]
    assert (finger_nails[:, 1] > joints[3, 1]).all(), "nails look towards +y"


def test_faces_wind_counter_clockwise_seen_from_outside():
    whole = load_hand_model(forearm=True)
    for model in (whole, whole.mirrored()):
        a, b, c = (model.v_template[model.faces[:, k]].astype(np.float64) for k in range(3))
        assert np.einsum("fk,fk->", a - model.v_template.mean(0), np.cross(b, c)) > 0
        edges = np.concatenate([model.faces[:, [i, (i + 1) % 3]] for i in range(3)])
        assert len(np.unique(edges, axis=0)) == len(edges), "each directed edge belongs to one face"


def test_the_only_hole_is_at_the_arm():
    for forearm in (False, True):
        model = load_hand_model(forearm=forearm)
        edges = {tuple(e) for i in range(3) for e in model.faces[:, [i, (i + 1) % 3]].tolist()}
        rim = {a for a, b in edges if (b, a) not in edges}
        euler = model.num_vertices - len({frozenset(e) for e in edges}) + len(model.faces)
        assert euler == 1, "a disc"
        assert model.v_template[list(rim), 0].min() > -0.02
        assert set(model.faces.ravel().tolist()) == set(range(model.num_vertices))


def test_axes_are_orthonormal_and_limits_ordered(hand):
    frames = np.stack([hand.flexion_axes, hand.abduction_axes, hand.twist_axes], 1)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (15, 1, 1)), atol=1e-5)
    assert (hand.limits_rad[..., 0] <= 0).all()
    assert (hand.limits_rad[..., 1] >= 0).all()


def test_mirrored_twice_is_the_same_model(hand, rich):
    for model in (hand, rich, load_hand_model(forearm=True)):
        other = model.mirrored()
        assert other.side == "left"
        assert not np.array_equal(other.v_template, model.v_template)
        assert same(other.mirrored(), model)


def test_without_forearm_keeps_the_hand(hand):
    whole = load_hand_model(forearm=True)
    assert whole.num_vertices == 1831
    assert same(whole.without_forearm(), hand)
    assert same(hand.without_forearm(), hand)
    np.testing.assert_allclose(whole.joints_template, hand.joints_template, atol=1e-7)
    np.testing.assert_array_equal(whole.v_template[whole.tips], hand.v_template[hand.tips])
    assert (whole.forearm_weights[~whole.hand_mask] > 0.4).all()


def test_texture_coordinates_fit_the_faces():
    whole = load_hand_model(forearm=True)
    assert whole.uv.min() >= 0
    assert whole.uv.max() <= 1
    assert whole.uv_faces.shape == whole.faces.shape
    corners = {}
    for face, uv_face in zip(whole.faces.ravel(), whole.uv_faces.ravel(), strict=True):
        assert corners.setdefault(uv_face, face) == face, "a texture point belongs to one vertex"
    size = len(whole.nail_map)
    pixel = np.clip((whole.uv * [1, -1] + [0, 1]) * size, 0, size - 1).astype(int)
    on_map = whole.nail_map[pixel[:, 1], pixel[:, 0]] > 127
    vertex = np.array([corners[k] for k in range(len(whole.uv))])
    assert np.mean(on_map == (whole.nail_weights[vertex] > 0.5)) > 0.99


def test_left_is_loaded_as_mirror(hand):
    assert same(load_hand_model(side="left"), hand.mirrored())


def test_wrong_side_is_named():
    with pytest.raises(UnknownName, match="left"):
        load_hand_model(side="both")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.npz", None, "cannot be read"),
        ("text.npz", b"not a zip", "corrupt"),
        ("cut.npz", SHIPPED.read_bytes()[:100_000], "corrupt"),
        ("hand.obj", b"v 0 0 0", "neither"),
        ("page.pkl", b"<!DOCTYPE html><html>", "a web page"),
        ("pointer.pkl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        ("packed.pkl", b"\x1f\x8b\x08\0\0\0", "gzip"),
        ("torch.pkl", b"PK\x03\x04\0\0", "zip archive"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssetError, match=says) as caught:
        load_hand_model(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("key", "change", "says"),
    [
        ("schema", lambda a: np.array("other/9"), "schema"),
        ("v_template", lambda a: a * np.nan, "NaN"),
        ("faces", lambda a: a + np.uint16(2000), "outside"),
        ("weights_value", lambda a: a * 2, "sum to one"),
        ("shapedirs", lambda a: a[..., :4], "shapedirs"),
        ("tips", None, "lacks the array 'tips'"),
    ],
)
def test_wrong_content_is_refused_by_name(tmp_path, key, change, says):
    with np.load(SHIPPED) as archive:
        arrays = dict(archive)
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(AssetError, match=says):
        load_hand_model(tmp_path / "changed.npz")


def test_validate_accepts_what_is_shipped(hand):
    validate(hand, SHIPPED)


def test_bones_have_the_lengths_of_living_hands(hand):
    """Phalanges grow shorter towards the tips; first ones within a tenth of Buryanov and Kotiuk's means (2010)."""
    ends = np.concatenate([hand.joints_template, hand.v_template[hand.tips]])
    digits = {"index": (1, 2, 3, 17), "middle": (4, 5, 6, 18), "ring": (10, 11, 12, 19), "little": (7, 8, 9, 20)}
    lengths = {name: np.linalg.norm(np.diff(ends[list(rows)], axis=0), axis=1) for name, rows in digits.items()}
    expected = {"index": 0.0398, "middle": 0.0446, "ring": 0.0414, "little": 0.0327}
    for name, (proximal, middle, distal) in lengths.items():
        assert proximal > 1.3 * middle, name
        assert proximal > distal > 0.7 * middle, name  # the distal one counts the flesh of the tip
        assert proximal == pytest.approx(expected[name], rel=0.1), name
    assert 0.165 < np.linalg.norm(ends[18] - ends[0]) < 0.195


def test_knuckles_lie_in_the_palm_under_its_back(hand):
    joints, skin = hand.joints_template, hand.v_template
    for knuckle in joints[[1, 4, 10, 7]]:
        column = skin[np.linalg.norm((skin - knuckle)[:, [0, 2]], axis=1) < 0.006, 1] - knuckle[1]
        assert 0.003 < column.max() < 0.012
        assert -0.028 < column.min() < -0.010
    webs = [skin[np.abs(skin[:, 2] - z) < 0.0025, 0].min() for z in (joints[[1, 4, 10], 2] + joints[[4, 10, 7], 2]) / 2]
    assert (np.array(webs) < joints[[4, 10, 10], 0] - 0.008).all(), "fingers part beyond the knuckles"


def test_only_regular_files_are_read(tmp_path):
    """A link to /dev/zero would never end, a FIFO would wait for its writer."""
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.pkl")
    for name in ("zero.npz", "fifo.pkl"):
        with pytest.raises(AssetError, match="no regular file"):
            load_hand_model(tmp_path / name)
