"""Labels drawn over samples and beside them: what is told lies where it belongs, and in the order that is said."""

import dataclasses

import numpy as np
import pytest
from fake import fake_object, fake_sample

from prehend.errors import UnknownName
from prehend_training.inspect.samples import (
    OVERLAYS,
    PANELS,
    _described,
    contact_sheet,
    draw_labels,
    rows_sheet,
    tile_sheet,
)
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE

SIZE = 160


def dark(seed=3, index=0, **hand):
    """A sample on black without maps, its one hand changed."""
    sample = fake_sample(seed, index)
    label = dataclasses.replace(sample.hands[0], **hand)
    return dataclasses.replace(sample, image=np.zeros_like(sample.image), hands=(label,), maps=None)


def holding(held):
    """A sample whose hand holds something, or nothing."""
    return next(one for one in (dark(index=k) for k in range(40)) if (one.hands[0].object_index is not None) == held)


def lit(picture):
    return picture.any(-1)


def places(points_px, scale):
    """Rows and columns of the middles of pixels in an enlarged image."""
    x, y = np.rint((points_px + 0.5) * scale - 0.5).astype(int).T
    return y, x


def test_tiles_stand_row_by_row_on_black():
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    tiles[1] = tiles[1][:2, :3]  # smaller: it gets the place of the largest, from its corner on
    sheet = tile_sheet(tiles, 2)
    assert sheet.shape == (8, 12, 3)
    assert (sheet[:4, :6] == 10).all() and (sheet[:2, 6:9] == 20).all() and (sheet[4:, :6] == 30).all()
    assert not sheet[:4, 9:].any() and not sheet[2:4, 6:].any() and not sheet[4:, 6:].any()


def test_a_contact_sheet_shows_its_samples_in_order_and_as_they_are():
    """Neither mirrored nor upside-down: any other order or turn of the noise would differ."""
    samples = [fake_sample(3, index, size_px=48) for index in range(5)]
    sheet = contact_sheet(samples, 2, scale=1, labels=())
    for number, sample in enumerate(samples):
        row, column = divmod(number, 2)
        assert np.array_equal(sheet[48 * row : 48 * row + 48, 48 * column : 48 * column + 48], sample.image)
    assert not sheet[96:, 48:].any()


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_skeletons_lie_on_their_keypoints_and_nowhere_else(scale):
    sample = dark()
    picture = draw_labels(sample, scale, ["skeleton"])
    points = sample.hands[0].keypoints_px
    assert picture.shape == (SIZE * scale, SIZE * scale, 3)
    assert lit(picture)[places(points, scale)].all()
    rows, columns = np.nonzero(lit(picture))
    box = (sample.hands[0].box_px.reshape(2, 2) + 0.5) * scale - 0.5
    drawn = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
    assert np.abs(drawn - box).max() < 2 * scale + 2
    mirrored = np.stack([SIZE - 1 - points[:, 0], points[:, 1]], 1)
    turned = np.stack([points[:, 0], SIZE - 1 - points[:, 1]], 1)
    assert not all(lit(picture)[places(other, scale)].all() for other in (mirrored, turned))


def test_visible_joints_are_filled_and_hidden_ones_are_rings():
    visible = np.arange(21) % 2 == 0
    sample = dark(visible=visible, keypoints_px=np.stack(np.divmod(np.arange(21), 5), 1) * [36.0, 34.0] + 8)
    picture = draw_labels(sample, 4, ["skeleton"])
    whites = (picture[places(sample.hands[0].keypoints_px, 4)] == 255).all(-1)
    assert (whites == visible).all()


def test_every_finger_has_a_colour_of_its_own():
    points = np.array([[8.0, 76.0], *([60 + 25.0 * k, 20 + 28.0 * finger] for finger in range(5) for k in range(4))])
    picture = draw_labels(dark(keypoints_px=points), 2, ["skeleton"]).astype(int)
    colours = np.zeros((5, 3, 3), int)
    for finger in range(5):
        for k in range(3):  # in the middle of a bone
            first = 1 + 4 * finger + k
            (row,), (column,) = places(points[first : first + 2].mean(0, keepdims=True), 2)
            around = picture[row - 1 : row + 2, column].reshape(-1, 3)
            colours[finger, k] = around[around.sum(1).argmax()]
    assert np.abs(colours - colours[:, :1]).max() < 40
    middles = colours.mean(1)
    assert min(np.abs(a - b).max() for k, a in enumerate(middles) for b in middles[:k]) > 60


def test_a_mesh_lies_on_its_hand_and_what_is_behind_the_camera_is_left_out():
    sample = dark()
    picture, hand = draw_labels(sample, 2, ["mesh"]), sample.hands[0]
    rows, columns = np.nonzero(lit(picture))
    assert len(rows) > 200
    middle = (hand.keypoints_px.mean(0) + 0.5) * 2
    assert np.linalg.norm([columns.mean(), rows.mean()] - middle) < 0.2 * np.ptp(hand.box_px.reshape(2, 2) * 2, 0).max()
    behind = dark(vertices_m=hand.vertices_m * [1, 1, -1])
    assert not lit(draw_labels(behind, 2, ["mesh"])).any()
    assert not lit(draw_labels(dark(vertices_m=np.zeros((0, 3))), 2, ["mesh"])).any()


def test_boxes_are_frames_of_hands_and_objects():
    sample = holding(True)
    picture = draw_labels(sample, 1, ["boxes"])
    for label, colour in ((sample.hands[0], (255, 255, 0)), (sample.objects[0], (0, 255, 255))):
        x0, y0, x1, y1 = np.rint(np.clip(label.box_px, 0, SIZE - 1)).astype(int)
        if x1 - x0 > 8 and x0 > 0 and x1 < SIZE - 1 and y0 > 0 and y1 < SIZE - 1:
            middle = picture[(y0 + y1) // 2, max(x0 - 1, 0) : x0 + 2].astype(int)
            assert np.abs(middle - colour).max(-1).min() < 130


def test_axes_of_an_object_go_where_its_frame_does():
    """x red to the right, y green downwards, z blue away from the camera, for a thing that is not turned."""
    sample = dark()
    thing = fake_object(np.random.default_rng(1), np.zeros(3), sample.camera.K)
    pose = np.eye(4)
    pose[:3, 3] = np.linalg.solve(sample.camera.K, [80.0, 80.0, 1.0]) * 0.9
    thing = dataclasses.replace(
        thing, T_camera_object=pose, extents_m=np.array([0.05] * 3), keypoints_px=np.full((21, 2), -99.0)
    )
    picture = draw_labels(dataclasses.replace(sample, objects=(thing,)), 2, ["objects"]).astype(int)
    red, green, blue = (
        (picture[..., k] - picture[..., k - 1] > 60) & (picture[..., k] - picture[..., k - 2] > 60) for k in range(3)
    )
    middle = 2 * 80.5 - 0.5
    assert np.nonzero(red)[1].min() > middle - 6 and np.nonzero(red)[1].max() > middle + 20
    assert np.nonzero(green)[0].min() > middle - 6 and np.nonzero(green)[0].max() > middle + 20
    assert blue.sum() < red.sum() / 2  # seen nearly end on
    behind = dataclasses.replace(thing, T_camera_object=pose * [[1], [1], [-1], [1]])
    assert not lit(draw_labels(dataclasses.replace(sample, objects=(behind,)), 2, ["objects"])).any()


@pytest.mark.parametrize(("seen", "green"), [(0, 0.0), (50, 0.5), (100, 1.0)])
def test_bars_are_as_high_as_the_share_that_is_seen(seen, green):
    sample = dark(part_vertices=np.full(6, 100), part_visible=np.full(6, seen), contact=np.zeros(6, bool))
    picture = draw_labels(sample, 4, ["parts"])
    greens, reds = ((picture == colour).all(-1).sum() for colour in ((60, 210, 60), (255, 40, 40)))
    bars = lit(picture).sum()
    assert abs(greens / bars - 0.8 * green) < 0.2
    assert (reds > 0) == (seen == 0 or seen == 50)  # more than 50 of 120 hidden is occluded, as the paper has it


def test_parts_that_touch_have_a_dot_and_unknown_ones_no_bar():
    contact = np.array([True, False, False, False, False, True])
    dots = draw_labels(dark(contact=contact), 4, ["parts"]).min(-1) > 240
    columns = np.flatnonzero(dots.any(0))
    assert dots.any() and columns.max() - columns.min() > 4 * 23 and (np.diff(columns) > 1).sum() == 1
    assert not lit(draw_labels(dark(part_vertices=np.zeros(6, int)), 4, ["parts"])).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side": "left"}, "left free 1.00"),
        ({"side_known": False}, "? free 1.00"),
        ({"grasp": None}, "right ? 1.00"),
        ({"displaced": True}, "right displaced 1.00"),
        ({"contact": np.arange(6) == 2}, "right touch 1.00"),
        ({"visible_ratio": float("nan")}, "right free"),
        ({"grasp": True, "displaced": True, "object_index": 0, "visible_ratio": 0.256}, "right grasp 0.26 box"),
    ],
)
def test_words_tell_side_state_and_what_is_held(changes, words):
    sample = holding(True)
    plain = {"side": "right", "grasp": False, "displaced": False, "contact": np.zeros(6, bool), "object_index": None}
    hand = dataclasses.replace(sample.hands[0], **{**plain, **changes})
    assert _described(sample, hand) == words


def test_panels_stand_beside_the_picture_in_the_order_asked_for():
    sample = fake_sample(3, 1)
    sheet = draw_labels(sample, 1, ["albedo", "twin", "plain"])
    assert sheet.shape == (SIZE, 4 * SIZE + 9, 3)
    parts = [sheet[20:, k * (SIZE + 3) : k * (SIZE + 3) + SIZE] for k in range(4)]  # below the titles
    for part, image in zip(
        parts, (sample.image, sample.maps.albedo, sample.maps.deoccluded, sample.image), strict=True
    ):
        assert np.array_equal(part, image[20:])
    assert not sheet[:, SIZE : SIZE + 3].any()


def test_segments_have_the_colour_of_what_they_are():
    sample = dark()
    segmentation = np.zeros((SIZE, SIZE), np.uint8)
    for code, row in ((HAND_CODE, 1), (HAND_CODE + 1, 2), (OBJECT_CODE, 3), (OBJECT_CODE + 9, 4), (OTHER_CODE, 5)):
        segmentation[20 * row : 20 * row + 20] = code
    shown = PANELS["segmentation"](dataclasses.replace(sample, segmentation=segmentation))
    colours = [tuple(shown[20 * row + 10, 5].tolist()) for row in range(6)]
    assert len(set(colours)) == 6 and colours[0] == (0, 0, 0) and colours[5] == (128, 128, 128)
    assert colours[3][0] == colours[4][0] == 0 and colours[4][2] < colours[3][2] == 255  # cyan, the second darker


def test_depth_is_red_near_blue_far_black_nowhere_and_the_sensors_compares():
    sample = fake_sample(3, 1)
    depth = np.zeros((SIZE, SIZE), np.float32)
    depth[:80, :40], depth[:80, 40:80], depth[:80, 80:120] = 0.4, 0.8, 1.2
    sensor = np.where(depth > 0.5, 1000 * depth, 0).astype(np.uint16)  # the nearest was not measured
    sample = dataclasses.replace(sample, maps=dataclasses.replace(sample.maps, depth_m=depth, sensor_depth_mm=sensor))
    shown, measured = (PANELS[name](sample).astype(int) for name in ("depth", "sensor"))
    near, middle, far = (shown[10, x] for x in (10, 50, 90))
    assert near[0] > near[2] and far[2] > far[0] and middle[1] > max(near[1], far[1])
    assert not shown[100].any() and not measured[10, 10].any()
    assert np.array_equal(measured[10, 50:120], shown[10, 50:120])
    level = dataclasses.replace(sample.maps, depth_m=np.full((SIZE, SIZE), 0.5, np.float32))
    assert len(np.unique(PANELS["depth"](dataclasses.replace(sample, maps=level)).reshape(-1, 3), axis=0)) == 1


def test_normals_are_colours_of_their_direction():
    sample = fake_sample(3, 1)
    normals = np.zeros((SIZE, SIZE, 3), np.int8)
    normals[:40, :, 2], normals[40:80, :, 0], normals[80:120, :, 1] = -127, 127, 127
    shown = PANELS["normals"](dataclasses.replace(sample, maps=dataclasses.replace(sample.maps, normals=normals)))
    assert shown[10, 0].tolist() == [128, 128, 255]  # towards the camera
    assert shown[50, 0].tolist() == [255, 128, 128] and shown[90, 0].tolist() == [128, 255, 128]
    assert not shown[130].any()


@pytest.mark.parametrize("name", sorted(set(PANELS) - {"plain"}))
def test_what_a_sample_lacks_is_a_black_panel(name):
    sample = dataclasses.replace(dark(), segmentation=None)
    panel = draw_labels(sample, 1, [name])[20:, SIZE:]
    assert panel.shape == (SIZE - 20, SIZE + 3, 3) and not panel.any()


def test_a_label_that_is_neither_is_named_with_those_that_are():
    with pytest.raises(UnknownName, match="skelton") as refused:
        draw_labels(dark(), 1, ["words", "skelton"])
    assert "skeleton" in str(refused.value)


@pytest.mark.parametrize("name", sorted(OVERLAYS))
def test_drawing_leaves_the_sample_alone(name):
    sample = fake_sample(3, 1)
    before = sample.image.copy()
    assert draw_labels(sample, 1, [name]).shape == before.shape and np.array_equal(sample.image, before)


def test_rows_hold_what_belongs_together_and_end_in_black():
    groups = [[fake_sample(3, 3 * row + k, size_px=32) for k in range(count)] for row, count in enumerate((1, 3))]
    sheet = rows_sheet(groups, 1, ())
    assert sheet.shape == (64, 96, 3) and not sheet[:32, 32:].any()
    assert np.array_equal(sheet[:32, :32], groups[0][0].image)
    assert all(np.array_equal(sheet[32:, 32 * k : 32 * k + 32], one.image) for k, one in enumerate(groups[1]))
