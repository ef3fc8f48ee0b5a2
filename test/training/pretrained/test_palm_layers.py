"""The palm detector's layers in the order of the published file, which answers from the coarse map before it has the
fine one; made up here, against the file itself: test_palm.py."""

import numpy as np
import pytest
import torch

from prehend.errors import WeightsMismatch
from prehend.models.detectors.palm import BOX_NUMBERS, PALM_ANCHORS, PalmDetector
from prehend_training.pretrained import palm
from prehend_training.pretrained.files import PROVENANCE, write_palm_bundle
from prehend_training.pretrained.filling import layers_of
from prehend_training.pretrained.tflite_file import Layer


@pytest.fixture(scope="module")
def network():
    """A detector of noise."""
    torch.manual_seed(0)
    made = PalmDetector()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    for answers in made.answers:
        torch.nn.init.zeros_(answers.further.weight)
        torch.nn.init.zeros_(answers.further.bias)
    return made.eval()


def layers(modules):
    for module in modules:
        arrays = [parameter.detach().numpy() for parameter in module.parameters()]
        yield Layer("conv", arrays[0], arrays[1]) if len(arrays) == 2 else Layer("prelu", arrays[0], None)


def answering(answers, anchors):
    """Scores and boxes of a map as two layers, anchor by anchor."""
    rows = answers.known.weight.detach().numpy().reshape(anchors, 1 + BOX_NUMBERS, -1)
    biases = answers.known.bias.detach().numpy().reshape(anchors, 1 + BOX_NUMBERS)
    for part in (slice(0, 1), slice(1, None)):
        weight = np.ascontiguousarray(rows[:, part].reshape(-1, rows.shape[2], 1, 1))
        yield Layer("conv", weight, np.ascontiguousarray(biases[:, part].reshape(-1)))


def as_file(network):
    fine, coarse = (list(answering(a, n)) for a, n in zip(network.answers, PALM_ANCHORS, strict=True))
    return [
        *layers(layers_of(network.stem, network.layers, network.merge_16)),
        *coarse,
        *layers(layers_of(network.merge_8)),
        *fine,
    ]


def test_numbers_go_to_their_places_whatever_the_order_of_the_answers(network, monkeypatch):
    monkeypatch.setattr(palm, "read_layers", lambda _: as_file(network))
    found = palm.convert_palm(b"")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = network(image), found(image)
    assert torch.equal(one.scores, two.scores) and torch.equal(one.boxes, two.boxes)
    assert not found.training and (two.boxes[..., BOX_NUMBERS:] == 0).all() and one.scores.std() > 0


@pytest.mark.parametrize(("drop", "words"), [(-1, "3 answering layers, expected 4"), (0, "layers, expected")])
def test_a_file_that_lacks_a_layer_is_refused(drop, words, network, monkeypatch):
    given = as_file(network)
    del given[drop]
    monkeypatch.setattr(palm, "read_layers", lambda _: given)
    with pytest.raises(WeightsMismatch, match=words):
        palm.convert_palm(b"")


def test_the_bundle_says_where_its_numbers_come_from(network, tmp_path):
    from safetensors.torch import save_file

    path, origin = tmp_path / "palm.safetensors", dict.fromkeys(PROVENANCE, "some")
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path, metadata=origin)
    bundle = write_palm_bundle(path, tmp_path / "bundle")
    assert (
        bundle.network == "palm" and bundle.manifest["origin"] == origin and bundle.manifest["licence"] == "Apache-2.0"
    )
    assert set(bundle.manifest["thresholds"]) == set(network.stages())
