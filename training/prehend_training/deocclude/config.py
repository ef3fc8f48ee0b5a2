"""How twins are generated: numbers that change the image, and where the weights are."""

from dataclasses import dataclass
from typing import Literal

from prehend.errors import InvalidInput

Precision = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class RepaintConfig:
    """What decides about a twin, besides the weights.

    Attributes:
        strengths: candidate control strengths s_1..s_n of section 3.3, 0 < s <= 1. The paper names none; 0.4 to 0.8 is
            what the authors of HandRefiner, whose ControlNet the paper uses, advise.
        steps: of the DDIM sampler.
        guidance: weight of the text (classifier-free guidance); 1 for none, which halves the work.
        prompt, negative_prompt: what the image should show, and what it should not.
        size_px: side of the square that the diffusion model paints; 512 for Stable Diffusion 1.5.
        context: side of the square over the longer side of the repainted region.
        edge: width of the soft edge around hand and object, over the square's side.
        least_hidden: least share of the hand that must be hidden (tau of eq. 8).
        seed: of the noise; each image has its own that follows from it and from the image's name.

    Raises:
        InvalidInput: a number is out of range.
    """

    strengths: tuple[float, ...] = (0.4, 0.55, 0.7, 0.85, 1.0)
    steps: int = 30
    guidance: float = 7.5
    prompt: str = "a photo of an empty bare hand, natural skin, realistic"
    negative_prompt: str = "object, tool, extra fingers, missing fingers, deformed, blurry"
    size_px: int = 512
    context: float = 1.4
    edge: float = 0.03
    least_hidden: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        strengths = self.strengths
        if not strengths or len(set(strengths)) < len(strengths) or not all(0 < s <= 1 for s in strengths):
            raise InvalidInput(f"control strengths {list(strengths)}: expected different numbers, 0 < s <= 1")
        limits = {
            "steps": (1, 1000),
            "guidance": (1.0, 50.0),
            "size_px": (8, 4096),
            "context": (1.0, 10.0),
            "edge": (0.0, 0.25),
            "least_hidden": (0.0, 1.0),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} is {getattr(self, name)}, expected {low:g} to {high:g}")


@dataclass(frozen=True)
class Weights:
    """Which diffusion model and which ControlNet, and how they are run.

    Attributes:
        diffusion: folder (or hub id) in the layout of diffusers: unet, vae, text_encoder, tokenizer, scheduler.
        control: folder (or hub id) of a ControlNet for depth that belongs to it.
        download: fetch hub ids that are not in the local cache; otherwise nothing is fetched.
        variant: of the files, such as "fp16"; None for the plain ones.
        device: of torch.
        precision: of the numbers; half precision needs a GPU.
        slice_attention: less memory and more time; of use where the GPU lacks memory-saving attention kernels.
        together: candidates that are painted at once, None for all; the images do not depend on it.

    Raises:
        InvalidInput: `together` is not positive.
    """

    diffusion: str
    control: str
    download: bool = False
    variant: str | None = None
    device: str = "cpu"
    precision: Precision = "float32"
    slice_attention: bool = False
    together: int | None = None

    def __post_init__(self) -> None:
        if self.together is not None and self.together < 1:
            raise InvalidInput(f"together is {self.together}, expected at least 1")
