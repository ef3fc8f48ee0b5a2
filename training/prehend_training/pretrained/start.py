"""Pretrained weights as the start of a network in training."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from prehend.errors import WeightsMismatch
from prehend.models.hand_object.unihope_lite import UniHOPELite
from prehend.models.meshes.h2onet import H2ONet
from prehend.models.meshes.hhmr import HHMR
from prehend.models.sima.hand import SimaHand
from prehend.models.sima.parts import LiteEyes
from prehend.models.sima.views import SimaViews
from prehend.models.trunks.h2onet_trunks import LiteTrunk
from prehend.models.trunks.hand_landmarks import LANDMARKS_SIZE
from prehend_training.pretrained.files import provenance

_TRUNK = "trunk."


def load_trunk(path: Path, network: nn.Module) -> None:
    """Read a file of `prehend-train trunk` into the trunk of a network in training, with the answers that it has.

    Args:
        path: of the kinds `hand` or `imagenet`; the latter has no answers.
        network: a `UniHOPELite`, an `H2ONet`, `SimaHand`, `SimaViews` or `HHMR` on the same trunk, or one of these in
            training; an `HHMR` has no answers.

    Raises:
        AssetError: the file cannot be read or does not say where it is from.
        WeightsMismatch: it belongs to another network.
    """
    origin = provenance(path)
    inner = getattr(network, "network", network)
    numbers = load_file(path)
    trunk = {name.removeprefix(_TRUNK): value for name, value in numbers.items() if not _is_answer(name)}
    if isinstance(inner, HHMR) and inner.image_in is not None:
        _fill(path, inner.image_in.trunk, trunk, origin["network"])
        return
    if isinstance(inner, UniHOPELite):
        start = _Start(inner.streams.trunk, inner.places, inner.switcher.presence, inner.switcher.side)
    elif isinstance(inner, H2ONet) and isinstance(inner.seen, LiteTrunk):
        start = _Start(inner.seen.trunk, inner.seen.places, inner.presence, inner.side)
    elif isinstance(inner, SimaHand | SimaViews) and isinstance(inner.eyes, LiteEyes):
        start = _Start(inner.eyes.trunk, inner.eyes.places)
    else:
        raise WeightsMismatch(
            f"{path} holds '{origin['network']}', which only networks on a pretrained trunk start from"
        )
    _fill(path, start.trunk, trunk, origin["network"])
    if isinstance(inner, UniHOPELite):
        inner.streams.copy_middle()
    if "landmarks.weight" in numbers:
        _load_answers(start, numbers)


def _fill(path: Path, trunk: nn.Module, numbers: dict[str, Tensor], name: str) -> None:
    try:
        trunk.load_state_dict(numbers)
    except RuntimeError as error:
        raise WeightsMismatch(f"{path} holds '{name}', another trunk: {str(error).splitlines()[-1].strip()}") from error


class _Start(NamedTuple):
    """What a file has numbers for: the trunk, and the layers that answer from its mean; None where there are none."""

    trunk: nn.Module
    places: nn.Linear
    presence: nn.Linear | None = None
    side: nn.Linear | None = None


def _is_answer(name: str) -> bool:
    return name.split(".")[0] in ("landmarks", "presence", "handedness", "world")


@torch.no_grad()
def _load_answers(start: _Start, numbers: dict[str, Tensor]) -> None:
    """Places in shares of the crop, presence and side; the file's own depth is left out."""
    for part in ("weight", "bias"):
        places = numbers[f"landmarks.{part}"].unflatten(0, (-1, 3))[:, :2].flatten(0, 1) / LANDMARKS_SIZE
        getattr(start.places, part).copy_(places)
        for layer, name in ((start.presence, "presence"), (start.side, "handedness")):
            if layer is not None:
                getattr(layer, part).copy_(numbers[f"{name}.{part}"])
