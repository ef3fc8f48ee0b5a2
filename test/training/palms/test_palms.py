"""Fine-tuning of the palm detector: targets, samples, labels, a short run."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from prehend.errors import AssetError, InvalidInput, SourceError
from prehend.models.detectors.palm import PALM, Palms, build_palm
from prehend.pipeline.crops.letterbox import letterbox
from prehend.pipeline.detection.palms import ANCHOR_CELLS, anchors_px, change_of_region, decode_palms, region_of_palm
from prehend.types import Box, FoundHand, Region
from prehend_training.cli import main as cli
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.palms.batches import PalmBatches, PalmDataConfig, area_of, photo_palm
from prehend_training.palms.labels import (
    PalmHand,
    PalmLabels,
    PalmPhoto,
    read_palm_labels,
    write_palm_labels,
)
from prehend_training.palms.losses import PalmLossWeights, palm_terms
from prehend_training.palms.measure import Looked, choose_threshold, photo_report
from prehend_training.palms.targets import ANCHOR_SIDES_PX, PalmTarget, match, palm_targets
from prehend_training.palms.unsure import STEPS, Tried, choose_sure
from prehend_training.pretrained import files
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.tasks.palms import train_palms

SHAPE = np.array([[0, 0.5], [-0.3, -0.45], [-0.05, -0.5], [0.2, -0.45], [0.4, -0.3], [-0.35, 0.25], [-0.5, 0]])
WINDOW = (0, 0, 192, 192)


def palm(x=90.0, y=100.0, length=40.0, turn=0.0, **known):
    cos, sin = math.cos(turn), math.sin(turn)
    return PalmTarget(SHAPE @ np.array([[cos, sin], [-sin, cos]]) * length + (x, y), **known)


def as_outputs(arrays):
    """Targets as a network would answer them exactly."""
    scores = np.log(arrays["score"].clip(1e-6, 1 - 1e-6) / (1 - arrays["score"].clip(1e-6, 1 - 1e-6)))
    boxes = arrays["numbers"].copy()
    boxes[:, 22:24] = 20 * boxes[:, 22:24] - 10
    boxes[:, 2:4] = boxes[:, 2:4].clip(1e-3)
    return {"scores": scores[None, :, None].astype(np.float32), "boxes": boxes[None]}


@pytest.mark.parametrize("turn", [-2.5, 0.0, 0.4, 1.6])
@pytest.mark.parametrize("side", [8.0, 30.0, 110.0])
def test_what_is_asked_for_is_what_is_decoded(turn, side):
    region = Region((80.0, 95.0), 1.2 * side, 1.9 * side, 0.0)
    asked = palm(length=side, turn=turn)
    turned = region_of_palm(asked.center_px, asked.side_px, asked.points_px).turn_rad
    region = replace(region, turn_rad=turned, center_px=tuple(asked.center_px + 0.2 * side))
    thing = Box(60.0, 70.0, 140.0, 150.0)
    asked = replace(asked, region=region, side="right", held=True, object_box_px=thing)
    picture = letterbox(np.zeros((192, 192, 3), np.uint8), 192)
    (hand,) = decode_palms(as_outputs(palm_targets([asked], [], 192)), picture, 0.5, 4)
    assert hand.side == "right"
    assert np.allclose(hand.region.center_px, region.center_px, atol=0.05)
    assert (hand.region.width, hand.region.height) == pytest.approx((region.width, region.height), rel=1e-3)
    assert hand.region.turn_rad == pytest.approx(turned, abs=1e-3)
    if side > 20:  # farther than six palms is nobody's
        assert np.allclose(hand.object_box_px.as_array(), thing.as_array(), atol=0.1)


def test_each_size_has_its_anchors():
    anchors = anchors_px(192)
    slots = np.concatenate(
        [np.tile(np.arange(n) + (0, 2)[k], (192 // cell) ** 2) for k, (cell, n) in enumerate(ANCHOR_CELLS)]
    )
    for slot, side in enumerate(np.concatenate(ANCHOR_SIDES_PX)):
        middle = anchors[slots == slot][np.argmin(np.hypot(*(anchors[slots == slot] - 96).T))]
        asked = match(palm(*middle, length=side), anchors, 192)
        assert slots[np.argmax(asked)] == slot and asked.max() == 1
        assert asked[np.hypot(*(anchors - middle).T) > 0.6 * side].max() == 0
    for side in (4.0, 8.0, 180.0):  # smaller and larger than all
        assert match(palm(length=side), anchors, 192).max() == pytest.approx(1)


def test_what_is_not_known_teaches_nothing():
    asked = palm_targets([palm(held=None, side="left")], [Box(0, 0, 30, 30)], 192)
    inside = (anchors_px(192) <= 30).all(-1)
    assert (asked["score_weight"][inside] == 0).all() and (asked["score_weight"][~inside] == 1).all()
    assert asked["side_weight"].max() > 0 and asked["palm_weight"].max() > 0
    assert all(asked[f"{name}_weight"].max() == 0 for name in ("held", "region", "object"))
    left_out = palm_targets([palm(counts=False)], [], 192)
    assert left_out["score"].max() == 0 and 0 < (left_out["score_weight"] == 0).sum() < 400


def test_places_that_are_right_cost_nothing():
    arrays = palm_targets([palm(region=Region((90.0, 80.0), 50.0, 70.0), side="left", held=False)], [], 192)
    target = {name: torch.from_numpy(array)[None] for name, array in arrays.items()}
    said = {name: torch.from_numpy(array) for name, array in as_outputs(arrays).items()}
    right = palm_terms(Palms(**said), target)
    assert set(right) == set(PalmLossWeights.__dataclass_fields__)
    assert all(value < 1e-2 for value in right.values())
    moved = said["boxes"].clone()
    moved[..., :18] += 10
    assert palm_terms(Palms(said["scores"], moved), target)["points"] > 0.2
    assert palm_terms(Palms(-said["scores"], said["boxes"]), target)["score"] > 1


def hand(**changes):
    points = palm(200, 150, 60).points_px
    return replace(PalmHand(points, Region((200.0, 140.0), 70.0, 110.0, 0.0), "left", True), **changes)


def test_a_mirrored_hand_is_one_of_the_other_side():
    plain, mirror = np.eye(2, 3), np.array([[-1.0, 0, 399], [0, 1, 0]])
    window = (0, 0, 400, 300)
    one, other = (photo_palm(hand(), affine, window, flip) for affine, flip in ((plain, False), (mirror, True)))
    assert (one.side, other.side) == ("left", "right") and one.counts and other.counts
    assert np.allclose(other.points_px * (-1, 1) + (399, 0), one.points_px)
    assert other.region.turn_rad == pytest.approx(-one.region.turn_rad)
    assert other.region.center_px[0] == pytest.approx(399 - one.region.center_px[0])


def test_a_hand_outside_of_the_window_is_not_asked_for():
    for shift, expected in ((0, True), (-210, False)):
        seen = photo_palm(hand(), np.array([[1.0, 0, shift], [0, 1, 0]]), (0, 0, 400, 300), False)
        assert seen.counts == expected
    assert photo_palm(hand(), np.array([[1.0, 0, -500], [0, 1, 0]]), (0, 0, 400, 300), False) is None


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("subhi/a.jpg", "no_hand/b.jpg"):
        (folder / name).parent.mkdir(parents=True)
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (300, 400, 3), np.uint8))
    photos = (
        PalmPhoto("subhi/a.jpg", (400, 300), "train", (hand(),), (Box(0.0, 0.0, 50.0, 50.0),)),
        PalmPhoto("no_hand/b.jpg", (400, 300), "train", ()),
        PalmPhoto("no_hand/c.jpg", (400, 300), "validation", ()),  # is not there: must not be read
    )
    return PalmLabels(folder, photos, {"counts": {"subhi": {"kept": 1}}})


def test_labels_come_back_as_they_were_written(photographs, tmp_path):
    path = tmp_path / "labels.json"
    write_palm_labels(path, photographs)
    read = read_palm_labels(path)
    assert read.about == photographs.about and [p.path for p in read.photos] == [p.path for p in photographs.photos]
    (one,), (other,) = read.photos[0].hands, photographs.photos[0].hands
    assert np.allclose(one.points_px, other.points_px, atol=0.01) and one.region == other.region
    assert (one.side, one.held, read.photos[0].ignore) == (other.side, other.held, photographs.photos[0].ignore)


def test_files_that_are_no_labels_are_named(photographs, tmp_path):
    path = tmp_path / "labels.json"
    write_palm_labels(path, photographs)
    whole = json.loads(path.read_text())
    garbled = whole | {"photos": [{**whole["photos"][0], "hands": [{"points": [[0, 0]]}]}]}
    for content in ("", "{}", json.dumps(garbled), json.dumps(whole | {"folder": "/nowhere"})):
        path.write_text(content)
        with pytest.raises(SourceError, match=r"labels\.json"):
            read_palm_labels(path)


def test_a_batch_is_the_same_for_the_same_numbers(photographs, frames):
    dataset = ShardDataset([frames], "frames", twins=False)
    source = PalmBatches(dataset, photographs, PalmDataConfig(), seed=1, batch_size=6)
    one, again, later = source.batch(0), source.batch(0), source.batch(1)
    size = PalmDataConfig().view.size_px
    assert one["image"].shape == (6, size, size, 3) and one["score"].shape == (6, len(anchors_px(size)))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["image"], later["image"])
    part = source.batch(0, (1, 2))
    assert np.array_equal(part["image"], one["image"][3:])


def test_photographs_come_in_the_shares_of_their_folders(photographs, frames):
    dataset = ShardDataset([frames], "frames", twins=False)
    config = replace(PalmDataConfig(), folder_shares={"subhi": 3.0, "no_hand": 1.0})
    source = PalmBatches(dataset, photographs, config, seed=1, batch_size=6)
    rng = np.random.default_rng(0)
    drawn = [source._draw_photo(rng).path for _ in range(400)]
    assert drawn.count("subhi/a.jpg") == pytest.approx(300, abs=40) and "no_hand/c.jpg" not in drawn


@pytest.fixture
def start(tmp_path, monkeypatch):
    chosen = preset("debug-palm")
    monkeypatch.setattr(files, "convert", lambda kind, path: build_palm(chosen.config))  # the file: test_palm
    files.write_pretrained("palm", tmp_path, tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


def test_a_run_trains_what_is_not_frozen_and_goes_on(photographs, frames, start, tmp_path):
    labels, run, chosen = tmp_path / "labels.json", tmp_path / "run", preset("debug-palm")
    write_palm_labels(labels, photographs)
    for steps in (2, 3):
        train_palms(chosen, [frames], labels, start, run, Machine(), Budget(steps=steps))
    assert json.loads((run / "checkpoint" / "progress.json").read_text())["step"] == 3
    begun = json.loads((run / "run.json").read_text())
    assert begun["origin"]["licence"] == "Apache-2.0" and begun["photographs"] == photographs.about
    from safetensors.torch import load_file

    before, after = load_file(start), load_file(run / "checkpoint" / "network.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[f"network.{name}"])}
    assert not [name for name in changed if name.startswith(("stem", "layers.0.", "layers.1."))]
    assert any(name.startswith("answers") for name in changed) and any(name.startswith("layers.3") for name in changed)
    train_palms(chosen, [frames], labels, run, tmp_path / "next", Machine(), Budget(steps=1))
    assert json.loads((tmp_path / "next" / "run.json").read_text())["start"][0]["samples"] == 6
    mixed = tmp_path / "mixed"
    assert cli.main(["palms", "blend", str(run), "--start", str(start), "--share", "0.25", "--out", str(mixed)]) == 0
    blended, kept = (load_file(r / "checkpoint" / "averaged.safetensors") for r in (mixed, run))
    for name, value in before.items():
        part = kept[f"network.{name}"] if ".further." in name else 0.75 * value + 0.25 * kept[f"network.{name}"]
        assert torch.allclose(blended[f"network.{name}"], part, atol=1e-6)
    assert json.loads((mixed / "run.json").read_text())["origin"]["share_learnt"] == 0.25
    assert cli.main(["palms", "blend", str(run), "--start", str(start), "--out", str(mixed)]) == 1
    with pytest.raises(InvalidInput, match="differs"):
        train_palms(replace(chosen, seed=5), [frames], labels, start, run, Machine(), Budget(steps=4))


def test_a_start_of_another_kind_is_refused(photographs, frames, tmp_path, capsys):
    labels = tmp_path / "labels.json"
    write_palm_labels(labels, photographs)
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, other, dict.fromkeys(files.PROVENANCE, "imagenet"))
    call = ["palms", "train", str(tmp_path / "run"), "--data", str(frames), "--labels", str(labels), "--steps", "1"]
    for given in (other, tmp_path / "none.safetensors"):
        assert cli.main([*call, "--start", str(given)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(AssetError, match="palms train"):
        preset("palm").task([frames])


def looked(folder, found, boxes=None, hands=None):
    return Looked(folder, boxes, hands, tuple(FoundHand(Box(*box), None, score) for box, score in found))


def test_reports_count_what_is_found_false_and_further():
    box = Box(0.0, 0.0, 100.0, 100.0)
    cases = [
        looked("boxes", [((5, 5, 90, 90), 0.9), ((200, 200, 260, 260), 0.8), ((0, 0, 20, 20), 0.7)], (box,)),
        looked("boxes", [((5, 5, 90, 90), 0.4)], (box,)),
        looked("none", [((5, 5, 90, 90), 0.6)], hands=0),
        looked("one", [((5, 5, 90, 90), 0.9), ((200, 200, 260, 260), 0.6)], hands=1),
    ]
    report = photo_report(cases, 0.5)
    assert report["boxes"] == {"pictures": 2, "found": 0.5, "false": 0.5, "further": 0.0}
    assert report["none"] == {"pictures": 1, "false": 1.0, "further": 0.0}
    assert report["one"] == {"pictures": 1, "found": 1.0, "false": 0.0, "further": 1.0}


def test_the_threshold_is_the_lowest_with_few_false_hands():
    empty = [looked("none", [((0, 0, 9, 9), 0.55)] if k < 3 else [], hands=0) for k in range(100)]
    assert choose_threshold(empty, 0.01) == 0.6
    assert choose_threshold(empty, 0.05) == 0.1
    assert choose_threshold([], 0.01) == 0.9


def test_the_region_is_about_where_a_hand_without_one_is():
    known, alone = area_of(hand()), area_of(hand(region=None))
    assert known.iou(alone) > 0.4
    region = hand().region
    assert np.allclose(
        change_of_region(region, np.array([200.0, 150.0]), 60.0, hand().points_px)[2:], np.log([70 / 97.5, 110 / 97.5])
    )
    assert PALM.size == 192


@pytest.fixture(scope="module")
def labeller():
    from prehend.backends import open_backend
    from prehend.weights import available, load_bundle
    from prehend_training.palms.pseudo import Labeller, PseudoLabelRule

    if "palm" not in available():
        pytest.skip("the weights palm are not in this checkout")
    return Labeller(open_backend("onnx", load_bundle("palm")), None, PseudoLabelRule(sure=0.25, maybe=0.05))


def test_a_picture_and_its_mirror_image_get_mirrored_labels(labeller, renderer):
    from prehend_training.photos.facts import Facts
    from prehend_training.scenes.render.render import crop_sample

    seen = 0
    for index in range(12):
        image = crop_sample(renderer, 7, index, 224).image
        one = labeller.label(image, Facts("x"), None)
        other = labeller.label(np.ascontiguousarray(image[:, ::-1]), Facts("x"), None)
        if one is None or other is None or not (one.hands and other.hands):
            continue
        seen += 1
        assert np.allclose(other.hands[0].points_px * (-1, 1) + (223, 0), one.hands[0].points_px, atol=0.5)
    assert seen >= 3


def test_what_a_folder_says_comes_before_what_is_seen(labeller):
    from prehend_training.photos.facts import Facts

    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    assert labeller.label(noise, Facts("x", hands=0), None) == PalmPhoto("", (160, 120), "train", ())
    assert labeller.label(noise, Facts("x", hands=1), None) is None  # there is one, and nobody knows where
    box = Box(10.0, 10.0, 60.0, 60.0)
    assert labeller.label(noise, Facts("x"), [box]).ignore == (box,)
    assert labeller.label(noise, Facts("x"), []).ignore == ()


SOURCES = """schema: prehend.photo_sources/1
sources:
  empty: {title: walls, hands: 0, session: '^([a-z])', validation: [b]}
"""


def test_the_network_is_as_sure_as_keeps_false_hands_out():
    hands = [Tried("a", presence, True) for presence in (0.85, 0.96, 0.999)]
    false = [Tried("b", presence, False) for presence in (0.5, 0.94, 0.96)]
    said = choose_sure(100, [*hands, *false], false=0.01)
    assert said["sure"] == 0.95
    assert said["steps"]["0.95"] == {"hands": 2, "false": 1}
    assert choose_sure(100, [*hands, *false], false=0.0)["sure"] == 0.97
    assert choose_sure(100, [Tried("b", 0.9999, False)], false=0.0)["sure"] == STEPS[-1]


def test_how_sure_the_network_has_to_be_is_chosen_on_photographs_and_noted(tmp_path, capsys):
    import shutil

    from prehend.pipeline.networks.network import HandNetwork
    from prehend.weights import load_bundle

    weights, folder = tmp_path / "hands", tmp_path / "photos"
    shutil.copytree(load_bundle("unihope-s").folder, weights)
    (folder / "empty").mkdir(parents=True)
    for name in ("a0", "b0", "b1"):
        cv2.imwrite(str(folder / "empty" / f"{name}.jpg"), np.full((90, 120, 3), 120, np.uint8))
    (tmp_path / "sources.yaml").write_text(SOURCES)
    call = ["palms", "sure", str(weights), str(folder), "--sources", str(tmp_path / "sources.yaml"), "--write"]
    assert cli.main(call) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["pictures"] == 2
    assert said["sure"] == STEPS[0], "nothing is false"
    assert said["fresh"] is None, "and nothing was found, so that there is nothing to weigh"
    from prehend.backends import open_backend

    network = HandNetwork(open_backend("onnx", load_bundle(weights)))
    assert network.sure == STEPS[0] and network.fresh is None
    manifest = json.loads((weights / "manifest.json").read_text())
    del manifest["calibration"]
    (weights / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main(call) == 1
    assert "calibrate" in capsys.readouterr().err
    shutil.copytree(load_bundle("palm").folder, tmp_path / "palm")
    manifest = json.loads((tmp_path / "palm" / "manifest.json").read_text())
    manifest["thresholds"] = {"detect": 0.3, "detect_wide": 0.4}
    (tmp_path / "palm" / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main([*call, "--detector", str(tmp_path / "palm")]) == 1
    assert "never unsure" in capsys.readouterr().err


def test_measuring_chooses_thresholds_and_notes_them(labeller, tmp_path, capsys):
    import shutil

    from prehend.pipeline.detection.detect import Detector
    from prehend.weights import load_bundle

    weights = tmp_path / "palm"
    shutil.copytree(load_bundle("palm").folder, weights)
    folder = tmp_path / "photos"
    (folder / "empty").mkdir(parents=True)
    for name in ("a0", "b0", "b1"):
        cv2.imwrite(str(folder / "empty" / f"{name}.jpg"), np.full((90, 120, 3), 120, np.uint8))
    (tmp_path / "sources.yaml").write_text(SOURCES)
    call = ["palms", "measure", str(weights), str(folder), "--sources", str(tmp_path / "sources.yaml")]
    assert cli.main([*call, "--write"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["photographs"]["detect"]["empty"] == {"pictures": 2, "false": 0.0, "further": 0.0}
    bundle = load_bundle(weights)
    assert bundle.manifest["thresholds"] == said["thresholds"]
    assert said["thresholds"] == {"detect": 0.1, "detect_wide": 0.1, "detect_unsure": 0.05, "detect_wide_unsure": 0.067}
    from prehend.backends import open_backend

    assert Detector(open_backend("onnx", bundle)).thresholds["detect_wide"] == 0.1
    assert cli.main(["palms", "measure", "palm", str(folder), "--write"]) == 1
    assert "--write" in capsys.readouterr().err
    assert cli.main(["palms", "label", str(folder), "--out", str(tmp_path / "l.json"), "--every", "x"]) == 1
