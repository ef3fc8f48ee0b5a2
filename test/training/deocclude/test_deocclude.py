"""Which frames get a twin, what is repainted of them, what chooses, and the folder of twins."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from dataset_fixtures import mano, small_dexycb  # noqa: F401
from deocclude_tiny import occluded_sample
from safetensors.torch import save_file

from prehend.backends import open_backend
from prehend.errors import AssetError, InvalidInput, MissingDependency, UnknownName
from prehend.geometry.camera import project
from prehend.hand_model import load_hand_model
from prehend.pipeline.crops.crop import CropSpec, cut, region_of
from prehend.pipeline.networks.decode import decode_hand
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.networks.network import HandNetwork
from prehend.weights import load_bundle
from prehend_training.data.records import record_of
from prehend_training.datasets import open_dataset
from prehend_training.deocclude.config import RepaintConfig, Weights
from prehend_training.deocclude.judge import NetworkJudge
from prehend_training.deocclude.make import faces_of
from prehend_training.deocclude.region import FAR_BRIGHTNESS, Square, camera_of_square, find_region, hand_depth, why_not
from prehend_training.deocclude.weights import load_parts
from prehend_training.sample import HAND_CODE, OBJECT_CODE
from prehend_training.storage.twins import Twin, TwinFolder
from prehend_training.train.presets import preset

CONFIG = RepaintConfig(size_px=64)
FACES = load_hand_model().without_forearm().faces


@pytest.fixture(scope="module")
def judge():
    return NetworkJudge.open("unihope-s")


@pytest.mark.parametrize("square", [Square(10, 20, 30), Square(-5, 0, 96), Square(0, -7, 41)])
def test_a_square_has_the_camera_of_its_resized_pixels(square):
    sample = occluded_sample()
    camera = camera_of_square(sample.camera, square, 64)
    points = sample.hands[0].joints_m
    there = (project(points, sample.camera) - [square.left, square.top] + 0.5) * 64 / square.side - 0.5
    np.testing.assert_allclose(project(points, camera), there, atol=1e-9)


def test_the_depth_map_is_the_bare_hand_and_near_is_bright():
    sample = occluded_sample()
    hand = sample.hands[0]
    depth = hand_depth(hand, FACES, sample.camera)
    region = find_region(sample, FACES, CONFIG)
    assert np.array_equal(depth > 0, region.silhouette)
    on = depth[depth > 0]
    assert on.min() == pytest.approx(FAR_BRIGHTNESS) and on.max() == pytest.approx(1.0)
    pixels = np.rint(project(hand.vertices_m, sample.camera)).astype(int)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    assert np.abs(pixels[hand.vertices_m[:, 2].argmin()] - [x, y]).max() <= 2
    away = hand_depth(replace(hand, vertices_m=hand.vertices_m + np.array([9, 0, 0])), FACES, sample.camera)
    assert not away.any()


@pytest.mark.parametrize(("size", "context"), [((96, 80), 1.4), ((150, 70), 1.0), ((40, 90), 3.0)])
def test_what_is_repainted_covers_hand_and_object_and_nothing_far_away(size, context):
    sample = occluded_sample(size=size)
    region = find_region(sample, FACES, replace(CONFIG, context=context))
    core = region.silhouette | (sample.segmentation == OBJECT_CODE)
    assert (region.weight[core] == 1).all()
    rows, columns = np.flatnonzero(core.any(1)), np.flatnonzero(core.any(0))
    square = region.square
    assert square.top <= rows[0] and rows[-1] < square.top + square.side
    assert square.left <= columns[0] and columns[-1] < square.left + square.side
    assert square.side <= max(min(size), 1.2 * (rows[-1] - rows[0] + 5), 1.2 * (columns[-1] - columns[0] + 5))
    y, x = np.nonzero(region.weight)
    assert square.top <= y.min() and y.max() < square.top + square.side
    assert square.left <= x.min() and x.max() < square.left + square.side
    # the depth map and the mask, drawn at another size, cover the same places
    shown = region.depth > 0
    there = region.seen_in(np.repeat(255 * region.silhouette[..., None].astype(np.uint8), 3, 2))[..., 0] > 127
    assert (shown & there).sum() / (shown | there).sum() > 0.8
    assert (region.mask[shown]).all() and not region.mask.all()


def test_pasting_changes_nothing_beside_the_mask_and_everything_in_it():
    for size in ((96, 80), (150, 70), (70, 150)):
        sample = occluded_sample(size=size)
        region = find_region(sample, FACES, CONFIG)
        flat = np.full((64, 64, 3), (0, 255, 0), np.uint8)
        twin = region.paste(flat)
        beside = region.weight == 0
        assert np.array_equal(twin[beside], sample.image[beside])
        assert (twin[region.weight == 1] == (0, 255, 0)).all()
        soft = ~beside & (region.weight < 1)
        between = np.rint(
            region.weight[soft, None] * (0, 255, 0) + (1 - region.weight[soft, None]) * sample.image[soft]
        )
        assert np.array_equal(twin[soft], between)
        assert np.array_equal(region.paste(region.image)[beside], sample.image[beside])


def test_other_hands_stay():
    sample = occluded_sample()
    segmentation = sample.segmentation.copy()
    segmentation[:, 60:] = HAND_CODE + 1
    region = find_region(replace(sample, segmentation=segmentation), FACES, CONFIG)
    assert (region.weight[:, 60:] == 0).all() and (region.weight[:, :60] == 1).any()


def test_only_grasping_occluded_hands_get_a_twin():
    sample = occluded_sample()
    hand = sample.hands[0]
    assert why_not(sample) is None
    assert why_not(occluded_sample(grasp=False)) == "not grasping"
    assert why_not(replace(sample, hands=())) == "no hand"
    assert why_not(replace(sample, segmentation=None)) == "no segmentation"
    assert why_not(replace(sample, hands=(replace(hand, grasp=None),))) == "grasp unknown"
    assert why_not(replace(sample, hands=(replace(hand, vertices_m=np.zeros((0, 3))),))) == "no mesh"
    hidden = find_region(sample, FACES, CONFIG).hidden
    mesh = hand_depth(hand, FACES, sample.camera) > 0
    assert hidden == pytest.approx((mesh & (sample.segmentation == OBJECT_CODE)).sum() / mesh.sum())
    assert find_region(sample, FACES, replace(CONFIG, least_hidden=hidden + 0.01)) is None
    assert find_region(sample, FACES, replace(CONFIG, least_hidden=hidden - 0.01)) is not None
    free = replace(sample, segmentation=np.where(mesh, HAND_CODE, sample.segmentation).astype(np.uint8))
    assert find_region(free, FACES, replace(CONFIG, least_hidden=0.0)) is None
    with pytest.raises(InvalidInput, match="another hand model"):
        find_region(sample, FACES + 1, CONFIG)


def test_numbers_out_of_range_are_refused():
    for wrong in (
        {"strengths": ()},
        {"strengths": (0.0,)},
        {"strengths": (1.1,)},
        {"strengths": (0.5, 0.5)},
        {"steps": 0},
    ):
        with pytest.raises(InvalidInput):
            RepaintConfig(**wrong)
    with pytest.raises(InvalidInput):
        Weights("a", "b", together=0)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[deocclude\]'"):
        load_parts(Weights("a", "b"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_judge_sees_what_the_network_says_in_the_pipeline(judge, side):
    sample = occluded_sample(2, side=side)
    hand = sample.hands[0]
    bundle = load_bundle("unihope-s")
    network = HandNetwork(open_backend("onnx", bundle, threads=1))
    size = (sample.camera.width, sample.camera.height)
    spec = CropSpec.from_region(region_of(hand.keypoints_px), side, size, None, network.crop_size)
    crops = [cut(sample.image, spec)]
    encoded = network.encode(crops)
    (said,) = network.answer(crops, encoded, [0], [bool(encoded.grasp[0] > 0.5)])
    said = said._replace(pose_covariance=None)  # the judge takes the network at its word
    answer = decode_hand(said, spec, sample.camera, HandModels(bundle).by_side[side])
    # what the network says is the truth: no error; then one joint of 21 is 21 mm off, and the whole hand anywhere
    true = answer.joints_m + np.array([0.3, 0.1, 0.2])
    wrong = true.copy()
    wrong[8] += [0, 0.021, 0]
    pictures = [sample.image, np.zeros_like(sample.image)]
    right, bare = judge.errors_m(pictures, sample.camera, replace(hand, joints_m=true))
    assert right < 2e-4 < 0.003 < bare
    assert judge.errors_m(pictures[:1], sample.camera, replace(hand, joints_m=wrong))[0] == pytest.approx(
        1e-3, abs=2e-4
    )


def test_the_judge_may_be_a_run(tmp_path):
    network = preset("unihope-s").build()
    (tmp_path / "run.json").write_text('{"preset": "unihope-s"}')
    (tmp_path / "checkpoint").mkdir()
    save_file(network.state_dict(), tmp_path / "checkpoint" / "averaged.safetensors")
    judge = NetworkJudge.open(tmp_path)
    own = network.state_dict()
    assert all(bool((value == own[name]).all()) for name, value in judge.network.state_dict().items())
    sample = occluded_sample()
    assert np.isfinite(judge.errors_m([sample.image] * 2, sample.camera, sample.hands[0])).all()
    with pytest.raises(AssetError, match="no network that reconstructs hands"):
        NetworkJudge.open("palm")
    with pytest.raises(UnknownName):
        NetworkJudge.open("unihope-z")


def some_twin(sample, index=0):
    return Twin(sample.frame_id, index, 0.5, 0.7, (0.4, 0.7), (0.02, 0.01))


def test_twins_come_back_as_they_were_written(tmp_path):
    samples = [occluded_sample(index) for index in range(3)]
    folder = TwinFolder.claim(tmp_path, {"source": {"dataset": "made-up"}, "strengths": (0.4, 0.7)})
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, sample.image.shape).astype(np.uint8) for sample in samples]
    masks = [find_region(sample, FACES, CONFIG).silhouette for sample in samples]
    for index, part in ((0, (0, 2)), (1, (1, 2))):
        folder.write(some_twin(samples[index], index), pictures[index], masks[index], part)
    again = TwinFolder.open(tmp_path)
    assert len(again) == 2 and samples[0].frame_id in again and samples[2].frame_id not in again
    for index in (0, 1):
        frame = samples[index].frame_id
        assert np.array_equal(again.read(frame), pictures[index])
        assert np.array_equal(again.read_silhouette(frame), masks[index])
        assert again.twins[frame] == some_twin(samples[index], index)
    assert again.read(samples[2].frame_id) is None and again.read_silhouette(samples[2].frame_id) is None


def test_a_twin_reaches_training_as_that_of_a_scene_does(tmp_path):
    sample = occluded_sample()
    region = find_region(sample, FACES, CONFIG)
    folder = TwinFolder.claim(tmp_path, {})
    picture = region.paste(np.full((64, 64, 3), 90, np.uint8))
    folder.write(some_twin(sample), picture, region.silhouette)
    record = record_of(folder.attach(sample), 1)
    assert record["has_twin"] and np.array_equal(record["deoccluded"], picture)
    assert np.array_equal(record["deoccluded_front"] > 0, region.silhouette | (sample.segmentation == HAND_CODE))
    other = occluded_sample(1)
    assert folder.attach(other) is other
    with pytest.raises(AssetError, match="another size"):
        folder.attach(replace(occluded_sample(size=(50, 40)), frame_id=sample.frame_id))


def test_a_folder_of_twins_goes_on_after_a_crash(tmp_path):
    folder = TwinFolder.claim(tmp_path, {"seed": 0})
    samples = [occluded_sample(index) for index in range(2)]
    for index, sample in enumerate(samples):
        folder.write(some_twin(sample, 10 * index), sample.image, sample.segmentation > 0)
    lines = folder.lines((0, 1))
    lines.write_bytes(lines.read_bytes()[:-20])  # killed while it wrote the second line
    again = TwinFolder.claim(tmp_path, {"seed": 0})
    assert len(again) == 1 and again.resume((0, 1)) == 1 and again.resume((0, 3)) == 0
    again.write(some_twin(samples[1], 10), samples[1].image, samples[1].segmentation > 0)
    assert len(TwinFolder.open(tmp_path)) == 2 and again.resume((0, 1)) == 11


def test_a_folder_of_twins_says_what_is_wrong_with_it(tmp_path):
    with pytest.raises(AssetError, match="prehend-train deocclude"):
        TwinFolder.open(tmp_path)
    folder = TwinFolder.claim(tmp_path, {"seed": 0})
    with pytest.raises(InvalidInput, match="seed is 0 and not 1"):
        TwinFolder.claim(tmp_path, {"seed": 1})
    sample = occluded_sample()
    folder.write(some_twin(sample), sample.image, sample.segmentation > 0)
    for path in (tmp_path / "pictures").rglob("*.png"):
        path.unlink()
    with pytest.raises(AssetError, match="cannot be read"):
        folder.read(sample.frame_id)
    folder.lines((0, 1)).write_text("{}\n")
    with pytest.raises(AssetError, match="broken line"):
        TwinFolder.open(tmp_path)


def test_a_dataset_brings_the_faces_of_its_own_hand(small_dexycb, mano):  # noqa: F811
    data = open_dataset("dexycb", small_dexycb, "all", mano)
    hand = next(sample.hands[0] for sample in data if sample.hands)
    assert faces_of(data)(hand).max() == len(hand.vertices_m) - 1
    with pytest.raises(InvalidInput, match="--mano"):
        faces_of(open_dataset("dexycb", small_dexycb, "all"))
