"""A network that draws on several frames in the estimator: windows by the memory's laws, a mesh in metres."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch

from prehend.backends import open_backend
from prehend.backends.base import Backend
from prehend.backends.torch_ import load_network
from prehend.cli.main import main
from prehend.errors import ParameterError, WeightsMismatch
from prehend.export.bundle import save_bundle
from prehend.geometry.camera import project
from prehend.hand_model import load_hand_model, skin
from prehend.io.results.predictions import read_predictions
from prehend.models import registry
from prehend.models.meshes.h2onet import H2ONET_LITE, build_h2onet
from prehend.pipeline.crops.crop import Crop, CropSpec
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.frames.memory import FrameMemory, MemoryOptions, Moment
from prehend.pipeline.load import load_estimator
from prehend.pipeline.networks.base import NetworkAnswer
from prehend.pipeline.networks.decode import DecodedHand, crop_to_camera, decode_hand
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.networks.mesh_network import MeshNetwork, open_network
from prehend.pipeline.options import EstimatorOptions
from prehend.resources import resource
from prehend.ros.nodes.estimator import load_for, load_what_can_be
from prehend.ros.params import NodeParams
from prehend.types import Box, FoundHand
from prehend.weights import MANIFEST, Bundle, file_sha256, load_bundle
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE = 64
SPEC = CropSpec.from_box(Box(20, 20, 59, 59), "right", (100, 100), size=SIZE)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    config = replace(
        H2ONET_LITE, size=SIZE, channels=(8, 8, 8, 8, 8), orientation=(16,), offset=(16,), vertex_offset=(8,),
        occlusion=(16, 8),
    )  # fmt: skip
    network = build_h2onet(config)
    network.set_hand(load_hand_model(), own_pyramid())
    with torch.no_grad():
        for parameter in network.fusion_parts():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for module in network.modules():  # fresh layers lose the image on the way
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.weight.mul_(2)
        network.presence.bias.fill_(8.0)  # whatever it is shown is a hand
        network.presence.weight.zero_()
        network.mesh.linear.weight.mul_(0.05)  # near the mean hand, as trained ones are
        network.seen.places.weight.mul_(0.02)
        joints = torch.from_numpy(skin(load_hand_model(), np.eye(3)[None].repeat(16, 0), np.zeros(10)).joints[:, :2])
        spread = (joints - joints.mean(0)) / (joints - joints.mean(0)).abs().max()
        network.seen.places.bias.copy_((0.5 + 0.3 * spread).flatten())
    folder = tmp_path_factory.mktemp("weights") / "h2onet"
    return save_bundle(network, folder, "h2onet-s", {"licence": "none"})


@pytest.fixture(scope="module")
def backend(bundle: Bundle) -> Iterator[Backend]:
    opened = open_backend("onnx", bundle, threads=1)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Weights that look at single frames alone."""
    torch.manual_seed(0)
    return save_bundle(registry.create("unihope-xs"), tmp_path_factory.mktemp("weights") / "single", "unihope-xs", {})


@pytest.fixture(scope="module")
def fusing(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped weights, with a fusion that was not taught."""
    torch.manual_seed(0)
    network = registry.create("unihope-s-time")
    shipped = load_bundle("unihope-s")
    network.load_state_dict(load_network(shipped).state_dict(), strict=False)
    torch.nn.init.normal_(network.time.share.weight, std=0.5)
    told = {"calibration": shipped.manifest["calibration"]}
    return save_bundle(network, tmp_path_factory.mktemp("weights") / "fusing", "unihope-s-time", told)


def crop(seed: int, spec: CropSpec = SPEC) -> Crop:
    return Crop(spec, np.random.default_rng(seed).random((3, SIZE, SIZE), np.float32))


def answers(backend: Backend, seeds, frames: int = 3, rate_hz: float = 30) -> list[NetworkAnswer]:
    """What is said of crops that follow each other."""
    network, memory, said = MeshNetwork(backend, frames), FrameMemory(MemoryOptions(frames=frames)), []
    for k, seed in enumerate(seeds):
        crops = [crop(seed)]
        moment = Moment(memory, k / rate_hz, np.eye(3))
        (answer,) = network.answer(crops, network.encode(crops), [0], [False], moments=[moment])
        memory.add(answer.remembered)
        said.append(answer)
    return said


def test_the_same_image_again_and_again_gives_what_it_gives_once(backend: Backend) -> None:
    first, *_, last = answers(backend, [0] * 12)
    np.testing.assert_allclose(first.mesh.vertices, last.mesh.vertices, atol=1e-5)
    np.testing.assert_allclose(first.rotations, last.rotations, atol=1e-3)


def test_earlier_images_have_a_say_and_only_those_of_the_window(backend: Backend) -> None:
    one = answers(backend, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[-1].mesh.joints
    other = answers(backend, [90, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[-1].mesh.joints  # t - 2k
    same = answers(backend, [0, 91, 92, 93, 94, 5, 96, 97, 98, 99, 10])[-1].mesh.joints
    assert np.abs(one - other).max() > 1e-5
    np.testing.assert_array_equal(one, same)


def test_one_frame_looks_at_itself_alone(backend: Backend) -> None:
    alone = answers(backend, [5], frames=1)[0]
    after = answers(backend, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 5], frames=1)[-1]
    np.testing.assert_array_equal(alone.mesh.joints, after.mesh.joints)


def test_hands_of_one_batch_do_not_mix(backend: Backend) -> None:
    network, crops = MeshNetwork(backend), [crop(1), crop(2)]
    encoded = network.encode(crops)
    both = network.answer(crops, encoded, [0, 1], [False] * 2)
    for k in (0, 1):
        (alone,) = network.answer([crops[k]], network.encode([crops[k]]), [0], [False])
        np.testing.assert_allclose(both[k].mesh.joints, alone.mesh.joints, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_mesh_comes_out_in_the_frame_of_the_camera(backend: Backend, camera, side) -> None:
    """With keypoints that are the mesh's own projection the fit finds where it was, to the micrometre."""
    models = HandModels(backend.bundle)
    image_size = (camera.width, camera.height)
    spec = CropSpec.from_box(Box(120, 60, 210, 150), side, image_size, size=SIZE)
    crops = [crop(3, spec)]
    network = MeshNetwork(backend)
    (answer,) = network.answer(crops, network.encode(crops), [0], [False])
    turn = crop_to_camera(spec, camera)
    mirror = np.diag([-1.0, 1, 1]) if side == "left" else np.eye(3)
    root = np.array([-0.05, 0.02, 0.6])
    joints = answer.mesh.joints @ (mirror @ turn).T + root
    keypoints = (spec.to_crop(project(joints, camera)) - spec.hand_box[:2]) / (spec.hand_box[2:] - spec.hand_box[:2])
    hand = decode_hand(answer._replace(keypoints=keypoints, visibility=np.ones(21)), spec, camera, models.by_side[side])
    assert isinstance(hand, DecodedHand)
    np.testing.assert_allclose(hand.joints_m, joints, atol=1e-6)
    np.testing.assert_allclose(
        hand.vertices_m[0] - hand.joints_m[0], (mirror @ turn) @ answer.mesh.vertices[0], atol=1e-6
    )


def told(result) -> list[tuple]:
    return [(hand.track_id, hand.joints_m.round(6).tolist()) for hand in result.hands]


@pytest.mark.parametrize("backend_name", ["onnx", "torch"])
def test_the_estimator_takes_its_weights_like_any_other(bundle: Bundle, camera, backend_name: str) -> None:
    """Tracks remember: with the same pictures in the same order the answers are the same, and depend on the window."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8) for _ in range(12)]
    boxes = [FoundHand(Box(20, 60, 100, 140), "right"), FoundHand(Box(150, 60, 230, 150), "left")]
    options = EstimatorOptions(model=bundle.folder, backend=backend_name, threads=1, max_fit_error=50.0)
    results = {}
    for frames in (0, 1):
        with load_estimator(options, temporal_frames=frames) as estimator:
            estimator.warm_up()
            for stamp in (0.0, 100.0):  # after the jump nothing of before has a say
                said = [
                    estimator.estimate(picture, camera, stamp + k / 30, boxes) for k, picture in enumerate(pictures)
                ]
                results[frames, stamp] = [[joints for _, joints in told(result)] for result in said]
    assert results[0, 0.0] == results[0, 100.0]
    assert all(len(hands) == 2 for hands in results[0, 0.0]), estimator.drops
    assert results[0, 0.0][:3] == results[1, 0.0][:3], "no older frame is there yet"
    assert results[0, 0.0][6:] != results[1, 0.0][6:]
    (hand, _) = said[-1].hands
    assert (hand.grasp.state, hand.held_object) == ("unknown", None)
    assert np.isnan(hand.grasp.probability)
    assert hand.vertices_m.shape == (load_hand_model().without_forearm().num_vertices, 3)


def test_command_and_node_take_its_weights_by_folder(bundle: Bundle, single: Bundle, tmp_path) -> None:
    rng = np.random.default_rng(2)
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), rng.integers(0, 256, (120, 160, 3), np.uint8))
    boxes = {f"{k}.png": [{"box_px": [40, 20, 110, 90], "side": "right"}] for k in range(3)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    told = tmp_path / "out.json"
    words = ["--model", str(bundle.folder), "--temporal-frames", "2", "--threads", "1", "--boxes"]
    assert main(["run", str(tmp_path), *words, str(tmp_path / "boxes.json"), "--json", str(told)]) == 0
    read = read_predictions(told)
    assert read["model"]["name"] == bundle.name
    assert len(read["frames"]) == 3 and any(frame["hands"] for frame in read["frames"])
    assert all(
        hand["grasp"] == {"state": "unknown", "probability": None, "since": hand["grasp"]["since"]}
        for frame in read["frames"]
        for hand in frame["hands"]
    )
    loaded = load_for(NodeParams().updated({"model": str(bundle.folder), "threads": 1, "temporal_frames": 3}))
    assert loaded.facts.weights[0] == bundle.name
    words = ["--model", str(single.folder), "--temporal-frames", "3", "--threads", "1"]
    assert main(["run", str(tmp_path), *words]) == 1, "a command refuses"


@pytest.mark.parametrize(("weights", "asked", "most"), [("single", 3, 1), ("bundle", 5, 3)])
def test_a_node_goes_on_with_as_many_frames_as_there_can_be(weights, asked, most, request) -> None:
    """And says so; what the node changes later goes by the same number."""
    folder = str(request.getfixturevalue(weights).folder)
    params = NodeParams().updated({"model": folder, "threads": 1, "temporal_frames": asked})
    loaded, current, (note,) = load_what_can_be(load_for, params)
    assert current.temporal_frames == most and note.endswith(f"the node goes on with {most}")
    assert loaded.facts.weights[0] in note
    loaded.estimator.change(current.updated({"max_hands": 2}).options())
    fitting = params.updated({"temporal_frames": most})
    assert load_what_can_be(load_for, fitting)[1:] == (fitting, ())


def test_memories_belong_to_tracks(backend: Backend, camera) -> None:
    """Two hands that change places in the list of boxes keep their pasts; a new track has none."""
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8) for _ in range(8)]
    one, other = FoundHand(Box(20, 60, 100, 140), "right"), FoundHand(Box(150, 60, 230, 150), "right")
    config = EstimatorOptions(max_fit_error=50.0, temporal_frames=0)

    def last(boxes_of) -> list[tuple]:
        estimator = Estimator(backend, config=config)
        for k, picture in enumerate(pictures):
            result = estimator.estimate(picture, camera, k / 30, boxes_of(k))
        return sorted(str(joints) for _, joints in told(result))

    assert last(lambda k: [one, other]) == last(lambda k: [other, one] if k % 2 else [one, other])
    alone = Estimator(backend, config=config)
    late = last(lambda k: [one, other] if k == len(pictures) - 1 else [other])
    first = sorted(str(joints) for _, joints in told(alone.estimate(pictures[-1], camera, 0.0, [one])))
    assert first[0] in late, "what the other hand told does not leak"


def has_a_past(backend: Backend, camera, stamps, sides=None) -> bool:
    """Whether older images have a say in the answer to the last one of a film in which a user says where the hand is,
    and of which side. Crops follow from the answers before: those must not have had a past themselves."""
    said = []
    for frames in (0, 1):
        estimator = Estimator(backend, config=EstimatorOptions(max_fit_error=50.0, temporal_frames=frames))
        for picture, stamp, side in zip(film(camera), stamps, sides or ["left"] * len(stamps), strict=False):
            result = estimator.estimate(picture, camera, stamp, [FoundHand(Box(20, 60, 100, 140), side)])
        assert len(result.hands) == 1, estimator.drops
        said.append(told(result))
    return said[0] != said[1]


def test_another_side_has_no_past(backend: Backend, camera) -> None:
    """What was remembered of a right hand has no say in what is told of the left one that it turned out to be."""
    stamps = np.array([0, 1, 2, 5]) / 30
    assert has_a_past(backend, camera, stamps)
    assert not has_a_past(backend, camera, stamps, ["right", "right", "right", "left"])
    later = [0, 0.033, 0.1, 0.167]
    assert has_a_past(backend, camera, later)
    assert not has_a_past(backend, camera, later, ["right", "right", "left", "left"]), "nor in what comes after"


def test_images_that_are_missing_leave_a_window_with_what_there_is(backend: Backend, camera) -> None:
    """Frames nearest to 0.167 s and twice as long ago are wanted, within half of it."""
    assert has_a_past(backend, camera, [0, 0.033, 0.067, 0.4]), "the older one of two alone"
    assert not has_a_past(backend, camera, [0, 0.033, 0.067, 0.49]), "neither"
    assert has_a_past(backend, camera, [0, 0.033, 0.067, 0.49, 0.66]), "it goes on with what came since"


def film(camera) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8) for _ in range(8)]


@cache
def clip() -> tuple[list[np.ndarray], FoundHand]:
    """Eight images of the clip that ships, and where the shipped weights find a hand in the first."""
    capture = cv2.VideoCapture(str(resource("hands.mp4")))
    pictures = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(28)][20:]
    with load_estimator(threads=1) as estimator:
        hand = estimator.estimate(pictures[0]).hands[0]
    return pictures, FoundHand(Box.around(hand.keypoints_px), hand.side)


def followed(bundle: Bundle, **options) -> np.ndarray:
    """(8, 21, 3) joints of the hand of the clip."""
    pictures, box = clip()
    chosen = EstimatorOptions(model=bundle.folder, threads=1, max_fit_error=50.0, min_score=0.01)
    with load_estimator(chosen, keep_score=0.01, **options) as estimator:
        said = [estimator.estimate(picture, stamp=k / 30, boxes=[box]) for k, picture in enumerate(pictures)]
    assert all(result.hands for result in said), estimator.drops
    return np.array([result.hands[0].joints_m for result in said])


def test_several_frames_are_an_option_that_is_off(fusing: Bundle) -> None:
    assert (EstimatorOptions().temporal_frames, NodeParams().temporal_frames) == (1, 1)
    off, one, three = (followed(fusing, **chosen) for chosen in ({}, {"temporal_frames": 1}, {"temporal_frames": 3}))
    np.testing.assert_array_equal(off, one)
    np.testing.assert_array_equal(off, followed(load_bundle("unihope-s")))
    moved = np.abs(three - off).max((1, 2))
    assert moved[0] < 1e-5 and moved[5:].min() > 1e-4, "the first has no older frame"


def test_the_shipped_weights_draw_on_three_frames_if_they_are_asked_to() -> None:
    shipped = load_bundle("unihope-s")
    one, three = followed(shipped), followed(shipped, temporal_frames=3)
    moved = np.abs(three - one).max((1, 2))
    assert moved[0] < 1e-5 and moved[5:].min() > 1e-4
    assert shipped.manifest["through_time"]["trained_on"] and shipped.manifest["preset"] != "unihope-s-time"


def test_the_stage_is_not_opened_before_it_is_asked_for(fusing: Bundle, tmp_path) -> None:
    """With a graph that does not load nothing fails but what needs it."""
    folder = tmp_path / "broken"
    shutil.copytree(fusing.folder, folder)
    (folder / "fuse_frames.onnx").write_bytes(b"no graph")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["stages"]["fuse_frames"]["sha256"] = file_sha256(folder / "fuse_frames.onnx")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert np.isfinite(followed(load_bundle(folder))).all()
    estimator = load_estimator(model=folder, threads=1, temporal_frames=3)
    with estimator, pytest.raises(WeightsMismatch, match=r"fuse_frames\.onnx does not load") as raised:
        estimator.warm_up()
    assert "\n" not in str(raised.value)


def test_what_cannot_be_is_refused_with_the_way_out(backend: Backend, single: Bundle) -> None:
    with pytest.raises(WeightsMismatch, match="temporal_frames to 1"):
        open_network(open_backend("onnx", single, threads=1), 3)
    with pytest.raises(WeightsMismatch, match="3 frames at most"):
        open_network(backend, 4)
    with pytest.raises(ParameterError, match="temporal_frames"):
        EstimatorOptions(temporal_frames=-1)
    with pytest.raises(ParameterError, match="farther"):
        EstimatorOptions(temporal_frames=3, temporal_stride_s=0.9)
