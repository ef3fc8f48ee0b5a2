import json

import numpy as np
import pytest
from fake import fake_sample

from prehend.errors import AssetError, InvalidInput
from prehend.pipeline.crops.crop import CROP_SCALE, CropSpec, cut
from prehend.types import Box, FoundHand
from prehend_training.cli.main import main
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.stores.datasets import MixedDataset, ShardDataset
from prehend_training.data.views import PLACE_SCALE, place_box
from prehend_training.evaluate.hard_negatives import HardNegativesConfig, cut_place, mistakes
from prehend_training.sample import OTHER_CODE
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run


@pytest.fixture(scope="module")
def places(frames, tmp_path_factory):
    """What the shipped finder takes for hands at next to no score."""
    out = tmp_path_factory.mktemp("places")
    assert main(["hard-negatives", str(out), "--data", str(frames), "--threshold", "0.002", "--most", "2"]) == 0
    return out


def found(*corners, score=0.5):
    return FoundHand(Box(*corners), "left", score, None)


def with_hand():
    return next(s for s in (fake_sample(3, k, "frames", 160) for k in range(20)) if s.hands)


def test_an_answer_near_any_joint_is_no_mistake():
    sample = with_hand()
    x, y = sample.hands[0].keypoints_px[5]
    config = HardNegativesConfig(most=5)
    assert not list(mistakes([found(x - 20, y - 20, x + 20, y + 20)], sample, config))
    assert not list(mistakes([found(x + 2, y - 20, x + 42, y + 20)], sample, config))  # within the grown box
    assert len(list(mistakes([found(x + 500, y, x + 540, y + 40)], sample, config))) == 1


def test_small_answers_and_those_beyond_the_number_are_left():
    sample, config = with_hand(), HardNegativesConfig(most=2, least_px=16)
    far = [found(500 + k, 500, 540 + k, 540, score=1 - k / 10) for k in range(4)]
    assert list(mistakes([found(500, 500, 515, 515), *far], sample, config)) == far[:2]


@pytest.mark.parametrize("box", [Box(40, 60, 80, 90), Box(-10, 100, 30, 140), Box(10, 10, 150, 120)])
def test_the_network_sees_in_a_place_what_the_robot_sees(box):
    """Of the true box, away from where the image was cut or shrunk."""
    sample = with_hand()
    place = cut_place(sample, box, 192)
    assert place.image.shape[0] == place.image.shape[1] <= 192 and not place.hands
    shape = (place.image.shape[1], place.image.shape[0])
    told = cut(place.image, CropSpec.from_box(place_box(shape), "right", shape)).image
    want = cut(sample.image, CropSpec.from_box(box, "right", (160, 160))).image
    inner = np.s_[:, 4:-4, 4:-4]
    assert np.abs(told[inner] - want[inner]).mean() < 0.03


def test_pixels_of_a_place_are_rays_of_the_same_camera():
    sample = with_hand()
    place = cut_place(sample, Box(40, 60, 80, 90), 192)
    middle = (place.image.shape[0] - 1) / 2
    ray = np.linalg.solve(place.camera.K, [middle, middle, 1.0])
    seen = sample.camera.K @ ray
    assert np.allclose(seen[:2] / seen[2], Box(40, 60, 80, 90).center)


def test_hands_that_reach_into_a_place_are_other_things():
    sample = with_hand()
    place = cut_place(sample, Box.around(sample.hands[0].keypoints_px), 192)
    assert set(np.unique(place.segmentation)) <= {0, OTHER_CODE} and (place.segmentation == OTHER_CODE).any()


def test_a_folder_of_places_has_no_hands_and_is_not_made_twice(places, frames, capfd):
    folder = ShardFolder.open(places, verify=True)
    assert folder.kind == "places" and len(folder) > 3
    assert not any(sample.hands for sample in folder)
    stamps = [path.stat().st_mtime_ns for path in sorted(places.glob("*.tar"))]
    options = ["--data", str(frames), "--threshold", "0.002", "--most", "2"]
    assert main(["hard-negatives", str(places), *options]) == 0
    assert [path.stat().st_mtime_ns for path in sorted(places.glob("*.tar"))] == stamps
    assert main(["hard-negatives", str(places), "--data", str(frames)]) == 1  # another threshold
    assert "choose another folder" in capfd.readouterr().err


def test_a_crop_network_learns_that_no_hand_is_there(places):
    batch = CropBatches(ShardDataset([places], "crops"), CropDataConfig(), seed=0, batch_size=8).batch(0)
    assert not batch["presence"].any() and not batch["has_segments"].any() and not batch["has_twin"].any()
    longer = (batch["hand_box"][:, 2:] - batch["hand_box"][:, :2]).max(1)
    assert np.allclose(longer, 128 / CROP_SCALE, atol=1e-3)
    assert CropDataConfig().view.scale[1] <= PLACE_SCALE / CROP_SCALE


def test_places_go_with_crops_in_one_mixture(places, crops):
    mixed = MixedDataset([(ShardDataset([crops], "crops"), 3.0), (ShardDataset([places], "crops"), 1.0)])
    batch = CropBatches(mixed, CropDataConfig(absent_p=0.0), seed=0, batch_size=1000).batch(0, (0, 20))
    assert 0.6 < batch["presence"].mean() < 0.9


def test_only_a_finder_looks_for_places_and_only_in_whole_pictures(frames, crops, tmp_path, capfd):
    assert main(["hard-negatives", str(tmp_path / "a"), "--data", str(crops)]) == 1
    assert "expected whole images" in capfd.readouterr().err
    assert main(["hard-negatives", str(tmp_path / "a"), "--data", str(frames), "--detector", "unihope-s"]) == 1
    assert "no detector" in capfd.readouterr().err
    assert main(["hard-negatives", str(tmp_path / "a"), "--data", str(frames), "--threshold", "1.5"]) == 1
    assert "threshold" in capfd.readouterr().err


def test_a_finder_does_not_learn_from_places(places):
    with pytest.raises(AssetError, match="expected folders of frames"):
        ShardDataset([places], "frames")


def test_settings_out_of_range_are_refused():
    with pytest.raises(InvalidInput, match="1 at least"):
        HardNegativesConfig(most=0)


def test_presence_on_places_is_measured_apart(places, crops, tmp_path, capfd):
    train_run(Training(preset("debug-unihope"), [crops], tmp_path, Budget(steps=1)), Machine(threads=1))
    capfd.readouterr()
    assert main(["evaluate", str(tmp_path), "--data", str(crops), "--data", str(places)]) == 0
    summary = json.loads((tmp_path / "measured.json").read_text())
    assert summary["places"]["places"] == len(ShardFolder.open(places)) and summary["samples"] == 24
    assert 0 <= summary["places"]["taken_for_hands"] <= 1
