"""Pretrained numbers as the start of our networks: trunk and answers come over, and only where they belong."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from prehend.errors import AssetError, WeightsMismatch
from prehend.models.trunks.efficientnet_lite import LITE0, EfficientNetLite
from prehend.models.trunks.hand_landmarks import LANDMARKS_SIZE, HandLandmarks
from prehend_training.pretrained.files import PROVENANCE, load_pretrained
from prehend_training.pretrained.start import load_trunk
from prehend_training.train.presets import preset

NOTE = dict.fromkeys(PROVENANCE, "some")


def filed(made, path, name):
    """A network of noise as a file of `prehend-train trunk`."""
    rng = torch.Generator().manual_seed(len(path.name))
    state = {key: torch.randn(value.shape, generator=rng) * 0.1 for key, value in made.state_dict().items()}
    save_file(state, path, metadata={**NOTE, "network": name})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    hand = filed(HandLandmarks(), folder / "hand.safetensors", "hand_landmark_full")
    return hand, filed(EfficientNetLite(LITE0), folder / "imagenet.safetensors", "efficientnet_lite0")


@pytest.fixture(scope="module")
def landmarks(files):
    network = HandLandmarks()
    load_pretrained(files[0], network)
    return network.eval()


@pytest.mark.parametrize("name", ["debug-lite", "debug-h2onet-frame"])
def test_a_fresh_network_sees_and_answers_as_the_published_one_does(name, files, landmarks):
    network = preset(name).build().eval()
    load_trunk(files[0], network)
    trunk = network.streams.trunk if name == "debug-lite" else network.seen.trunk
    assert all(torch.equal(value, landmarks.trunk.state_dict()[key]) for key, value in trunk.state_dict().items())
    mean = torch.randn(3, landmarks.presence.in_features, generator=torch.Generator().manual_seed(1))
    head = network.switcher if name == "debug-lite" else network
    places = network.places if name == "debug-lite" else network.seen.places
    with torch.no_grad():
        found = places(mean).unflatten(1, (21, 2)) * LANDMARKS_SIZE
        told = landmarks.landmarks(mean).unflatten(1, (21, 3))[..., :2]
        assert torch.allclose(found, told, atol=1e-3)  # places in shares of the crop, no depth
        assert torch.equal(head.presence(mean), landmarks.presence(mean))
        assert torch.equal(head.side(mean), landmarks.handedness(mean))


@pytest.mark.parametrize("name", ["debug-lite", "debug-sima"])
def test_what_the_file_has_no_numbers_for_stays_as_it_was(name, files):
    network = preset(name).build().eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_trunk(files[0], network)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(
        "trunk" in key or "streams" in key or key.split(".")[-2] in ("places", "presence", "side") for key in changed
    )
    assert len(changed) < len(before)


def test_a_network_with_pictures_takes_the_trunk_alone(files, landmarks):
    network = preset("debug-hhmr-image").build()
    load_trunk(files[0], network)
    trunk = network.image_in.trunk.state_dict()
    assert all(torch.equal(value, landmarks.trunk.state_dict()[key]) for key, value in trunk.items())


@pytest.mark.parametrize("name", ["debug-unihope", "debug-detector", "debug-hhmr"])
def test_networks_on_another_trunk_are_refused(name, files):
    network = preset(name).build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsMismatch, match="'hand_landmark_full', which only networks on a pretrained trunk"):
        load_trunk(files[0], network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_trunk_of_other_widths_is_named_in_one_line(files):
    with pytest.raises(WeightsMismatch, match="'efficientnet_lite0', another trunk: ") as refused:
        load_trunk(files[1], preset("debug-lite").build())
    assert "\n" not in str(refused.value)


def test_numbers_of_unknown_origin_start_nothing(tmp_path):
    save_file(HandLandmarks().state_dict(), tmp_path / "silent.safetensors", metadata={"network": "hand"})
    with pytest.raises(AssetError, match=r"does not say its source, version, .*prehend-train trunk"):
        load_trunk(tmp_path / "silent.safetensors", preset("debug-lite").build())


def test_images_of_the_published_network_are_seen_alike(files, landmarks):
    """The whole of the trunk, not its numbers alone: its last map of one image, in both."""
    network = preset("debug-lite").build().eval()
    load_trunk(files[0], network)
    image = torch.from_numpy(np.random.default_rng(0).random((1, 3, 64, 64), np.float32))
    with torch.no_grad():
        assert torch.allclose(network.streams.trunk(image)[-1], landmarks.trunk(image)[-1], atol=1e-5)
