import numpy as np
import pytest

from prehend.draw.labels import distance_text, draw_label
from prehend.draw.overlay import FINGER_COLOUR, OverlayOptions, draw
from prehend.errors import InvalidInput
from prehend.types import GraspEstimate

BARE = OverlayOptions(mesh=False, skeleton=False, objects=False, labels=False)
SKELETON = OverlayOptions(mesh=False, objects=False, labels=False)


def picture(width, height, level=90):
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((640, 480), (640, 480)), ((256, 192), (768, 576)), ((1, 1), (640, 640)), ((4000, 2000), (1920, 960))],
)
def test_small_images_grow_by_whole_numbers_and_large_ones_shrink(make_result, faces, size, drawn):
    out = draw(picture(*size), make_result(*size), faces)
    assert out.shape == (drawn[1], drawn[0], 3) and out.dtype == np.uint8


def test_the_image_is_left_alone_and_every_layer_changes_the_picture(make_result, faces):
    image, result = picture(640, 480), make_result(640, 480, {}, holds=True)
    plain = draw(image, result, faces, BARE)
    assert np.array_equal(plain, image)
    for layer in ("mesh", "skeleton", "objects", "labels"):
        with_layer = draw(image, result, faces, OverlayOptions(**{**vars(BARE), layer: True}))
        assert not np.array_equal(with_layer, plain), layer
    assert (image == 90).all()


def test_joints_lie_where_the_keypoints_say_at_every_size(make_result, faces):
    for width, height in ((256, 192), (640, 480), (3840, 2880)):
        result = make_result(width, height, {})
        out = draw(picture(width, height), result, faces, SKELETON)
        scale = out.shape[1] / width
        for joint in (4, 8, 12, 16, 20):
            x, y = np.round((result.hands[0].keypoints_px[joint] + 0.5) * scale - 0.5).astype(int)
            assert out[y, x].min() > 200  # the white heart of a visible joint


def test_hidden_joints_are_hollow(make_result, faces):
    visible = np.ones(21, bool)
    visible[8] = False
    result = make_result(640, 480, {"visible": visible})
    out = draw(picture(640, 480), result, faces, SKELETON).astype(int)
    x, y = np.round(result.hands[0].keypoints_px[8]).astype(int)
    around = out[y - 9 : y + 10, x - 9 : x + 10].reshape(-1, 3)
    assert np.abs(out[y, x] - 90).max() < 90  # no white heart
    assert (np.abs(around - FINGER_COLOUR["index"]).max(-1) < 40).any()


def test_what_is_not_there_is_not_drawn(make_result, faces):
    image = picture(640, 480)
    nowhere = make_result(640, 480, {"keypoints_px": np.full((21, 2), np.nan), "vertices_m": np.full((1596, 3), -1.0)})
    assert np.array_equal(draw(image, nowhere, faces, OverlayOptions(labels=False)), image)
    outside = make_result(640, 480, {"wrist_m": (9, 9, 0.5)})
    assert np.array_equal(draw(image, outside, faces, OverlayOptions(labels=False)), image)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (320, 240), (3000, 40)])
def test_any_image_and_any_probability_can_be_drawn(make_result, faces, size):
    for probability in (0.0, 1.0, float("nan")):
        hand = {"grasp": GraspEstimate("unknown", probability), "wrist_m": (0, 0, 0.2)}
        out = draw(picture(*size), make_result(*size, hand, {"side": "left"}, estimated=True, holds=False), faces)
        assert out.ndim == 3


def test_plates_stay_in_the_picture_and_apart(make_result):
    canvas = picture(640, 480)
    hands = make_result(
        640, 480, {"wrist_m": (-0.1, 0, 0.6)}, {"wrist_m": (-0.05, 0, 0.6)}, {"wrist_m": (-0.08, 0.02, 0.6)}
    ).hands
    taken = []
    for hand in hands:
        draw_label(canvas, hand, hand.keypoints_px, False, [h.box_px for h in hands], taken)
    assert len(taken) == 3
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 640 and box.y1 <= 480 for box in taken)
    assert all(a.iou(b) == 0 for i, a in enumerate(taken) for b in taken[:i])


def test_a_distance_says_when_it_is_assumed(make_result):
    (hand,) = make_result(640, 480, {"wrist_m": (0, 0, 0.5)}).hands
    assert distance_text(hand, False) == "0.50 m" and "assumed" in distance_text(hand, True)


def test_wrong_images_are_refused(make_result, faces):
    with pytest.raises(InvalidInput, match="uint8"):
        draw(np.zeros((4, 4, 3)), make_result(4, 4), faces)
