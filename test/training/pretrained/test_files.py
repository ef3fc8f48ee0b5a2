import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from prehend.errors import AssetError, UnknownName, WeightsMismatch
from prehend.models.trunks.efficientnet_lite import LITE0, EfficientNetLite
from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend_training.cli import main as cli
from prehend_training.pretrained import files, sources
from prehend_training.pretrained.filling import fill, layers_of
from prehend_training.pretrained.imagenet import BATCH_NORM_EPS, convert_imagenet
from prehend_training.pretrained.tflite_file import Layer


def as_layers(network: torch.nn.Module) -> list[Layer]:
    """What a file with a network's numbers would hold."""
    found = layers_of(network)
    return [Layer("conv", *(p.detach().numpy().copy() for p in (m.weight, m.bias))) for m in found]


def test_filling_is_in_the_order_of_execution() -> None:
    given, filled = EfficientNetLite(), EfficientNetLite()
    order = []
    for module in layers_of(given):
        module.register_forward_hook(lambda m, _i, _o: order.append(m))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        said = given(image)[-1]
        assert order == layers_of(given)
        fill(layers_of(filled), as_layers(given))
        assert torch.equal(said, filled(image)[-1])


def test_numbers_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsMismatch, match=r"layer 0 .* expected \(24, 3, 3, 3\)"):
        fill(layers_of(EfficientNetLite()), as_layers(EfficientNetLite(LITE0)))
    with pytest.raises(WeightsMismatch, match="another version"):
        fill(layers_of(EfficientNetLite()), as_layers(EfficientNetLite())[:-1])


def packed(folder: Path, content: bytes, name: str = "hand_landmark_full.tflite") -> list[Path]:
    """A file, a folder that holds it deep down, and a wheel."""
    deep = folder / "package" / "modules"
    deep.mkdir(parents=True)
    (deep / name).write_bytes(content)
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"package/modules/{name}", content)
    return [deep / name, folder, wheel]


def test_another_version_is_refused_in_one_line(tmp_path, capsys) -> None:
    for path in packed(tmp_path, b"another version"):
        assert cli.main(["trunk", "--wheel", str(path), "--out", str(tmp_path / "out.safetensors")]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "another version" in said and "mediapipe==0.10.21" in said
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("what", ["missing", "empty folder", "wheel of something else", "no wheel"])
def test_a_file_that_is_not_there_is_named(what: str, tmp_path) -> None:
    path = tmp_path / "given"
    if what == "empty folder":
        path.mkdir()
    elif what == "wheel of something else":
        path = packed(tmp_path, b"", "other.tflite")[2]
    elif what == "no wheel":
        path.write_bytes(b"PK\x05\x06" + bytes(3))
    with pytest.raises(AssetError, match="pip download --no-deps mediapipe"):
        sources.read_published("hand", path)


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(UnknownName, match="choose one of"):
        sources.published("hnad")


def test_provenance_goes_with_the_numbers(tmp_path, monkeypatch) -> None:
    given = HandLandmarks()
    monkeypatch.setattr(files, "convert", lambda kind, path: given)  # the file itself: test_hand_trunk
    out = tmp_path / "deep" / "hand.safetensors"
    written = files.write_pretrained("hand", tmp_path, out)
    taken = HandLandmarks()
    assert files.load_pretrained(out, taken) == written == files.provenance(out)
    assert all(torch.equal(a, b) for a, b in zip(given.parameters(), taken.parameters(), strict=True))
    assert set(written) == set(files.PROVENANCE) and written["sha256"] == sources.published("hand").sha256
    with pytest.raises(WeightsMismatch, match="hand_landmark_full"):
        files.load_pretrained(out, EfficientNetLite())


def test_files_that_do_not_say_where_they_come_from_are_refused(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file(HandLandmarks().state_dict(), tmp_path / "silent.safetensors")
    (tmp_path / "garbled.safetensors").write_bytes(b"?" * 64)
    for name in ("silent", "garbled", "missing"):
        with pytest.raises(AssetError, match="prehend-train trunk"):
            files.provenance(tmp_path / f"{name}.safetensors")


def test_batch_normalisation_is_folded(tmp_path) -> None:
    """A checkpoint of the published names, with random numbers: its first layers computed plainly, and the trunk's."""
    state, rng = {}, np.random.default_rng(0)
    network = EfficientNetLite(LITE0)
    from prehend_training.pretrained.imagenet import _names

    for (conv, norm), module in zip(_names(), layers_of(network), strict=True):
        channels = module.weight.shape[0]
        state[f"{conv}.weight"] = torch.from_numpy(rng.normal(0, 0.3, module.weight.shape)).float()
        for part, low, high in (("running_mean", -1, 1), ("running_var", 0.1, 2), ("weight", 0.5, 2), ("bias", -1, 1)):
            state[f"{norm}.{part}"] = torch.from_numpy(rng.uniform(low, high, channels)).float()
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    converted = convert_imagenet(path.read_bytes())
    image = torch.rand(1, 3, 32, 32)
    norm = torch.nn.BatchNorm2d(32, eps=BATCH_NORM_EPS).eval()
    norm.load_state_dict({k.removeprefix("_bn0."): v for k, v in state.items() if k.startswith("_bn0.")}, strict=False)
    with torch.no_grad():
        x = torch.nn.functional.pad((255 * image - 127) / 128, (0, 1, 0, 1))
        plain = norm(torch.nn.functional.conv2d(x, state["_conv_stem.weight"], stride=2)).clip(0, 6)
        taken = converted.stem.act_conv(converted.stem.conv((image - LITE0.mean) / LITE0.std))
    assert torch.allclose(plain, taken, atol=1e-4)


def test_a_checkpoint_of_another_network_is_refused(tmp_path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    for content in ((tmp_path / "other.pth").read_bytes(), b"nothing at all"):
        with pytest.raises(WeightsMismatch, match="EfficientNet-Lite0"):
            convert_imagenet(content)
