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
    start = start_of(inner)
    if start is None:
        raise WeightsMismatch(
            f"{path} holds '{origin['network']}', which only networks on a pretrained trunk start from"
        )
    fill_trunk(path, start.trunk, trunk, origin["network"])
    if isinstance(inner, UniHOPELite):
        inner.streams.copy_middle()
    if "landmarks.weight" in numbers and start.places is not None:
        _load_answers(start, start.places, numbers)


class TrunkStart(NamedTuple):
    """What pretrained numbers fill: a trunk, and the layers that answer from its mean; None where there are none."""

    trunk: nn.Module
    places: nn.Linear | None = None
    presence: nn.Linear | None = None
    side: nn.Linear | None = None


def start_of(network: nn.Module) -> TrunkStart | None:
    """What of a network can start from pretrained numbers; None of one that has no such trunk."""
    if isinstance(network, HHMR) and network.image_in is not None:
        return TrunkStart(network.image_in.trunk)
    if isinstance(network, UniHOPELite):
        switcher = network.switcher
        return TrunkStart(network.streams.trunk, network.places, switcher.presence, switcher.side)
    if isinstance(network, H2ONet) and isinstance(network.seen, LiteTrunk):
        return TrunkStart(network.seen.trunk, network.seen.places, network.presence, network.side)
    if isinstance(network, SimaHand | SimaViews) and isinstance(network.eyes, LiteEyes):
        return TrunkStart(network.eyes.trunk, network.eyes.places)
    return None


def fill_trunk(who: Path | str, trunk: nn.Module, numbers: dict[str, Tensor], name: str) -> None:
    """Fill a trunk with numbers of `who`, which holds network `name`; raises `WeightsMismatch` of another trunk."""
    try:
        trunk.load_state_dict(numbers)
    except RuntimeError as error:
        raise WeightsMismatch(f"{who} holds '{name}', another trunk: {str(error).splitlines()[-1].strip()}") from error


@torch.no_grad()
def copy_answers(start: TrunkStart, places: nn.Linear, presence: nn.Linear, side: nn.Linear) -> None:
    """Fill the layers that answer from a trunk's mean, where there are any."""
    for mine, other in ((start.places, places), (start.presence, presence), (start.side, side)):
        if mine is not None:
            mine.load_state_dict(other.state_dict())


def _is_answer(name: str) -> bool:
    return name.split(".")[0] in ("landmarks", "presence", "handedness", "world")


@torch.no_grad()
def _load_answers(start: TrunkStart, places: nn.Linear, numbers: dict[str, Tensor]) -> None:
    """Places in shares of the crop, presence and side; the file's own depth is left out."""
    for part in ("weight", "bias"):
        told = numbers[f"landmarks.{part}"].unflatten(0, (-1, 3))[:, :2].flatten(0, 1) / LANDMARKS_SIZE
        getattr(places, part).copy_(told)
        for layer, name in ((start.presence, "presence"), (start.side, "handedness")):
            if layer is not None:
                getattr(layer, part).copy_(numbers[f"{name}.{part}"])
