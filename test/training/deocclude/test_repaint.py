"""Eqs. (4) to (6) of UniHOPE on a tiny diffusion model, the choice of the strength, and the command."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from deocclude_tiny import occluded_sample, write_crops, write_models

from prehend.errors import AssetError, InvalidInput
from prehend.hand_model import load_hand_model
from prehend_training.cli import main as cli
from prehend_training.deocclude.choose import deocclude
from prehend_training.deocclude.config import RepaintConfig, Weights
from prehend_training.deocclude.judge import NetworkJudge
from prehend_training.deocclude.region import find_region
from prehend_training.deocclude.repaint import Repainter
from prehend_training.deocclude.weights import load_parts
from prehend_training.storage.twins import TwinFolder

diffusers = pytest.importorskip("diffusers", reason="the extra `deocclude` is not installed")
pytest.importorskip("transformers", reason="the extra `deocclude` is not installed")

CONFIG = RepaintConfig(
    strengths=(0.2, 1.0), steps=4, guidance=3.0, size_px=32, prompt="a bare hand", negative_prompt="box"
)
FACES = load_hand_model().without_forearm().faces


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {channels: write_models(folder, channels) for channels in (4, 9)}


@pytest.fixture(scope="module")
def loaded(models):
    return {channels: load_parts(Weights(*map(str, places))) for channels, places in models.items()}


@pytest.fixture(params=[4, 9])
def parts(request, loaded):
    return loaded[request.param]


@pytest.fixture(scope="module")
def region():
    return find_region(occluded_sample(), FACES, CONFIG)


def draws(seed=5):
    """Noise, and a list of what was drawn."""
    generator, drawn = torch.Generator().manual_seed(seed), []

    def draw():
        drawn.append(torch.randn((1, 4, 16, 16), generator=generator))
        return drawn[-1]

    return draw, drawn


@torch.inference_mode()
def test_every_step_sees_the_background_renoised(parts, region):
    draw, drawn = draws()
    seen = []
    hook = parts.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    painter = Repainter(parts, CONFIG)
    result = painter.sample(region, CONFIG.strengths, draw)
    hook.remove()
    picture = torch.from_numpy(region.image).permute(2, 0, 1)[None] / 127.5 - 1
    outside = torch.from_numpy(~region.mask)
    encode = lambda image: parts.vae.encode(image).latent_dist.mode() * parts.vae.config.scaling_factor  # noqa: E731
    known = encode(picture)
    mask = torch.nn.functional.max_pool2d((~outside).float()[None, None], 2)
    background = (mask == 0).expand_as(known)
    assert background.any() and len(seen) == len(drawn) == CONFIG.steps
    for step, (time, noise, sight) in enumerate(zip(parts.scheduler.timesteps, drawn, seen, strict=True)):
        level = parts.scheduler.alphas_cumprod[time]
        renoised = level.sqrt() * known + (1 - level).sqrt() * noise if step else noise
        for row in sight[:, :4]:  # candidates, without and with the prompt
            torch.testing.assert_close(row[None][background], renoised[background], rtol=1e-4, atol=1e-4)
        if parts.inpainting:
            assert bool((sight[:, 4:5] == mask).all())
            torch.testing.assert_close(sight[:1, 5:], encode(picture * outside), rtol=1e-4, atol=1e-5)
    for row in result:
        torch.testing.assert_close(row[None][background], known[background])
    assert (result[0] - result[1]).abs()[mask[0].expand(4, -1, -1) > 0].max() > 1e-3


@torch.inference_mode()
def test_agrees_with_the_library_where_it_does_the_same(loaded):
    parts = loaded[4]
    region = find_region(occluded_sample(), FACES, CONFIG)
    mask = np.kron(region.mask[::4, ::4], np.ones((4, 4), bool))  # the library takes single pixels of the mask
    region = type(region)(**{**vars(region), "mask": mask})
    noise = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(1))
    ours = Repainter(parts, CONFIG).sample(region, (0.6,), lambda: noise)
    pipeline = diffusers.StableDiffusionControlNetInpaintPipeline(
        parts.vae, parts.text_encoder, parts.tokenizer, parts.unet, parts.control, parts.scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        CONFIG.prompt,
        negative_prompt=CONFIG.negative_prompt,
        image=torch.from_numpy(region.image).permute(2, 0, 1)[None] / 255,
        mask_image=torch.from_numpy(mask).float()[None, None],
        control_image=torch.from_numpy(region.depth).expand(1, 3, -1, -1),
        num_inference_steps=CONFIG.steps,
        guidance_scale=CONFIG.guidance,
        controlnet_conditioning_scale=0.6,
        latents=noise,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_picture_follows_from_the_seed_and_the_frame(loaded, region):
    parts = loaded[9]
    painter = Repainter(parts, CONFIG)
    first = painter.paint(region, "frame 1")
    assert first.shape == (2, 32, 32, 3) and first.dtype == np.uint8
    assert np.array_equal(first, painter.paint(region, "frame 1"))
    one_by_one = Repainter(parts, CONFIG, together=1).paint(region, "frame 1")
    assert np.abs(first.astype(int) - one_by_one).max() <= 1
    for other in (
        painter.paint(region, "frame 2"),
        Repainter(parts, RepaintConfig(**{**vars(CONFIG), "seed": 1})).paint(region, "frame 1"),
        Repainter(parts, RepaintConfig(**{**vars(CONFIG), "guidance": 1.0})).paint(region, "frame 1"),
        Repainter(parts, RepaintConfig(**{**vars(CONFIG), "prompt": "a cab"})).paint(region, "frame 1"),
    ):
        assert np.abs(first.astype(int) - other).max() > 1
    blank = type(region)(**{**vars(region), "depth": np.zeros_like(region.depth)})
    assert np.abs(first.astype(int) - painter.paint(blank, "frame 1")).max() > 1
    with pytest.raises(InvalidInput, match="multiple of 4"):
        Repainter(parts, RepaintConfig(size_px=30))


@pytest.mark.parametrize("favourite", [0, 1])
def test_the_candidate_with_the_lowest_error_is_chosen(loaded, region, favourite):
    class Prefers:
        name = "prefers"

        def errors_m(self, pictures, camera, hand):
            self.seen = pictures
            return np.where(np.arange(len(pictures)) == favourite, 0.01, 0.02)

    painter = Repainter(loaded[4], CONFIG)
    judge, sample = Prefers(), occluded_sample()
    made = deocclude(sample, region, painter, judge)
    assert made.best == favourite
    for picture, painted in zip(judge.seen, made.painted, strict=True):
        assert np.array_equal(picture, region.paste(painted))


def run(models, data, out, *more):
    base, control = models[9]
    places = ["--data", str(data), "--diffusion", str(base), "--control", str(control)]
    numbers = ["--size", "32", "--steps", "2", "--strength", "0.3", "--strength", "1"]
    return cli.main(["deocclude", str(out), *places, *numbers, *more])


def test_the_command_makes_twins_and_goes_on_where_it_stopped(models, tmp_path, capsys):
    samples = [occluded_sample(index, grasp=index != 1) for index in range(4)]
    data, out = write_crops(tmp_path / "crops", samples), tmp_path / "twins"
    assert run(models, data, out, "--limit", "1") == 0
    assert json.loads(capsys.readouterr().out) == {"twins": 1}
    picture = next((out / "pictures").rglob("*cam1*0.png"))
    before = picture.stat().st_mtime_ns, picture.read_bytes()
    assert run(models, data, out) == 0
    assert json.loads(capsys.readouterr().out) == {"not grasping": 1, "twins": 2}
    assert (picture.stat().st_mtime_ns, picture.read_bytes()) == before
    assert run(models, data, out) == 0 and json.loads(capsys.readouterr().out) == {}
    assert run(models, data, out, "--part", "0/2") == 0
    assert json.loads(capsys.readouterr().out) == {"there already": 2}
    sheet = cv2.imread(str(next(out.glob("sheet-00000002.png"))))
    assert sheet.shape[0] == 2 * 192 and sheet.std() > 20

    folder, judge = TwinFolder.open(out), NetworkJudge.open("unihope-s")
    assert {twin.index for twin in folder.twins.values()} == {0, 2, 3}
    for sample in (samples[0], *samples[2:]):
        twin, known = folder.read(sample.frame_id), folder.twins[sample.frame_id]
        assert known.strengths == (0.3, 1.0) and known.strength == known.strengths[int(np.argmin(known.j_pe_m))]
        assert judge.errors_m([twin], sample.camera, sample.hands[0])[0] == pytest.approx(min(known.j_pe_m), abs=1e-4)
        inside = find_region(sample, FACES, CONFIG).weight
        assert np.array_equal(twin[inside == 0], sample.image[inside == 0])
        assert (twin[inside == 1] != sample.image[inside == 1]).any(-1).mean() > 0.9
    assert run(models, data, out, "--seed", "1") == 1
    assert "seed is 0 and not 1" in capsys.readouterr().err
    assert run(models, data, tmp_path / "other", "--part", "2") == 1 and "K/N" in capsys.readouterr().err


def test_missing_or_wrong_weights_say_what_to_fetch(models, tmp_path, capsys):
    base, control = models[4]
    with pytest.raises(AssetError, match=r"unet of 'no/such' cannot be loaded .*docs/DEOCCLUDER.md names weights"):
        load_parts(Weights("no/such", str(control)))
    with pytest.raises(AssetError, match=r"ControlNet of '.*' cannot be loaded"):
        load_parts(Weights(str(base), str(tmp_path)))
    pickled = shutil.copytree(base, tmp_path / "pickled")
    for path in (pickled / "unet").glob("*.safetensors"):
        torch.save({}, path.with_suffix(".bin"))
        path.unlink()
    with pytest.raises(AssetError, match="unet"):
        load_parts(Weights(str(pickled), str(control)))
    other = shutil.copytree(control, tmp_path / "control")
    settings = json.loads((other / "config.json").read_text())
    network = diffusers.ControlNetModel.from_config({**settings, "cross_attention_dim": 32})
    network.save_pretrained(other)
    with pytest.raises(AssetError, match="is no ControlNet for"):
        load_parts(Weights(str(base), str(other)))
