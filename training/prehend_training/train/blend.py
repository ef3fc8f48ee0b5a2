"""Between what weights could do before and what a run has learnt: means of weights keep more of the former (WiSE-FT,
Wortsman et al., CVPR 2022)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from prehend.backends.torch_ import load_network
from prehend.errors import InvalidInput, WeightsMismatch
from prehend_training.pretrained.shipped import bundle_at
from prehend_training.storage.blends import AVERAGED, SHARE, learnt_weights, write_blend
from prehend_training.train.loop.notes import BLENDED, read_note

_NETWORK = "network."


def blend_run(run: Path, start: Path, share: float, out: Path) -> None:
    """Write a run whose averaged weights are a mean of a run's and of weights from which it went on.

    What only training has is the run's.

    Args:
        run: of a network for crops.
        start: name or folder of weights, or a run, of the same network; what several frames add is left out.
        share: of the run's weights.
        out: folder to make; it can be measured, calibrated and exported as a run, and be the start of another.

    Raises:
        InvalidInput: the share is not between 0 and 1, the folder is there, or there are no such weights.
        AssetError: the run has no weights.
        WeightsMismatch: the weights are of another network.
    """
    learnt = learnt_weights(run, share, out)
    before, origin = _before(start)
    mixed = {}
    for name, value in learnt.items():
        own = name.removeprefix(_NETWORK)
        if own != name and (own not in before or before[own].shape != value.shape):
            raise WeightsMismatch(f"{start} has weights of another network than {run}")
        mean = own != name and value.is_floating_point()
        mixed[name] = value.lerp(before[own].to(value.dtype), 1 - share) if mean else value
    write_blend(run, out, mixed, read_note(run) | {BLENDED: {SHARE: share, **origin}})


def _before(start: Path) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    """Weights by their names in the network, and what they are."""
    if (bundle := bundle_at(start)) is not None:
        return load_network(bundle).state_dict(), {"weights": bundle.name, "sha256": bundle.weights_sha256}
    if not (start / AVERAGED).exists():
        raise InvalidInput(f"{start} is neither weights by name or folder nor a run that was trained")
    note = read_note(start)
    numbers = {name.removeprefix(_NETWORK): value for name, value in load_file(start / AVERAGED).items()}
    return numbers, {name: note[name] for name in ("preset", "seed", "commit")}
