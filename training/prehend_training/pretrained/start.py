"""Pretrained weights as the start of a network in training."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from prehend.errors import WeightsMismatch
from prehend.models.hand_landmarks import LANDMARKS_SIZE
from prehend.models.unihope_lite import UniHOPELite
from prehend_training.pretrained.files import provenance

_TRUNK = "trunk."


def load_trunk(path: Path, network: nn.Module) -> None:
    """Read a file of `prehend-train trunk` into the trunk of a network in training, with the answers that it has.

    Args:
        path: of the kinds `hand` or `imagenet`; the latter has no answers.
        network: a `ModelWithHeads` one of a `UniHOPELite`.

    Raises:
        AssetError: the file cannot be read or does not say where it is from.
        WeightsMismatch: it belongs to another network.
    """
    origin = provenance(path)
    inner = getattr(network, "network", network)
    numbers = load_file(path)
    trunk = {name.removeprefix(_TRUNK): value for name, value in numbers.items() if not _is_answer(name)}
    if not isinstance(inner, UniHOPELite):
        raise WeightsMismatch(
            f"{path} holds '{origin['network']}', which only networks on a pretrained trunk start from"
        )
    try:
        inner.streams.trunk.load_state_dict(trunk)
    except RuntimeError as error:
        raise WeightsMismatch(
            f"{path} holds '{origin['network']}', another trunk: {str(error).splitlines()[-1].strip()}"
        ) from error
    inner.streams.copy_middle()
    if "landmarks.weight" in numbers:
        _load_answers(inner, numbers)


def _is_answer(name: str) -> bool:
    return name.split(".")[0] in ("landmarks", "presence", "handedness", "world")


@torch.no_grad()
def _load_answers(network: UniHOPELite, numbers: dict[str, Tensor]) -> None:
    """Places in shares of the crop, presence and side; the file's own depth is left out."""
    for part in ("weight", "bias"):
        places = numbers[f"landmarks.{part}"].unflatten(0, (-1, 3))[:, :2].flatten(0, 1) / LANDMARKS_SIZE
        getattr(network.places, part).copy_(places)
        getattr(network.switcher.presence, part).copy_(numbers[f"presence.{part}"])
        getattr(network.switcher.side, part).copy_(numbers[f"handedness.{part}"])
