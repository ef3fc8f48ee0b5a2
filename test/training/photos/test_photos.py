"""Labelled photographs as what training learns from."""

import dataclasses
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from photo_work import Knows, labelled, write_photos

from prehend.conventions import SIDES
from prehend.errors import AssetError, SourceError
from prehend.hand_model.asset import load_hand_model
from prehend.models.hand_object.outputs import EncodeOutput, HandOutput
from prehend.types import Box
from prehend_training.cli.main import main
from prehend_training.data.crop_targets import from_box
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.records import record_of
from prehend_training.data.stores.datasets import WINDOW, MixedDataset, ShardDataset
from prehend_training.data.stores.open import Mixture, describe_data, open_training_data
from prehend_training.data.stores.photographs import (
    PLACE_EVERY,
    VARIANTS,
    PhotoChoice,
    PhotoDataset,
    cut_out,
    hand_label,
    place_in,
)
from prehend_training.data.views import mirror_left
from prehend_training.losses.crop import SampledHand, hand_terms, map_terms, switch_terms
from prehend_training.losses.paper import paper_hand_terms
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, read_labels
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run


@pytest.fixture(scope="module")
def truth_and_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    truth = write_photos(folder, 8)
    labelled(folder, Knows(truth, noise=0.0))
    return truth, folder


@pytest.fixture(scope="module")
def path(truth_and_folder):
    return truth_and_folder[1] / "labels.json"


@pytest.fixture
def dataset(path):
    return PhotoDataset(read_labels(path))


CONFIG = CropDataConfig(absent_p=0.0, wrong_side_p=0.0)


def test_crops_show_the_hands_where_the_labels_say(truth_and_folder, dataset):
    """The pixels at the joints of a crop are those of the photograph, and so is the side."""
    truth, folder = truth_and_folder
    for index, (photo, row) in enumerate(dataset.hands):
        sample, hand = dataset.sample(index), photo.hands[row]
        if hand.keypoints_px is None:
            continue
        assert hand.side == truth[photo.path.split("/")[1]][0][1] == sample.hands[0].side
        whole = cv2.imread(str(folder / photo.path))[..., ::-1].astype(int)
        here, there = (np.rint(p).astype(int) for p in (sample.hands[0].keypoints_px, hand.keypoints_px))
        seen = sample.image[here[:, 1], here[:, 0]].astype(int)
        assert np.abs(seen - whole[there[:, 1], there[:, 0]]).mean() < 12  # JPEG
        assert sample.camera.estimated and sample.hands[0].visible.all()


def test_batches_depend_on_seed_and_step_alone(dataset, path):
    config = dataclasses.replace(CONFIG, absent_p=0.3, wrong_side_p=0.3)
    first, again = (CropBatches(source, config, 3, 12) for source in (dataset, PhotoDataset(read_labels(path))))
    again.batch(7)  # what was seen before does not matter
    for name, value in first.batch(2).items():
        assert np.array_equal(value, again.batch(2)[name]), name
        assert np.isfinite(value).all(), name
    parts = [first.batch(2, (k, 3))["image"] for k in range(3)]
    assert np.array_equal(np.concatenate(parts), first.batch(2)["image"])
    other = CropBatches(dataset, config, 4, 12).batch(2)
    assert not np.array_equal(other["image"], first.batch(2)["image"])


def test_every_hand_comes_once_an_epoch_and_places_in_their_share(dataset):
    draws = dataset.indices(1, 0, PLACE_EVERY * len(dataset.hands))
    places = [index for index in draws if index >= len(dataset.hands)]
    assert len(places) == len(dataset.hands)
    hands = [index for index in draws if index < len(dataset.hands)]
    first = hands[: len(dataset.hands)]
    assert sorted(first) == list(range(len(dataset.hands)))
    assert len({(index - len(dataset.hands)) // VARIANTS for index in places}) > 1
    one_by_one = [dataset.indices(1, step, 1)[0] for step in range(len(draws))]
    assert one_by_one == draws


def test_what_is_not_known_is_marked(dataset):
    for index, (photo, row) in enumerate(dataset.hands):
        record, hand = dataset[index], photo.hands[row]
        marks = {name: bool(record[name].all()) for name in record if name.startswith("has_")}
        known = {"has_keypoints": hand.keypoints_px is not None, "has_side": hand.side is not None}
        known["has_beside"] = photo.all_hands_labelled and len(photo.hands) == 1
        assert marks == dict.fromkeys(marks, False) | known
        assert not record["joints_m"].any() and not record["rotations"].any()
        box = Box.around(record["keypoints_px"][0])
        assert max(box.width, box.height) > 10  # of a hand with a box alone too


def alone(dataset):
    return next(k for k, (photo, row) in enumerate(dataset.hands) if photo.hands[row].keypoints_px is None)


def test_a_hand_with_a_box_alone_fills_the_crop_and_teaches_presence(dataset):
    source = CropBatches(dataset, exact(CONFIG), 1, 4)
    sample = source.sample(alone(dataset), np.random.default_rng(0))
    assert sample["presence"] == 1 and not sample["has_keypoints"] and not sample["has_side"]
    corners = from_box(sample["keypoints"], sample["hand_box"])
    assert np.allclose(Box.around(corners).as_array(), sample["hand_box"], atol=0.01)


def test_a_left_hand_of_a_photograph_is_mirrored_with_its_places(dataset):
    lefts = [k for k, (photo, row) in enumerate(dataset.hands) if photo.hands[row].side == "left"]
    record = dataset[lefts[0]]
    turned = mirror_left(record)
    width = record["image"].shape[1]
    assert np.allclose(turned["keypoints_px"][0, :, 0], width - 1 - record["keypoints_px"][0, :, 0], atol=1e-3)
    assert SIDES[int(turned["side"][0])] == "right" and not turned["joints_m"].any() and not turned["rotations"].any()
    sample = CropBatches(dataset, CONFIG, 1, 4).sample(lefts[0], np.random.default_rng(0))
    assert sample["right"] == 1


def garbled(batch, rng):
    """With other numbers wherever the labels say that they are not known."""
    void = {
        "has_keypoints": ("keypoints",),
        "has_joints": ("joints", "root"),
        "has_pose": ("rotations", "betas"),
        "has_grasp": ("grasp",),
        "has_side": ("right",),
        "has_visible": ("visible",),
        "has_segments": ("segments",),
    }
    result = dict(batch)
    for mark, names in void.items():
        unknown = (batch[mark] == 0) | (batch["presence"] == 0) if mark != "has_segments" else batch[mark] == 0
        for name in names:
            other = torch.as_tensor(rng.random(batch[name].shape) > 0.5).to(batch[name].dtype)
            mask = unknown.view(-1, *[1] * (other.dim() - 1))
            result[name] = torch.where(mask, other, batch[name])
    return result


@pytest.mark.parametrize("terms_of", [hand_terms, paper_hand_terms])
def test_what_is_not_known_costs_exactly_nothing(dataset, terms_of):
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    rows = [*range(len(dataset.hands)), len(dataset.hands), len(dataset.hands) + VARIANTS]
    source = CropBatches(dataset, CONFIG, 1, len(rows))
    samples = [source.sample(row, np.random.default_rng(row)) for row in rows]
    batch = to_tensors({name: np.stack([e[name] for e in samples]) for name in samples[0]}, "cpu")
    assert 0 < batch["has_keypoints"][batch["presence"] > 0].sum() < batch["presence"].sum() < len(rows)

    def random(*shape):
        return torch.randn(len(rows), *shape, generator=torch_rng)

    answer = HandOutput(random(21, 2), random(16, 3, 3), random(10), random(21), random(8))
    encoded = EncodeOutput(random(1), random(1), random(1), random(1), random(1))
    read = {"dense": random(24, 32, 32), "coarse": random(21, 3)}
    hand = SampledHand(load_hand_model(), count=30)

    def terms(target):
        return terms_of(answer, target, hand) | switch_terms(encoded, target) | map_terms(read, target)

    before, after = terms(batch), terms(garbled(batch, rng))
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    for name in ("joints", "vertices", "visibility", "segments", "coarse_joints"):
        assert before[name] == 0, name
    for name in ("keypoints", "dense_heatmaps", "side", "presence"):
        assert before[name] > 0, name


def test_places_are_squares_without_a_hand(dataset):
    starts = range(len(dataset.hands), len(dataset), VARIANTS)
    shown = set()
    for start in starts:
        for variant in range(0, VARIANTS, 37):
            record = dataset[start + variant]
            height, width = record["image"].shape[:2]
            assert record["hand_count"] == 0 and abs(height - width) <= 1 and height >= 24
            shown.add(record["image"].tobytes())
    assert len(shown) > len(starts)  # other squares of the same photograph
    sample = CropBatches(dataset, CONFIG, 1, 4).sample(len(dataset.hands) + 3, np.random.default_rng(0))
    assert sample["presence"] == 0 and sample["image"].shape == (128, 128, 3)


def test_a_place_stays_away_from_known_hands():
    hand = PhotoHand(Box(100, 80, 180, 160))
    photo = Photo("a.png", (320, 240), (hand,), True)
    for variant in range(200):
        box = place_in(photo, np.random.default_rng(variant))
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 320 and box.y1 <= 240
        x, y = box.center
        assert not (100 < x < 180 and 80 < y < 160) and box.iou(hand.box_px) < 0.2


@pytest.mark.parametrize(("box", "room"), [((5, 5, 95, 95), False), ((0, 0, 40, 99), True), ((30, 30, 70, 70), False)])
def test_a_photograph_full_of_hand_gives_no_places(box, room):
    photo = Photo("hands/1_pic.png", (100, 100), (PhotoHand(Box(*box)),), True)
    dataset = PhotoDataset(PhotoLabels(Path(), (photo,)))
    assert len(dataset.places) == room
    for variant in range(50 * room):
        assert place_in(photo, np.random.default_rng(variant)).iou(photo.hands[0].box_px) < 0.1


def test_a_piece_beyond_the_picture_keeps_its_map():
    image = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3)).copy()
    for box, whole in ((Box(-30, 10, 60, 100), True), (Box(-30, 10, 60, 100), False), (Box(20, -900, 1000, 80), False)):
        piece, cut = cut_out(image, box, whole)
        assert max(piece.shape[:2]) <= 400
        points = np.array([[30.0, 40.0], [50.0, 60.0]]) @ cut[:, :2].T + cut[:, 2]
        x, y = np.rint(points).astype(int).T
        assert np.abs(piece[y, x, 0].astype(int) - [30, 50]).max() <= 1
    large, cut = cut_out(np.zeros((900, 900, 3), np.uint8), Box(0, 0, 899, 899))
    assert large.shape == (400, 400, 3) and np.allclose(cut @ [899.5, 899.5, 1], 399.5)


def test_joints_beyond_the_piece_are_not_visible():
    keypoints = np.full((21, 2), 50.0)
    keypoints[8] = [130, 50]
    hand = PhotoHand(Box(40, 40, 130, 60), keypoints)
    label = hand_label(hand, np.eye(2, 3), (100, 100))
    assert not label.visible[8] and label.visible.sum() == 20 and not label.side_known


def test_photographs_without_hands_are_backgrounds(dataset):
    record = dataset.backdrop(np.random.default_rng(0))
    assert record["image"].shape == (120, 160, 3) and not record["segmentation"].any()


def test_photographs_mix_with_scenes_by_share(path, crops):
    data = Mixture((([crops], 3.0), (PhotoChoice(path), 1.0)))
    mixed = open_training_data(data, "crops")
    assert isinstance(mixed, MixedDataset)
    which = [index % 2 for index in mixed.indices(0, 0, WINDOW)]
    assert sum(which) == WINDOW // 4
    batch = CropBatches(mixed, CONFIG, 0, 64).batch(0)
    assert 0 < batch["has_pose"].sum() < 64
    counts = describe_data(data)
    assert [entry["weight"] for entry in counts] == [3.0, 1.0]
    photos = counts[1]
    assert photos["hands"] == photos["hands_with_keypoints"] + 1 and photos["pictures_for_places"] > 0
    assert {source["licence"] for source in photos["sources"]} == {"MIT", "CC0-1.0"}
    assert photos["origins"]["keypoints_px by teacher that knows"] == photos["hands_with_keypoints"]
    json.dumps(counts)


def test_training_on_a_mixture_says_what_was_seen(path, crops, tmp_path):
    data = Mixture((([crops], 1.0), (PhotoChoice(path), 1.0)))
    chosen = preset("debug-unihope")
    train_run(Training(chosen, data, tmp_path / "run", Budget(steps=2)), Machine())
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "HandsDataset" not in json.dumps(told) and "CC0-1.0" in json.dumps(told)


def test_splits_share_no_session(path):
    train, validation = (PhotoDataset(read_labels(path), split) for split in ("train", "validation"))
    sessions = [{photo.session for photo, _ in dataset.hands} for dataset in (train, validation)]
    assert sessions[1] == {"hands/9"} and not sessions[0] & sessions[1]
    with pytest.raises(SourceError, match="train, validation"):
        PhotoDataset(read_labels(path), "test")


def test_a_corpus_can_be_sent_to_a_worker(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(again[0]["image"], dataset[0]["image"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda photo, folder: (folder / photo.path).unlink(), "no such file"),
        (lambda photo, folder: cv2.imwrite(str(folder / photo.path), np.zeros((9, 9, 3), np.uint8)), "9 x 9"),
    ],
)
def test_a_photograph_that_is_gone_or_another_is_named(change, word, tmp_path):
    truth = write_photos(tmp_path / "p", 3)
    labelled(tmp_path / "p", Knows(truth))
    dataset = PhotoDataset(read_labels(tmp_path / "p" / "labels.json"))
    change(dataset.hands[0][0], tmp_path / "p")
    with pytest.raises(SourceError, match=word) as caught:
        dataset[0]
    assert dataset.hands[0][0].path in str(caught.value) and "\n" not in str(caught.value)


def test_photographs_are_for_crop_networks(path):
    with pytest.raises(AssetError, match="crop networks"):
        open_training_data(PhotoChoice(path), "frames")


def test_the_command_trains_on_photographs_and_shows_them(path, crops, tmp_path, capsys):
    run = ["train", "debug-unihope", str(tmp_path / "run"), "--steps", "1", "--data", f"{crops}=3"]
    assert main([*run, "--data", f"photos:{path}=1"]) == 0
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "photos" in json.dumps(told)
    assert main(["train", "debug-unihope", str(tmp_path / "b"), "--steps", "1", "--data", "photos:"]) == 1
    assert "names no labels" in capsys.readouterr().err
    gone = ["train", "debug-unihope", str(tmp_path / "b"), "--steps", "1", "--data", f"photos:{tmp_path}/gone.json"]
    assert main(gone) == 1
    assert "gone.json" in capsys.readouterr().err
    for more in ([], ["--preset", "debug-unihope"], ["--preset", "debug-unihope", "--plain"]):
        out = tmp_path / "sheet.png"
        assert main(["show", f"photos:{path}:train", "--out", str(out), "--count", "6", *more]) == 0
        assert cv2.imread(str(out)).size > 1000
        out.unlink()


def test_a_record_of_a_sample_without_places_survives(dataset):
    sample = dataset.sample(alone(dataset))
    record = record_of(sample, 1)
    assert not record["has_joints"][0] and np.isfinite(record["keypoints_px"]).all()
    assert np.allclose(Box.around(record["keypoints_px"][0]).as_array(), sample.hands[0].box_px, atol=1e-3)


def test_shards_are_the_same_whatever_is_known_of_photographs(crops):
    assert ShardDataset([crops], "crops")[0]["has_side"].all()


def test_a_prior_that_looks_learns_from_photographs_whose_pose_nobody_knows(path, crops):
    import torch

    from prehend_training.train.loop.machine import to_tensors
    from prehend_training.train.presets import preset

    task = preset("debug-hhmr-image").task(Mixture((([crops], 1.0), (PhotoChoice(path), 1.0))))
    batches = [task.source.batch(step) for step in range(12)]
    assert {float(value) for batch in batches for value in batch["has_pose"]} == {0.0, 1.0}
    network = task.network()
    for batch in batches:
        assert all(np.isfinite(values).all() for values in batch.values())
        terms = task.terms(network, to_tensors(batch, "cpu"), 0.0)
        assert all(bool(torch.isfinite(value).all()) for value in terms.values())
