"""A latent diffusion model, a ControlNet and a tokenizer of a few thousand random numbers, and a hand behind a box."""

import json

import numpy as np
import torch

from prehend.geometry.camera import project
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.types import Camera
from prehend_training.datasets.base import hand_label, object_label
from prehend_training.datasets.occlusion import depth_of_mesh
from prehend_training.sample import HAND_CODE, OBJECT_CODE, FrameId, Sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import claim, shard_name, write_index, write_shard

WIDTHS, TEXT = (8, 16), 16


def write_models(folder, channels=4):
    """Save tiny parts in the layout of diffusers; (folder of the diffusion model, folder of the ControlNet)."""
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(channels)
    common = {
        "block_out_channels": WIDTHS,
        "layers_per_block": 1,
        "cross_attention_dim": TEXT,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    }
    up = ("UpBlock2D", "CrossAttnUpBlock2D")
    unet = UNet2DConditionModel(sample_size=8, in_channels=channels, out_channels=4, up_block_types=up, **common)
    control = ControlNetModel(in_channels=4, conditioning_embedding_out_channels=(4, 8), **common)
    zeros = (control.controlnet_mid_block, control.controlnet_cond_embedding.conv_out)
    for layer in (*control.controlnet_down_blocks, *zeros):
        torch.nn.init.normal_(layer.weight, std=0.3)  # zero in a fresh ControlNet, which then controls nothing
    vae = AutoencoderKL(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
    )
    vae.quant_conv.bias.data[4:] = -60.0  # no spread: its samples are its mode
    vae.quant_conv.weight.data[4:] = 0.0
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=40,
            hidden_size=TEXT,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=12,
            bos_token_id=0,
            eos_token_id=1,
        )
    )
    base, controlled = folder / f"diffusion-{channels}", folder / f"control-{channels}"
    letters = "abcdefghijklmnopqrs"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    written = folder / "words"
    written.mkdir(parents=True, exist_ok=True)
    (written / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (written / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(written, model_max_length=12)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    parts = {"unet": unet, "vae": vae, "text_encoder": text, "tokenizer": tokenizer, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(base / name)
    control.save_pretrained(controlled)
    return base, controlled


def occluded_sample(index=0, size=(96, 80), side="right", grasp=True, reach=0.55):
    """A flat hand whose fingers are behind a box, on a smooth background; `reach` of its width is behind the box."""
    rng = np.random.default_rng(index)
    width, height = size
    camera = Camera(np.array([[1.6 * width, 0, width / 2], [0, 1.6 * width, height / 2], [0, 0, 1.0]]), width, height)
    model = load_hand_model(side=side).without_forearm()
    rotations = np.tile(np.eye(3), (16, 1, 1))
    rotations[0] = matrix_from_axis_angle(np.array([np.pi / 2, 0, rng.uniform(-0.4, 0.4)]))
    posed = skin(model, rotations, np.zeros(10))
    move = np.array([0, 0, 0.5]) - posed.joints.mean(0)
    vertices, joints = posed.vertices + move, posed.joints + move
    hand = np.isfinite(depth_of_mesh(vertices, model.faces, camera))
    x = project(vertices, camera)[:, 0]
    thing = np.zeros_like(hand)
    rows = np.flatnonzero(hand.any(1))
    left, right = np.quantile(x, [1 - reach, 1.0]).astype(int)
    thing[rows[0] : rows[-1] + 1, max(left, 0) : right + 3] = True
    segmentation = np.where(thing, OBJECT_CODE, np.where(hand, HAND_CODE, 0)).astype(np.uint8)
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 50, height)[:, None, None]
    image = np.repeat(ramp, 3, 2)
    image[hand], image[thing] = (205, 150, 120), (40, 90, 180)
    label = hand_label(
        side, joints, camera, segmentation, rotations, np.zeros(10), vertices, model, grasp, grasp, 0 if grasp else None
    )
    T = np.eye(4)
    T[:3, 3] = joints.mean(0)
    box = object_label("box", T, np.full(3, -0.03), np.full(3, 0.03), camera)
    frame = FrameId("made-up", 0, index, "20200709/subject", index, "cam1")
    return Sample(image.astype(np.uint8), segmentation, camera, np.eye(4), (label,), (box,), None, frame)


def write_crops(folder, samples):
    """A folder of shards with these samples."""
    claim(folder, {"kind": "crops", "seed": 0})
    units = [(number, [sample]) for number, sample in enumerate(samples)]
    write_index(folder, {shard_name(0): write_shard(folder / shard_name(0), units, Packing("none", "png"), "test")})
    return folder
