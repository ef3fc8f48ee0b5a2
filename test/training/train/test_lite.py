from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from prehend.errors import AssetError, WeightsMismatch
from prehend.models.hand_object.unihope_lite import LiteHandAnswer, build_unihope_lite
from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend_training.losses.heads import LiteModelWithHeads
from prehend_training.losses.lite import lite_terms
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.optimisers import make_optimisers
from prehend_training.train.presets import preset
from prehend_training.train.tasks.lite import LitePreset, LiteTask

TINY = preset("debug-lite").config
ORIGIN = dict.fromkeys(("source", "version", "file", "sha256", "licence"), "x") | {"network": "hand_landmark_full"}


def landmarks_file(path, network=None):
    torch.manual_seed(3)
    network = network or HandLandmarks()
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path, metadata=ORIGIN)
    return network.eval()


def test_a_network_that_starts_from_the_hand_trunk_answers_as_it_does(tmp_path):
    published = landmarks_file(tmp_path / "hand.safetensors")
    model = LiteModelWithHeads(build_unihope_lite(replace(TINY, size=224)))
    load_start([tmp_path / "hand.safetensors"], model)
    network = model.network.eval()
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        want, said = published(image), network.encode(image)
    places = want.landmarks.reshape(1, 21, 3)[..., :2] / 224
    torch.testing.assert_close(said.places, places, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(said.presence_logit, want.presence)
    torch.testing.assert_close(said.side_logit, want.handedness)
    own = network.streams.object_middle.state_dict()
    assert all(torch.equal(value, network.trunk.stages[1:4].state_dict()[name]) for name, value in own.items())


def test_a_file_of_another_network_is_refused_in_one_line(tmp_path):
    torch.manual_seed(0)
    save_file({"trunk.stem.conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata=ORIGIN)
    model = LiteModelWithHeads(build_unihope_lite(TINY))
    with pytest.raises(WeightsMismatch, match="another trunk"):
        load_start([tmp_path / "other.safetensors"], model)
    with pytest.raises(WeightsMismatch, match="only networks on a pretrained trunk"):
        landmarks_file(tmp_path / "hand.safetensors")
        load_start([tmp_path / "hand.safetensors"], torch.nn.Linear(2, 2))
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(AssetError, match="prehend-train trunk"):
        load_start([tmp_path / "plain.safetensors"], model)


def target_of(rows: int) -> dict[str, torch.Tensor]:
    ones = torch.ones(rows)
    marks = ("presence", "right", "has_pose", "has_keypoints", "has_grasp")
    return dict.fromkeys(marks, ones) | {
        "grasp": torch.zeros(rows),
        "hand_box": torch.tensor([[8.0, 8.0, 48.0, 40.0]]).expand(rows, 4),
        "keypoints": torch.rand(rows, 21, 2, generator=torch.Generator().manual_seed(0)),
    }


def answer_of(target, log_std: float, off: float = 0.0) -> LiteHandAnswer:
    rows = len(target["presence"])
    eye = torch.eye(3).expand(rows, 16, 3, 3)
    nothing = torch.zeros(rows, 21)
    keypoints = target["keypoints"] + off
    return LiteHandAnswer(keypoints, eye, torch.zeros(rows, 10), nothing, torch.zeros(rows, 16), nothing + log_std)


def test_the_certainty_is_best_where_it_is_the_error():
    """Of Laplace's distribution the standard deviation is sqrt(2) times the mean error."""
    network, target = build_unihope_lite(TINY).eval(), target_of(4)
    size = target["hand_box"][:, 2:] - target["hand_box"][:, :2]
    aspect = (size / size.amax(1, keepdim=True)).mean()
    best = float(np.log(np.sqrt(2) * 0.05 * aspect))
    values = {
        shift: lite_terms(network, torch.zeros(4, 21, 2), answer_of(target, best + shift, 0.05), target)["certainty"]
        for shift in (-0.5, 0.0, 0.5)
    }
    assert values[0.0] < values[-0.5] and values[0.0] < values[0.5]


def test_only_bare_hands_without_a_pose_are_held_to_their_places():
    network, target = build_unihope_lite(TINY).eval(), target_of(2)
    places, answer = torch.zeros(2, 21, 2), answer_of(target, -3.0)
    assert lite_terms(network, places, answer, target)["lifted"] == 0
    photo = target | {"has_pose": torch.zeros(2)}
    assert lite_terms(network, places, answer, photo)["lifted"] > 0
    for known in ({"grasp": torch.ones(2)}, {"has_keypoints": torch.zeros(2)}, {"right": torch.zeros(2)}):
        assert lite_terms(network, places, answer, photo | known)["lifted"] == 0


def test_what_was_pretrained_learns_slowly_and_does_not_decay():
    model = LiteModelWithHeads(build_unihope_lite(TINY))
    slow = model.pretrained()
    optimiser = make_optimisers(model, "muon", 1e-3, 0.1, slow, 0.1)
    optimiser.set_lr(1e-2)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in optimiser.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert all(rates[id(p)] == (pytest.approx(1e-3), 0.0) for p in slow)
    assert {rate for key, (rate, _) in rates.items() if key not in set(map(id, slow))} == {1e-2}


def test_what_is_frozen_stays(crops):
    chosen = preset("debug-lite")
    assert isinstance(chosen, LitePreset)
    network = LiteTask(chosen, [crops]).network()
    frozen = {name.split(".")[3] + name.split(".")[4] for name, p in network.named_parameters() if not p.requires_grad}
    assert {name[:4] for name in frozen} == {"stem", "stag"} and "stages0" in frozen and "stages1" not in frozen
    alone = LiteTask(replace(chosen, trains="object"), [crops]).network()
    trained = {name.removeprefix("network.").split(".")[0] for name, p in alone.named_parameters() if p.requires_grad}
    assert trained == {"streams", "interaction", "object_head"}
