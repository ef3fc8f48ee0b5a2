"""Sheets of folders and photographs, and of what a network gets with its targets drawn back."""

import cv2
import numpy as np
import pytest
from fake import fake_sample, write_fake

from prehend.errors import AssetError, InvalidInput
from prehend.types import Box
from prehend_training.data.crop_targets import from_box
from prehend_training.data.stores.photographs import PhotoChoice
from prehend_training.inspect.batches import (
    PHOTO_PX,
    batch_sheet,
    crop_tile,
    folder_sheet,
    frame_tile,
    photo_sheet,
    write_picture,
)
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.presets import preset

SIZE = 160
ZOOM = 3


@pytest.mark.parametrize(("count", "columns", "first"), [(3, 2, 0), (4, None, 2), (None, 5, 20), (1, 1, 23)])
def test_a_sheet_of_a_folder_begins_at_a_sample_and_goes_on_row_by_row(count, columns, first, crops):
    sheet = folder_sheet(crops, (), count, columns, first, scale=1)
    shown = range(first, min(first + (count or 24), 24))
    across = min(columns or 6, len(shown))
    assert sheet.shape == (SIZE * -(-len(shown) // across), SIZE * across, 3)
    for place, index in enumerate(shown):
        y, x = SIZE * (place // across), SIZE * (place % across)
        assert np.array_equal(sheet[y : y + SIZE, x : x + SIZE], fake_sample(3, index).image)


def test_a_sequence_is_a_row_from_its_first_frame_to_its_last(films):
    folder = ShardFolder.open(films)
    units = folder.units()
    sheet = folder_sheet(films, (), count=2, columns=3, first=1, scale=1)
    assert sheet.shape == (2 * SIZE, 3 * SIZE, 3)
    for row, unit in enumerate(units[1:3]):
        for column, index in ((0, unit[0]), (2, unit[-1])):
            shown = sheet[SIZE * row : SIZE * (row + 1), SIZE * column : SIZE * (column + 1)]
            assert np.array_equal(shown, folder[index].image)


@pytest.mark.parametrize("view_groups", [False, True])
def test_nothing_is_left_to_show_beyond_the_end(view_groups, moments):
    with pytest.raises(InvalidInput, match="none from number 30 on"):
        folder_sheet(moments, (), first=30, view_groups=view_groups)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three photographs, twice as wide as high, red above and blue below, with a hand each in the left half."""
    folder = tmp_path_factory.mktemp("photographs")
    photos = []
    for number in range(3):
        image = np.zeros((400, 800, 3), np.uint8)
        image[:200, :, 0], image[200:, :, 2] = 150, 150
        image[:, :, 1] = 60 * number
        points = np.random.default_rng(number).uniform([80, 120], [260, 300], (21, 2))
        cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1])
        hand = PhotoHand(Box.around(points), points, None, "left")
        photos.append(Photo(f"{number}.png", (800, 400), (hand,), True, split="train"))
    write_labels(folder / "labels.json", PhotoLabels(folder, tuple(photos)))
    return PhotoChoice(folder / "labels.json")


def test_photographs_stand_upright_in_order_with_their_hands_drawn_where_they_are(photographs):
    plain = photo_sheet(photographs, (), columns=3)
    assert plain.shape[1] == 3 * PHOTO_PX and max(plain.shape[0], plain.shape[1] // 3) == PHOTO_PX
    for number in range(3):
        tile = plain[:, PHOTO_PX * number : PHOTO_PX * (number + 1)].astype(int)
        middle = tile[:, PHOTO_PX // 2]
        red, blue = (np.flatnonzero(middle[:, k] > 100) for k in (0, 2))
        assert len(red) > 20 and len(blue) > 20 and red.max() < blue.min()
        assert abs(np.median(tile[tile.max(-1) > 100][:, 1]) - 60 * number) < 12
    drawn = photo_sheet(photographs, ["skeleton"], columns=3)
    changed = np.abs(drawn.astype(int) - plain).max(-1) > 60
    for number in range(3):  # the hand is as large on its tile as REACH lets it be, and in its middle
        ys, xs = np.nonzero(changed[:, PHOTO_PX * number : PHOTO_PX * (number + 1)])
        assert abs(xs.mean() - PHOTO_PX / 2) < 0.2 * PHOTO_PX and 0.15 < np.ptp(xs) / PHOTO_PX < 0.5 and len(ys) > 200


def test_photographs_are_shown_from_a_number_on(photographs):
    whole, last = photo_sheet(photographs, (), columns=3), photo_sheet(photographs, (), first=2)
    assert np.array_equal(last, whole[:, -PHOTO_PX:])
    with pytest.raises(InvalidInput, match="has 3 hands: none from number 3 on"):
        photo_sheet(photographs, first=3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".PNG"])
def test_a_picture_keeps_its_colours_and_its_folder_is_made(suffix, tmp_path):
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0], image[:8, :, 1] = 200, 90
    write_picture(tmp_path / "deep" / f"sheet{suffix}", image)
    read = cv2.imread(str(tmp_path / "deep" / f"sheet{suffix}"))[..., ::-1].astype(int)
    assert read.shape == image.shape and np.abs(read - image)[[1, 14]].max() < (12 if suffix == ".jpg" else 1)


@pytest.mark.parametrize("name", ["sheet", "sheet.gif", "sheet.txt", "folder.png"])
def test_a_name_that_no_picture_can_have_is_told(name, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidInput, match=r"cannot be written: does it end with \.png or \.jpg"):
        write_picture(tmp_path / name, np.zeros((4, 4, 3), np.uint8))


@pytest.fixture(scope="module")
def samples(crops):
    arrays = preset("debug-unihope").samples([crops], 8, augment=False)
    return [{name: value[row] for name, value in arrays.items()} for row in range(8)]


def marks(sample, colour=(0, 255, 255)):
    """Middle of what is drawn in a colour on the tile of a crop [px of the tile]."""
    rows, columns = np.nonzero((crop_tile(sample) == colour).all(-1))
    return np.array([columns.mean(), rows.mean()]), len(rows)


def test_mesh_and_keypoints_lie_on_each_other_or_the_label_is_seen_to_be_wrong(samples):
    known = [one for one in samples if one["presence"] and one["has_pose"] and one["has_joints"]]
    assert len(known) > 3
    for sample in known:
        middle = (from_box(sample["keypoints"], sample["hand_box"]).mean(0) + 0.5) * ZOOM
        size = ZOOM * np.ptp(from_box(sample["keypoints"], sample["hand_box"]), axis=0).max()
        at, count = marks(sample)
        assert count > 50 and np.linalg.norm(at - middle) < 0.3 * size
        moved = {**sample, "root": sample["root"] + np.array([0.08, 0, 0], np.float32)}
        assert np.linalg.norm(marks(moved)[0] - middle) > 0.3 * size


def test_a_place_without_a_hand_has_its_box_and_the_word_alone(samples):
    sample = {**samples[0], "presence": np.float32(0), "has_twin": np.float32(0)}
    tile = crop_tile(sample)
    plain = cv2.resize(sample["image"], None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
    changed = (tile != plain).any(-1)
    assert changed.any() and changed.mean() < 0.05 and marks({**samples[0], "presence": np.float32(1)})[1] > 0


def test_a_twin_stands_in_the_corner_where_it_is_another_picture(samples):
    sample = next(one for one in samples if one["has_twin"])
    white = {**sample, "image_deoccluded": np.full_like(sample["image"], 255)}
    corner = crop_tile(white)[-len(sample["image"]) :, -len(sample["image"]) :]
    assert (corner == 255).all(-1).mean() > 0.6
    same = crop_tile({**sample, "image_deoccluded": sample["image"]})
    alone = crop_tile({**sample, "has_twin": np.float32(0)})
    assert np.array_equal(same, alone)


def test_a_batch_is_shown_sample_by_sample(crops, samples):
    sheet = batch_sheet(preset("debug-unihope"), [crops], 8, 3, augment=False)
    side = ZOOM * len(samples[0]["image"])
    assert sheet.shape == (3 * side, 3 * side, 3) and not sheet[2 * side :, 2 * side :].any()
    for number, sample in enumerate(samples):
        y, x = side * (number // 3), side * (number % 3)
        assert np.array_equal(sheet[y : y + side, x : x + side], crop_tile(sample))


@pytest.fixture(scope="module")
def maps(frames):
    arrays = preset("debug-detector").samples([frames], 10)
    return [{name: value[row] for name, value in arrays.items()} for row in range(10)]


def test_a_frame_has_a_box_at_each_centre_of_heat_in_the_colour_of_its_side(maps):
    colours = ((255, 90, 90), (90, 200, 255))
    with_hands = [one for one in maps if (one["heat"] > 0.999).any()]
    assert with_hands and len(with_hands) < len(maps)
    for sample in maps:
        tile = frame_tile(sample)
        assert tile.shape[0] == 2 * len(sample["image"])
        sides = {int(side) for side in np.asarray(sample["side"])[sample["heat"] > 0.999]}
        for side, colour in enumerate(colours):
            assert (tile == colour).all(-1).any() == (side in sides)


def test_a_heat_that_moves_moves_its_box(maps):
    """By the filled disc in its middle: lines and letters are thinner."""
    sample = next(one for one in maps if (one["heat"] > 0.999).sum() == 1 and one["heat"][..., -1].max() < 0.999)
    side = int(sample["side"][sample["heat"] > 0.999][0])
    colour = ((255, 90, 90), (90, 200, 255))[side]

    def middle(one):
        drawn = (frame_tile(one) == colour).all(-1).astype(np.uint8)
        rows, columns = np.nonzero(cv2.erode(drawn, np.ones((5, 5), np.uint8)))
        return np.array([columns.mean(), rows.mean()])

    names = ("heat", "side", "held", "object_weight", "heat_weight")
    rolled = {**sample, **{name: np.roll(sample[name], 1, -1) for name in (*names, "hand_box", "object_box")}}
    cell = 2 * len(sample["image"]) / sample["heat"].shape[-1]
    step = middle(rolled) - middle(sample)
    assert abs(step[0] - cell) <= 1 and abs(step[1]) <= 1


def test_a_preset_of_other_pictures_is_refused(tmp_path):
    write_fake(tmp_path, "frames", 2, size_px=64)
    with pytest.raises(AssetError, match="crops"):
        batch_sheet(preset("debug-unihope"), [tmp_path], 2, 2)
