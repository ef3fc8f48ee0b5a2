import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import Side
from prehend.errors import InvalidInput
from prehend.geometry.camera import project, rotation_camera_crop
from prehend.pipeline.crops.crop import (
    CROP_SCALE,
    CROP_SIZE,
    HAND_BASE,
    HAND_TOP,
    CropSpec,
    box_in_crop,
    crop_affine,
    cut,
    direction_of,
    region_of,
    whole_crop,
)
from prehend.types import Box, Camera, Region

SIZE = (640, 480)
boxes = st.tuples(st.floats(-50, 600), st.floats(-50, 440), st.floats(5, 900), st.floats(5, 900)).map(
    lambda v: Box(v[0], v[1], v[0] + v[2] + 50, v[1] + v[3] + 50)
)
sides = st.sampled_from(["left", "right"])


def read_places(spec: CropSpec, size: tuple[int, int]) -> np.ndarray:
    """(S, S, 2) place in the image [px] each pixel of a crop comes from: red rises with x, green with y.

    The bytes' rounding cancels between the image and its negative.
    """
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    ramp = np.stack([x, y, np.zeros_like(x)], -1).round().astype(np.uint8)
    grey = (cut(ramp, spec).image[:2] - cut(255 - ramp, spec).image[:2] + 1) / 2
    return grey.transpose(1, 2, 0) * (np.array(size) - 1)


@settings(deadline=None, max_examples=60)
@given(boxes, sides)
def test_points_round_trip_and_the_box_lies_where_it_should(box: Box, side) -> None:
    spec = CropSpec.from_box(box, side, SIZE)
    points = np.random.default_rng(0).uniform(-100, 700, (5, 7, 2))
    np.testing.assert_allclose(spec.to_image(spec.to_crop(points)), points, atol=1e-6)
    np.testing.assert_allclose(spec.to_crop(spec.center_px), (CROP_SIZE - 1) / 2, atol=1e-6)
    corners = spec.to_crop(np.array([[box.x0, box.y0], [box.x1, box.y1]]))
    np.testing.assert_allclose(spec.hand_box, [*corners.min(0), *corners.max(0)], atol=1e-3)
    # the longer side of the box takes 1 / CROP_SCALE of the crop, and both axes have one scale
    assert np.isclose((spec.hand_box[2:] - spec.hand_box[:2]).max(), CROP_SIZE / CROP_SCALE, atol=1e-3)
    assert np.isclose(spec.scale, CROP_SIZE / (CROP_SCALE * max(box.width, box.height)))


@settings(deadline=None, max_examples=30)
@given(boxes)
def test_a_left_crop_is_the_right_crop_of_the_mirrored_picture(box: Box) -> None:
    flipped = Box(SIZE[0] - 1 - box.x1, box.y0, SIZE[0] - 1 - box.x0, box.y1)
    thing = Box(box.x0 + 10, box.y0, box.x1 + 30, box.y1 - 5)
    thing_flipped = Box(SIZE[0] - 1 - thing.x1, thing.y0, SIZE[0] - 1 - thing.x0, thing.y1)
    left = CropSpec.from_box(box, "left", SIZE, thing)
    right = CropSpec.from_box(flipped, "right", SIZE, thing_flipped)
    points = np.random.default_rng(1).uniform(0, 480, (9, 2))
    np.testing.assert_allclose(left.to_crop(points), right.to_crop(points * [-1, 1] + [SIZE[0] - 1, 0]), atol=1e-6)
    np.testing.assert_allclose(left.hand_box, right.hand_box, atol=1e-3)
    np.testing.assert_allclose(left.object_box, right.object_box, atol=1e-3)
    assert left.mirrored
    assert not right.mirrored


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("half", [9, 40, 100, 180])
def test_pixels_come_from_where_the_map_says(side, half: int) -> None:
    size = (256, 256)  # one grey value a pixel
    spec = CropSpec.from_box(Box(120 - half, 110 - half, 120 + half, 110 + half), side, size)
    grid = np.stack(np.meshgrid(np.arange(CROP_SIZE), np.arange(CROP_SIZE)), -1)
    expected = spec.to_image(grid)
    margin = 2 / spec.scale + 1
    inside = ((expected > margin) & (expected < np.array(size) - 1 - margin)).all(-1)
    assert inside.mean() > 0.1
    error = (read_places(spec, size) - expected)[inside]
    assert np.abs(error).max() < 0.8
    assert np.abs(error.mean(0)).max() < 0.05


def test_crop_is_float_rgb_in_unit_range_and_black_beyond_the_image() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    crop = cut(white, CropSpec.from_box(Box(-40, -40, 40, 40), "right", (100, 100)))
    assert crop.image.shape == (3, CROP_SIZE, CROP_SIZE)
    assert crop.image.dtype == np.float32
    assert crop.image.flags.c_contiguous
    assert crop.image[:, 0, 0].max() == 0
    assert crop.image[:, -1, -1].min() == 1
    share = (crop.image[0] > 0.5).mean()
    assert abs(share - (64 / 128) ** 2) < 0.02, "a quarter of the crop shows the image"


def test_a_picture_far_larger_than_the_crop_is_averaged_and_not_sampled() -> None:
    checker = (np.indices((1600, 1600)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, -1)
    crop = cut(checker, CropSpec.from_box(Box(300, 300, 1300, 1300), "right", (1600, 1600)))
    np.testing.assert_allclose(crop.image, 0.5, atol=0.05)


@pytest.mark.parametrize("size", [(1, 1), (7680, 4320), (40, 2000)])
def test_any_image_size_works(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    crop = cut(image, CropSpec.from_box(Box(-0.5, -0.5, size[0] - 0.5, size[1] - 0.5), "left", size))
    assert np.isfinite(crop.image).all()
    assert crop.image.max() > 0.9


def test_a_box_far_larger_than_the_image_is_cheap_and_mostly_black() -> None:
    image = np.full((480, 640, 3), 255, np.uint8)
    crop = cut(image, CropSpec.from_box(Box(-1e7, -1e7, 1e7, 1e7), "right", SIZE))
    assert crop.image.mean() < 0.01


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box(700, 10, 800, 90), "does not touch the image of 640 x 480"),
        (Box(10, -90, 80, -5), "does not touch"),
        (Box(10, 10, 10, 10), "no size"),
        (Box(50, 10, 20, 90), "no size"),
        (Box(float("nan"), 10, 20, 90), "not finite"),
        (Box(0, 0, float("inf"), 90), "not finite"),
    ],
)
def test_boxes_that_are_none_are_refused_in_one_line(box: Box, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        CropSpec.from_box(box, "right", SIZE)
    assert "\n" not in str(caught.value)


def test_without_an_object_box_the_object_stage_looks_at_the_whole_crop() -> None:
    hand = Box(100, 100, 200, 200)
    for thing in (None, Box(600, 400, 630, 470), Box(float("nan"), 0, 1, 1), Box(150, 150, 150.5, 190)):
        np.testing.assert_array_equal(CropSpec.from_box(hand, "right", SIZE, thing).object_box, whole_crop())


def test_object_boxes_may_reach_beyond_the_crop_but_not_without_end() -> None:
    hand = Box(100, 100, 200, 200)
    near = CropSpec.from_box(hand, "right", SIZE, Box(120, 90, 290, 180))
    # a square of the longer side about the same middle
    expected = near.to_crop(np.array([[120.0, 50], [290, 220]])).ravel()
    np.testing.assert_allclose(near.object_box, expected, atol=1e-4)
    far = CropSpec.from_box(hand, "right", SIZE, Box(-1e6, -1e6, 1e6, 1e6))
    np.testing.assert_array_equal(far.object_box, [-CROP_SIZE, -CROP_SIZE, 2 * CROP_SIZE, 2 * CROP_SIZE])


def test_the_crop_does_not_depend_on_the_object() -> None:
    hand = Box(100, 100, 200, 170)
    alone, holding = (CropSpec.from_box(hand, "left", SIZE, thing) for thing in (None, Box(150, 90, 260, 200)))
    np.testing.assert_array_equal(alone.affine, holding.affine)
    np.testing.assert_array_equal(alone.hand_box, holding.hand_box)


def test_training_and_robot_use_one_map() -> None:
    box = Box(100, 120, 200, 170)
    np.testing.assert_array_equal(CropSpec.from_box(box, "right", SIZE).affine, crop_affine(Region.of_box(box)))
    np.testing.assert_allclose(
        box_in_crop(box, CropSpec.from_box(box, "left", SIZE).affine), CropSpec.from_box(box, "left", SIZE).hand_box
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_crop_for_the_other_side_is_the_mirror_image(side) -> None:
    other = "left" if side == "right" else "right"
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    box, thing = Box(31.2, 20.7, 71.9, 66.1), Box(50, 30, 100, 70)
    crop = cut(image, CropSpec.from_box(box, side, (120, 90), thing))
    flipped, wanted = crop.for_other_side(), CropSpec.from_box(box, other, (120, 90), thing)
    np.testing.assert_allclose(flipped.spec.affine, wanted.affine, atol=1e-9)
    np.testing.assert_allclose(flipped.spec.hand_box, wanted.hand_box, atol=1e-4)
    np.testing.assert_allclose(flipped.spec.object_box, wanted.object_box, atol=1e-4)
    assert flipped.spec.mirrored == wanted.mirrored
    # OpenCV places samples to 1/32 of a pixel
    assert np.abs(flipped.image - cut(image, wanted).image).mean() < 0.02
    np.testing.assert_array_equal(flipped.for_other_side().image, crop.image)


ANGLES = st.floats(-np.pi, np.pi)


@pytest.mark.parametrize("side", ["left", "right"])
@given(turn=ANGLES, seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_hand_points_up_in_its_crop_and_its_joints_fill_the_hand_box(side: Side, turn: float, seed: int) -> None:
    joints = np.random.default_rng(seed).uniform(60, 140, (21, 2))
    joints[HAND_BASE] = [100, 100]
    joints[HAND_TOP] = joints[HAND_BASE] + 30 * np.array([np.sin(turn), -np.cos(turn)])
    spec = CropSpec.from_region(region_of(joints), side, SIZE)
    assert np.isclose(np.cos(direction_of(joints) - turn), 1)
    seen = spec.to_crop(joints)
    up = seen[HAND_TOP] - seen[HAND_BASE]
    np.testing.assert_allclose(up / np.linalg.norm(up), [0, -1], atol=1e-6)
    np.testing.assert_allclose(np.concatenate([seen.min(0), seen.max(0)]), spec.hand_box, atol=1e-3)
    np.testing.assert_allclose(spec.to_image(seen), joints, atol=1e-9)


@given(turn=ANGLES, x=st.floats(0, 199), y=st.floats(0, 149))
@settings(max_examples=40, deadline=None)
def test_the_virtual_camera_of_a_turned_crop_is_turned_as_its_pixels_are(turn: float, x: float, y: float) -> None:
    camera = Camera(np.array([[180.0, 0, 99.5], [0, 180.0, 74.5], [0, 0, 1]]), 200, 150)
    spec = CropSpec.from_region(Region((x, y), 60, 40, turn), "right", (200, 150))
    R = rotation_camera_crop(spec.center_px, camera, spec.turn_rad)
    ahead, up = project(np.array([[0, 0, 0.5], [0, -0.001, 0.5]]) @ R.T, camera)
    np.testing.assert_allclose(ahead, spec.center_px, atol=1e-6)
    step = spec.to_crop(up) - spec.to_crop(ahead)
    # along the image's radius pixels are stretched off the axis, hence not exactly up
    assert step[1] < 0
    assert abs(step[0]) < 0.25 * abs(step[1])


def test_a_region_without_a_turn_is_its_box_and_a_turned_one_contains_its_points() -> None:
    box = Box(10, 20, 50, 40)
    assert Region.of_box(box).box == box
    points = np.random.default_rng(0).uniform(0, 100, (21, 2))
    for turn in (0.0, 0.3, -2.0, np.pi / 2):
        around = Region.around(points, turn).box
        assert (points >= [around.x0 - 1e-9, around.y0 - 1e-9]).all()
        assert (points <= [around.x1 + 1e-9, around.y1 + 1e-9]).all()


def test_a_region_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidInput, match="finite"):
        CropSpec.from_region(Region((np.nan, 0.0), 10, 10), "right", SIZE)
