import numpy as np

from prehend.pipeline.crops.letterbox import cell_centers, letterbox
from prehend.pipeline.detection.center_maps import decode_hands
from prehend_training.data.frames import DetectorBatches, DetectorDataConfig, detector_targets, draw_affine, seen_hands
from prehend_training.data.stores.datasets import ShardDataset


def with_hand(frames):
    dataset = ShardDataset([frames], "frames")
    return next(record for record in map(dataset.__getitem__, range(12)) if record["hand_count"])


def as_outputs(maps):
    """What a perfect finder would answer."""
    return {
        "hand_heat": np.where(maps["heat"] > 0.999, 20.0, -20.0)[None, None].astype(np.float32),
        "side_logit": (2 * maps["side"] - 1)[None, None] * np.float32(20),
        "hand_box": maps["hand_box"][None],
        "held_logit": (2 * maps["held"] - 1)[None, None] * np.float32(20),
        "object_box": maps["object_box"][None],
    }


def test_the_pipelines_decoding_finds_the_hands_in_perfect_maps(frames):
    folder = ShardDataset([frames], "frames")
    checked = 0
    for index in range(len(folder)):
        record = folder[index]
        picture = letterbox(np.ascontiguousarray(record["image"]), 192)  # the frames' own size
        seen = seen_hands(record, np.eye(2, 3), (0, 0, 192, 192))
        found = decode_hands(as_outputs(detector_targets(seen, 192, 8)), picture, 0.5, 4)
        counting = [hand for hand in seen if hand.counts]
        assert len(found) == len(counting)
        for hand in counting:
            best = max(found, key=lambda answer: answer.box_px.iou(hand.box_px))
            assert best.box_px.iou(hand.box_px) > 0.98
            assert (best.side == "right") == bool(hand.side)
            assert (best.object_box_px is None) == (hand.object_box_px is None)
            if hand.object_box_px is not None:
                assert best.object_box_px.iou(hand.object_box_px) > 0.98
            checked += 1
    assert checked > 3


def test_augmented_maps_and_picture_belong_together(frames):
    """The skeleton is brighter than the noise around it: boxes must hold the bright pixels."""
    config = DetectorDataConfig(size_px=192, photometric=None)
    batch = DetectorBatches(ShardDataset([frames], "frames"), config, 0, 12).batch(0)
    centers = cell_centers(24, 192)
    hits = []
    for row in range(12):
        bright = batch["image"][row][..., 0] > 150
        for y, x in np.argwhere(batch["heat"][row] > 0.999):
            left, top, right, bottom = batch["hand_box"][row][:, y, x]
            x0, y0 = np.maximum([centers[x] - left, centers[y] - top], 0).astype(int)
            x1, y1 = np.array([centers[x] + right, centers[y] + bottom]).astype(int) + 1
            hits.append(bright[y0:y1, x0:x1].mean() > 3 * bright.mean() * 0.5)
    assert len(hits) > 3 and np.mean(hits) > 0.8


def test_segments_show_hands_where_the_boxes_are(frames):
    whole = DetectorDataConfig(size_px=192, hand_p=0, place_p=0, photometric=None)
    batch = DetectorBatches(ShardDataset([frames], "frames"), whole, 0, 12).batch(0)
    assert set(np.unique(batch["segments"])) == {0, 1, 2}
    centers = cell_centers(24, 192)
    for row in range(12):
        hands = np.argwhere(batch["segments"][row] == 1)
        if not batch["heat_weight"][row].all():
            continue  # hands that need not be found are in the segments all the same
        boxes = [
            (np.array([centers[x], centers[y]]), batch["hand_box"][row][:, y, x])
            for y, x in np.argwhere(batch["heat"][row] > 0.999)
        ]
        for y, x in hands:
            place = np.array([centers[x], centers[y]])
            assert any(
                (place >= middle - box[:2] - 8).all() and (place <= middle + box[2:] + 8).all() for middle, box in boxes
            )


def test_views_of_a_hand_show_it_in_the_size_that_was_drawn(frames):
    record = with_hand(frames)
    config = DetectorDataConfig(size_px=128, hand_p=1, place_p=0, hand_px=(40, 60), enlarge=9, turn_rad=0, quarter_p=0)
    for seed in range(20):
        affine = draw_affine(record, config, flip=seed % 2 == 1, rng=np.random.default_rng(seed))
        boxes = [hand.box_px for hand in seen_hands(record, affine, (0, 0, 128, 128), flip=seed % 2 == 1)]
        shown = [box for box in boxes if 39 < max(box.width, box.height) < 61]
        assert any(0 <= x < 128 and 0 <= y < 128 for x, y in (box.center for box in shown))
        assert np.sign(np.linalg.det(affine[:, :2])) == (-1 if seed % 2 else 1)


def test_cells_around_the_centre_know_the_side(frames):
    record = with_hand(frames)
    for flip in (False, True):
        (hand, *_) = seen_hands(record, np.eye(2, 3), (0, 0, 192, 192), flip)
        maps = detector_targets([hand], 192, 8)
        assert (maps["box_weight"] > 0).sum() >= 5 and maps["heat"].max() == 1
        assert (maps["side"][maps["box_weight"] > 0] == hand.side).all()


def test_a_mirrored_frame_swaps_the_sides(frames):
    record = with_hand(frames)
    mirror = np.array([[-1.0, 0, 191], [0, 1, 0]])
    plain = seen_hands(record, np.eye(2, 3), (0, 0, 192, 192))
    flipped = seen_hands(record, mirror, (0, 0, 192, 192), flip=True)
    for a, b in zip(plain, flipped, strict=True):
        assert a.side == 1 - b.side
        assert np.allclose(a.box_px.x0, 191 - b.box_px.x1, atol=1e-3)


def test_hands_that_need_not_be_found_make_no_heat(frames):
    record = dict(with_hand(frames))
    record["visible_ratio"] = np.zeros(4, np.float32)
    maps = detector_targets(seen_hands(record, np.eye(2, 3), (0, 0, 192, 192)), 192, 8)
    assert not maps["heat"].any() and not maps["box_weight"].any() and (maps["heat_weight"] == 0).any()
